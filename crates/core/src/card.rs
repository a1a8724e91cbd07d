//! The policy card: every fact that must travel with the weights.

use alloc::string::String;
use alloc::vec::Vec;
use core::ops::Range;

use serde::{Deserialize, Serialize};

use crate::{Architecture, BIN_COUNT, CameraSpec, Colours, Prediction, bin_edges};

/// Version of the pack's format that this build reads and writes.
pub const PACK_FORMAT: u32 = 1;

/// How a camera frame becomes the network's input: crop rows, resize bilinearly, to RGB, then
/// `value · scale + offset` per channel with `value` in [0, 255].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InputSpec {
    /// First row kept, as a fraction of the image height.
    pub crop_top: f32,
    /// One past the last row kept, as a fraction of the image height.
    pub crop_bottom: f32,
    /// Width of the network's input, pixels.
    pub width: u32,
    /// Height of the network's input, pixels.
    pub height: u32,
    /// Factor per RGB channel.
    pub scale: [f32; 3],
    /// Added per RGB channel, after the factor.
    pub offset: [f32; 3],
}

impl InputSpec {
    /// The rows of a picture of `height` rows that the network gets to see; at least one.
    pub fn crop_rows(&self, height: u32) -> Range<usize> {
        let rows = (height as usize).max(1);
        let row = |fraction: f32| libm::roundf(fraction * height as f32) as usize;
        let top = row(self.crop_top).min(rows - 1);
        top..row(self.crop_bottom).clamp(top + 1, rows)
    }
}

/// Which inputs beside the image the network takes.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyInputs {
    /// Speed divided by this, m/s; `None` if the network takes no speed.
    pub speed_scale_mps: Option<f32>,
    /// Whether the one-hot navigation command is an input.
    pub nav: bool,
}

/// What was measured on held-out drives so that confidence means something. Steers here are on
/// the normalised scale of the network.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Calibration {
    /// Logits are divided by this.
    pub temperature: f32,
    /// RMS error of the regression head where the class head is sure. This and the next say how
    /// far a steer is to be believed ([`crate::Correction::sigma`]); they do not move it.
    pub regression_sigma: f32,
    /// Regression variance grows with the calibrated class variance times this.
    pub regression_variance_gain: f32,
    /// How far the class mean is to be believed, of which nothing steers: calibrated class variance
    /// is multiplied by this …
    pub class_variance_gain: f32,
    /// … and this is added: it makes the class mean's squared error right on held-out drives.
    pub class_variance_floor: f32,
    /// Correction engages when the calibrated mass of argmax ± 1 falls below this …
    pub mass_enter: f32,
    /// … and lets go when it rises above this.
    pub mass_exit: f32,
    /// At or below this mass the speed cap is at its lowest.
    pub mass_floor: f32,
}

impl Default for Calibration {
    /// Neutral values for an uncalibrated pack.
    fn default() -> Self {
        Self {
            temperature: 1.0,
            regression_sigma: 0.1,
            regression_variance_gain: 1.0,
            class_variance_gain: 1.0,
            class_variance_floor: 0.01,
            mass_enter: 0.8,
            mass_exit: 0.9,
            mass_floor: 0.3,
        }
    }
}

/// Split-conformal intervals, normalised by how far the classes spread (Vovk; Lei et al. 2018,
/// section 5.2): in every group the expert's steer lies within regression ± half-width in a share
/// of `level` of frames like those it was made from. The half-width is the group's factor times
/// (the standard deviation of the temperature-scaled class distribution + `spread_floor`), so that
/// it is narrow where the classes agree and wide where they do not. Groups are made of what is
/// known while driving.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Conformal {
    /// Share of frames that the interval covers, (0, 1).
    pub level: f32,
    /// A frame is a turn where |regression| is above this, normalised steer.
    pub turn_above: f32,
    /// A frame is fast at and above this, m/s.
    pub fast_above_mps: f32,
    /// Added to the classes' spread, normalised steer, above 0: no interval is a single point.
    pub spread_floor: f32,
    /// Half-width over (spread + floor): [straight, turn][slow, fast].
    pub factor: [[f32; 2]; 2],
}

