//! `--view`: the live page of `drive`, `sim serve` and `replay`.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, ToSocketAddrs as _};

use caril_control::{PAPER_SURE, PAPER_UNSURE};
use caril_core::{
    CameraSpec, Command, Config, CorrectionMode, Fault, Frame, Observation, Observed, PlantInfo,
    PolicyCard, StepRecord, World,
};
use caril_view::{About, Threshold, View};
use clap::Args;

use crate::exit::usage;
use crate::scenario;

/// Looking on while it drives.
#[derive(Debug, Clone, Default, Args)]
pub struct ViewArgs {
    /// Show it live as a web page at this address, or at this port of this machine (0: a free one)
    #[arg(long, value_name = "ADDRESS:PORT|PORT", value_parser = address)]
    pub view: Option<SocketAddr>,
    /// Allow an address that leaves this machine: whoever reaches it then sees the camera
    #[arg(long, requires = "view")]
    pub view_open: bool,
}

impl ViewArgs {
    /// Serves the page if it is asked for, and says where.
    ///
    /// # Errors
    /// If the address cannot be used, or leaves this machine without --view-open.
    pub fn start(&self, camera: &CameraSpec, about: &About) -> anyhow::Result<Option<View>> {
        let Some(address) = self.view else { return Ok(None) };
        if self.is_open() && !self.view_open {
            return Err(usage(format!(
                "--view {address} leaves this machine, and the page has no key: give --view-open if \
                 whoever reaches it may see the camera"
            )));
        }
        let view = View::start(address, camera, about)?;
        let at = view.address();
        eprintln!("view: http://{at}/");
        if self.is_open() {
            eprintln!("warning: anyone who reaches {at} sees the camera; nobody can steer there");
        }
        Ok(Some(view))
    }

    /// Whether others than this machine may look on.
    pub fn is_open(&self) -> bool {
        self.view.is_some_and(|address| !address.ip().is_loopback())
    }
}

/// A port alone is one of this machine.
fn address(text: &str) -> Result<SocketAddr, String> {
    if let Ok(port) = text.parse() {
        return Ok(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port));
    }
    let mut found = text.to_socket_addrs().map_err(|e| format!("expected ADDRESS:PORT: {e}"))?;
    found.next().ok_or_else(|| "that name has no address".to_owned())
}

/// What the page is told of a drive. `kind` is `drive`, `plant` or `replay`.
pub fn about(kind: &'static str, plant: &PlantInfo) -> About {
    // Of a plant elsewhere we may not have the map: the page then shows the path alone.
    let map_svg = scenario::load_map(&plant.map).map(|map| caril_road::draw_svg(&map));
    About {
        kind,
        map: plant.map.clone(),
        weather: plant.weather.clone(),
        rate_hz: plant.rate_hz,
        temperature: 1.0,
        route: plant.route.clone(),
        map_svg: map_svg.unwrap_or_default(),
        ..About::default()
    }
}

/// The same with what the controller is.
pub fn about_controller(
    kind: &'static str,
    plant: &PlantInfo,
    config: &Config,
    card: &PolicyCard,
    backend: &str,
) -> About {
    // Whoever starts a drive has had the thresholds checked.
    let calibration = &config.correction.over(&card.calibration).unwrap_or(card.calibration);
    let line = |name, value| Threshold { name, value };
    let (correction, temperature, thresholds) = match config.correction.mode {
        CorrectionMode::Off => ("off", 1.0, Vec::new()),
        CorrectionMode::Paper => {
            ("paper", 1.0, vec![line("unsure below", PAPER_UNSURE), line("sure from", PAPER_SURE)])
        }
        CorrectionMode::Calibrated => (
            "calibrated",
            calibration.temperature,
            vec![
                line("corrects below", calibration.mass_enter),
                line("until above", calibration.mass_exit),
            ],
        ),
    };
    About {
        policy: card.name.clone(),
        backend: backend.to_owned(),
        correction: correction.to_owned(),
        deadline_ms: config.gate.deadline_ms,
        temperature,
        thresholds,
        ..about(kind, plant)
    }
}

/// A plant that shows what it sends: each frame, with the command that was in force.
pub struct Shown<'a, W> {
    world: W,
    view: Option<&'a View>,
    command: Command,
}

impl<'a, W: World> Shown<'a, W> {
    /// Shows the frames of `world`.
    pub fn new(world: W, view: Option<&'a View>) -> Self {
        Self { world, view, command: Command::default() }
    }

    /// The plant.
    pub const fn world(&self) -> &W {
        &self.world
    }
}

impl<W: World> World for Shown<'_, W> {
    fn info(&self) -> &PlantInfo {
        self.world.info()
    }

    fn observe(&mut self, frame: &mut Frame, timeout_ns: u64) -> Observation {
        let seen = self.world.observe(frame, timeout_ns);
        if let (Some(view), Observed::Fresh) = (self.view, seen.observed) {
            let truth = frame.truth.unwrap_or_default();
            let (ego, command) = (frame.ego, self.command);
            let step = StepRecord {
                // What the controller asked for, not its share in it, is known here.
                steer_corrected: command.steer,
                mode: command.mode,
                faults: seen.faults,
                ..StepRecord::labelled(frame.id, frame.sim_time_ns, ego, frame.nav, truth, command)
            };
            view.push(&step, Some(&frame.image));
        }
        seen
    }

    fn actuate(&mut self, command: &Command) -> Result<(), Fault> {
        self.command = *command;
        self.world.actuate(command)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_loopback_unless_it_says_otherwise() {
        assert_eq!(address("8080").unwrap().to_string(), "127.0.0.1:8080");
        assert_eq!(address("0").unwrap().to_string(), "127.0.0.1:0");
        assert_eq!(address("0.0.0.0:80").unwrap().to_string(), "0.0.0.0:80");
        assert_eq!(address("[::1]:80").unwrap().to_string(), "[::1]:80");
        assert!(address("somewhere").is_err());
        assert!(address("70000").is_err());
    }
}
