//! `--view`: the live page of `drive`, `sim serve` and `replay`.

use std::net::SocketAddr;

use caril_control::{PAPER_SURE, PAPER_UNSURE};
use caril_core::{CameraSpec, Config, CorrectionMode, PlantInfo, PolicyCard};
use caril_view::{About, Threshold, View};
use clap::Args;

use crate::exit::usage;
use crate::scenario;

/// Looking on while it drives.
#[derive(Debug, Clone, Default, Args)]
pub struct ViewArgs {
    /// Show it live as a web page at this address, or at this port of this machine (0: a free one)
    #[arg(long, value_name = "ADDRESS:PORT|PORT", value_parser = caril_view::address)]
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
        say!("view: http://{at}/");
        if self.is_open() {
            say!("warning: anyone who reaches {at} sees the camera; nobody can steer there");
        }
        Ok(Some(view))
    }

    /// Whether others than this machine may look on.
    pub fn is_open(&self) -> bool {
        self.view.is_some_and(|address| !address.ip().is_loopback())
    }
}

/// What the page is told of a drive. `kind` is `drive`, `plant` or `replay`.
pub fn about(kind: &'static str, plant: &PlantInfo) -> About {
    // Of a plant elsewhere we may not have the map: the page then shows the path alone.
    let map_svg = scenario::load_map(&plant.map).map(|map| caril_road::draw_svg(&map));
    About::plant(kind, plant, map_svg.unwrap_or_default())
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
