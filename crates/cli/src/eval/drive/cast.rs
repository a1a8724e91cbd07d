//! Who drives: arms with their packs and configurations, resolved once and the same in every process.

use caril_core::{
    BIN_COUNT, Calibration, Config, CorrectionMode, Fault, Frame, Lift, Pacing, Policy, PolicyCard,
    Prediction, bin_center,
};
use caril_eval::suite::{Arm, Driver, Mode};
use serde::{Deserialize, Serialize};

use crate::args::BackendArg;
use crate::exit::usage;
use crate::scenario::{self, AnyPolicy};

/// One arm, ready to be played in any process.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Role {
    /// The arm.
    pub arm: Arm,
    /// Behaviour.
    pub config: Config,
    /// Name or folder of its pack; the expert has none.
    pub pack: Option<String>,
    /// sha256 of the pack's weights: results of other weights are no results of this arm.
    pub weights_sha256: Option<String>,
    /// The pack's calibration, for the same reason.
    pub calibration: Option<Calibration>,
    /// What runs the network.
    pub backend: BackendArg,
}

/// Resolves arms: `pack`, `backend` and `config` are the command line's.
///
/// # Errors
/// If an arm, its pack or its configuration cannot be used, or two have one name.
pub fn roles(
    arms: &[String],
    pack: &str,
    backend: BackendArg,
    config: &Config,
) -> anyhow::Result<Vec<Role>> {
    let mut roles: Vec<Role> = Vec::new();
    for text in arms {
        let arm = Arm::parse(text).map_err(|e| usage(e.to_string()))?;
        if roles.iter().any(|r| r.arm.name == arm.name) {
            return Err(usage(format!("two arms are called {}", arm.name)));
        }
        let mut config = match &arm.config {
            Some(path) => scenario::load_config(path.as_ref())?,
            None => *config,
        };
        config.drive_loop.pacing = Pacing::Lockstep;
        let mut own_pack = None;
        if let Driver::Network { mode, pack: arms_pack } = &arm.driver {
            config.correction.mode = match mode {
                Mode::Off | Mode::Classification | Mode::Oracle => CorrectionMode::Off,
                Mode::Paper => CorrectionMode::Paper,
                Mode::Calibrated => CorrectionMode::Calibrated,
            };
            own_pack = Some(arms_pack.clone().unwrap_or_else(|| pack.to_owned()));
        }
        config.validate().map_err(|e| usage(format!("arm {}: {e}", arm.name)))?;
        let card = own_pack.as_deref().map(scenario::load_card).transpose()?;
        if let Some(card) = &card {
            let over = config.correction.over(&card.calibration);
            over.map_err(|e| usage(format!("arm {}: {e}", arm.name)))?;
        }
        roles.push(Role {
            arm,
            config,
            calibration: card.as_ref().map(|c| c.calibration),
            weights_sha256: card.map(|c| c.weights_sha256),
            pack: own_pack,
            backend,
        });
    }
    Ok(roles)
}

/// A pack that is only borrowed for a drive, as the arm uses it.
pub struct Borrowed<'a> {
    policy: &'a mut dyn Policy,
    mode: Option<Mode>,
    /// Below this mass the correction engages.
    mass_enter: f32,
}

impl<'a> Borrowed<'a> {
    /// The arm's use of a pack.
    pub fn new(policy: &'a mut AnyPolicy, driver: &Driver, config: &Config) -> Self {
        let mode = match driver {
            Driver::Network { mode, .. } => Some(*mode),
            Driver::Expert => None,
        };
        let mass_enter =
            config.correction.mass_enter.unwrap_or(policy.card().calibration.mass_enter);
        Self { policy: policy.as_mut(), mode, mass_enter }
    }

    /// The expert's steer, normalised, if the network is unsure of the frame.
    fn told(&self, frame: &Frame, prediction: &Prediction) -> Option<f32> {
        let card = self.policy.card();
        let scaled = prediction.temperature_scaled(card.calibration.temperature);
        let unsure = scaled.neighbour_mass() < self.mass_enter;
        let steer = frame.truth?.expert_steer / card.steer_scale;
        unsure.then_some(steer.clamp(-1.0, 1.0))
    }
}

impl Policy for Borrowed<'_> {
    fn card(&self) -> &PolicyCard {
        self.policy.card()
    }

    fn infer(&mut self, frame: &Frame) -> Result<Prediction, Fault> {
        let p = self.policy.infer(frame)?;
        let steer = match self.mode {
            Some(Mode::Classification) => bin_center(p.argmax()),
            Some(Mode::Oracle) => self.told(frame, &p).unwrap_or(p.regression()),
            _ => return Ok(p),
        };
        let probs: [f32; BIN_COUNT] = *p.probs();
        Prediction::new(steer, probs).map_err(|_| Fault::PredictionMalformed)
    }

    fn look_again(&mut self, frame: &Frame, lift: &Lift) -> Result<Prediction, Fault> {
        // Asked for by the calibrated correction alone, which is none of those that change a steer.
        self.policy.look_again(frame, lift)
    }
}