impl Conformal {
    /// Index of a frame's group into `factor`: (turn, fast).
    pub fn group(&self, regression: f32, speed_mps: f32) -> (usize, usize) {
        (
            usize::from(regression.abs() > self.turn_above),
            usize::from(speed_mps >= self.fast_above_mps),
        )
    }

    /// What a frame's error is measured by: the classes' standard deviation plus the floor,
    /// normalised steer. `scaled` has the calibration's temperature applied.
    pub fn scale(&self, scaled: &Prediction) -> f32 {
        libm::sqrtf(scaled.class_variance()) + self.spread_floor
    }

    /// Half-width of a frame's interval, normalised steer. `scaled` has the calibration's
    /// temperature applied.
    pub fn half_width(&self, scaled: &Prediction, speed_mps: f32) -> f32 {
        let (turn, fast) = self.group(scaled.regression(), speed_mps);
        let factor = self.factor.get(turn).and_then(|g| g.get(fast));
        factor.map_or(f32::INFINITY, |f| f * self.scale(scaled))
    }
}

/// What the calibration was made from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CalibrationFacts {
    /// The command that made it.
    pub command: String,
    /// sha256 of every recording used, in order.
    pub data_sha256: Vec<String>,
    /// Frames used.
    pub frames: u64,
    /// Share of frames that may be wrong (steer more than `wrong_above` off) without being
    /// corrected.
    pub risk_budget: f32,
    /// What counts as wrong, normalised steer; packs that do not say were calibrated with 0.1.
    #[serde(default = "earlier_wrong_above")]
    pub wrong_above: f32,
    /// Share of wrong frames among the uncorrected ones of the data. Above the budget where keeping
    /// it would have meant to correct more than a twentieth of clean frames. Earlier packs do not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub risk_reached: Option<f32>,
    /// What ran the network, by its name on the command line; packs that do not say were
    /// calibrated on `flex`.
    #[serde(default = "earlier_backend")]
    pub backend: String,
}

fn earlier_wrong_above() -> f32 {
    0.1
}

fn earlier_backend() -> String {
    "flex".into()
}

/// Where the weights come from.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainingFacts {
    /// The command that made the pack.
    pub command: String,
    /// Version of caril that ran it.
    pub version: String,
    /// sha256 of every recording used, in order.
    pub data_sha256: Vec<String>,
    /// Frames trained on.
    pub frames: u64,
    /// Passes over them.
    pub epochs: u32,
    /// Seed of weights, shuffling and augmentation.
    pub seed: u64,
    /// Mean absolute steer error on held-out drives, normalised scale.
    pub held_out_mae: f32,
    /// Class accuracy on held-out drives, [0, 1].
    pub held_out_accuracy: f32,
}

/// The card of a policy pack.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyCard {
    /// [`PACK_FORMAT`] of the writer.
    pub format: u32,
    /// Name of the pack.
    pub name: String,
    /// Backbone: `pilotnet`, `efficientnet-lite0` or `resnet50`.
    pub architecture: String,
    /// The camera that the policy was trained with.
    pub camera: CameraSpec,
    /// From camera frame to network input.
    pub input: InputSpec,
    /// Inputs beside the image.
    pub inputs: PolicyInputs,
    /// Applied steer = network steer · this. The paper's is 1/4.
    pub steer_scale: f32,
    /// Edges of the classes on the normalised scale, `BIN_COUNT + 1` of them.
    pub bin_edges: Vec<f32>,
    /// Calibration.
    pub calibration: Calibration,
    /// Prediction intervals.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conformal: Option<Conformal>,
    /// Where the calibration comes from; absent if training made it from its held-out drives.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calibrated_on: Option<CalibrationFacts>,
    /// The colours that the network was trained on, which a second look at a dark picture is
    /// balanced towards; packs that do not say were trained in the embedded world.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub colours: Option<Colours>,
    /// Where the weights come from.
    pub training: TrainingFacts,
    /// sha256 of the weights file, lower-case hex.
    pub weights_sha256: String,
}

/// Why a card cannot be used.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum CardError {
    /// Written by another format.
    #[error("the pack's format is {got}, this build reads {PACK_FORMAT}")]
    Format {
        /// What the card says.
        got: u32,
    },
    /// A value makes no sense.
    #[error("the card's {field} makes no sense: expected {expected}")]
    Value {
        /// Which.
        field: &'static str,
        /// What would.
        expected: &'static str,
    },
}

impl PolicyCard {
    /// The paper's steer scale.
    pub const PAPER_STEER_SCALE: f32 = 0.25;

    /// A card for a network yet to be trained: the backbone's usual inputs, neutral calibration, no
    /// training facts, no hash.
    pub fn new(name: &str, architecture: Architecture, camera: &CameraSpec) -> Self {
        Self {
            format: PACK_FORMAT,
            name: name.into(),
            architecture: architecture.name().into(),
            camera: *camera,
            input: architecture.default_input(),
            inputs: architecture.default_inputs(),
            steer_scale: Self::PAPER_STEER_SCALE,
            bin_edges: Self::standard_bin_edges(),
            calibration: Calibration::default(),
            conformal: None,
            calibrated_on: None,
            colours: None,
            training: TrainingFacts::default(),
            weights_sha256: String::new(),
        }
    }

    /// Checks every value that arithmetic depends on.
    ///
    /// # Errors
    /// [`CardError`] naming the first field that makes no sense.
    pub fn validate(&self) -> Result<(), CardError> {
        if self.format != PACK_FORMAT {
            return Err(CardError::Format { got: self.format });
        }
        let check = |ok: bool, field, expected| {
            if ok { Ok(()) } else { Err(CardError::Value { field, expected }) }
        };
        let positive = |v: f32| v.is_finite() && v > 0.0;
        let unit = |v: f32| (0.0..=1.0).contains(&v);
        let i = &self.input;
        let c = &self.calibration;
        check(self.camera.is_valid(), "camera", "a size up to 4096 and a field of view 1–170°")?;
        check(
            unit(i.crop_top) && unit(i.crop_bottom) && i.crop_top < i.crop_bottom,
            "input.crop",
            "0 ≤ top < bottom ≤ 1",
        )?;
        check(
            (1..=1024).contains(&i.width) && (1..=1024).contains(&i.height),
            "input size",
            "1 to 1024 pixels",
        )?;
        check(
            i.scale.iter().chain(&i.offset).all(|v| v.is_finite()),
            "input normalisation",
            "finite numbers",
        )?;
        check(
            self.inputs.speed_scale_mps.is_none_or(positive),
            "inputs.speed_scale_mps",
            "more than 0",
        )?;
        check(
            positive(self.steer_scale) && self.steer_scale <= 1.0,
            "steer_scale",
            "more than 0, at most 1",
        )?;
        let edges_match = self.bin_edges.len() == BIN_COUNT + 1
            && self.bin_edges.iter().enumerate().all(|(k, e)| {
                let want = if k < BIN_COUNT { bin_edges(k).0 } else { 1.0 };
                (e - want).abs() < 1e-6
            });
        check(edges_match, "bin_edges", "12 edges of equal bins over [−1, 1]")?;
        check(positive(c.temperature), "calibration.temperature", "more than 0")?;
        check(positive(c.regression_sigma), "calibration.regression_sigma", "more than 0")?;
        check(
            [c.regression_variance_gain, c.class_variance_gain, c.class_variance_floor]
                .iter()
                .all(|v| v.is_finite() && *v >= 0.0),
            "calibration variances",
            "0 or more",
        )?;
        check(
            unit(c.mass_floor)
                && c.mass_floor <= c.mass_enter
                && c.mass_enter <= c.mass_exit
                && c.mass_exit < 1.0,
            "calibration masses",
            "0 ≤ floor ≤ enter ≤ exit < 1",
        )?;
        check(
            self.conformal.as_ref().is_none_or(|c| {
                c.level > 0.0
                    && c.level < 1.0
                    && c.turn_above >= 0.0
                    && c.fast_above_mps >= 0.0
                    && c.spread_floor > 0.0
                    && c.spread_floor.is_finite()
                    && c.factor.as_flattened().iter().all(|f| *f >= 0.0)
            }),
            "conformal",
            "a level between 0 and 1, a spread floor above 0 and factors of 0 or more",
        )?;
        check(self.colours.is_none_or(|c| c.is_valid()), "colours", "values from 0 to 255")
    }

    /// The edges that every card of this format holds.
    pub fn standard_bin_edges() -> Vec<f32> {
        (0..BIN_COUNT).map(|k| bin_edges(k).0).chain([1.0]).collect()
    }
}
