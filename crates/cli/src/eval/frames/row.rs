//! One frame under one pack, with everything that the figures are made from.

use anyhow::Context as _;
use caril_control::{CorrectionState, correct};
use caril_core::{
    BIN_COUNT, CorrectionConfig, CorrectionMode, FrameId, PolicyCard, Prediction, Regime, bin_of,
};
use caril_eval::confidence::signals;
use caril_train::{FrameMark, Said};
use serde_json::json;

/// Number of confidence signals.
pub const SIGNALS: usize = 10;
/// The plain maximum probability, which every other signal is compared with.
pub const PLAIN: usize = 0;
/// The signal that the controller uses.
pub const CONTROLLER: usize = 3;
/// Names of the signals and what they are; each is higher where the network is surer.
pub const SIGNAL_NAMES: [(&str, &str); SIGNALS] = [
    ("max_prob_plain", "highest probability, before the temperature"),
    ("max_prob", "highest probability"),
    ("one_minus_entropy", "1 − entropy / ln 11"),
    ("neighbour_mass", "mass of argmax ± 1: the controller’s"),
    ("margin", "highest − second highest probability"),
    ("minus_spread", "− standard deviation of the classes"),
    ("head_agreement", "− |regression − mean of the classes|"),
    ("mirror_agreement", "− |regression + that of the mirrored picture|"),
    ("minus_sigma", "− sigma of the calibrated correction"),
    // Last, because it is there with --reference only.
    ("feature_nearness", "− distance to the training features (--reference)"),
];
/// Groups of a conformal card; of a card without, the same bounds.
pub const GROUPS: [[&str; 2]; 2] = [["straight_slow", "straight_fast"], ["turn_slow", "turn_fast"]];
/// Bounds of the groups for a card without intervals: |regression| and m/s.
const BOUNDS: (f32, f32) = (0.2, 6.0);

/// One frame under one pack; steers on the pack's normalised scale.
pub struct Row {
    /// Which frame of its recording.
    pub mark: FrameMark,
    /// Of the vehicle, m/s.
    pub speed_mps: f32,
    /// The expert's steer.
    pub expert: f32,
    /// The expert's class.
    pub label: usize,
    /// What the network said, before the temperature.
    pub plain: Prediction,
    /// The same at the card's temperature.
    pub calibrated: Prediction,
    /// In the order of [`SIGNAL_NAMES`]; NaN where it was not measured.
    pub signals: [f64; SIGNALS],
    /// Into [`GROUPS`]: (turn, fast).
    pub group: (usize, usize),
    /// Half-width of the conformal interval.
    pub half_width: Option<f32>,
    /// After correction `calibrated`, and after `paper`.
    pub corrected: [f32; 2],
    /// Their regimes.
    pub regimes: [Regime; 2],
}

impl Row {
    /// |regression − expert|.
    pub fn error(&self) -> f32 {
        (self.plain.regression() - self.expert).abs()
    }

    /// A line of the predictions' file.
    pub fn to_json(&self, policy: &str, data: &str) -> serde_json::Value {
        let signals: serde_json::Map<String, serde_json::Value> = SIGNAL_NAMES
            .iter()
            .zip(self.signals)
            .map(|((name, _), v)| ((*name).to_owned(), json!(v)))
            .collect();
        json!({
            "frame_id": self.mark.frame_id,
            "time_s": self.mark.sim_time_ns as f64 * 1e-9,
            "steer_expert": self.expert,
            "regression": self.plain.regression(),
            "probs": self.plain.probs(),
            "confidence": self.plain.confidence(),
            "entropy": self.plain.entropy_nats(),
            "corrected": self.corrected[0],
            "regime": self.regimes[0],
            "corrected_paper": self.corrected[1],
            "regime_paper": self.regimes[1],
            "speed_mps": self.speed_mps,
            "drive": self.mark.drive,
            "policy": policy,
            "data": data,
            "signals": signals,
        })
    }
}

/// The rows of one recording under one pack. The correction begins anew with every drive.
///
/// # Errors
/// If the network gave no usable prediction of a frame.
pub fn rows(
    card: &PolicyCard,
    frames: &[FrameMark],
    said: &[Said],
    seed: u64,
) -> anyhow::Result<Vec<Row>> {
    let config = |mode| CorrectionConfig { mode, ..CorrectionConfig::default() };
    let modes = [config(CorrectionMode::Calibrated), config(CorrectionMode::Paper)];
    let (mut state, mut drive) = (CorrectionState::default(), None);
    let row = |(mark, said): (&FrameMark, &Said)| -> anyhow::Result<Row> {
        let told =
            || format!("pack {}: no usable prediction of frame {}", card.name, mark.frame_id);
        let (p, m) = (&said.as_is, &said.mirrored);
        let plain = Prediction::new(p.regression, p.probs(1.0)).with_context(told)?;
        let calibrated = Prediction::new(p.regression, p.probs(card.calibration.temperature))
            .with_context(told)?;
        if !m.regression.is_finite() {
            anyhow::bail!("{}, mirrored", told());
        }
        if drive.replace(mark.drive) != Some(mark.drive) {
            state = CorrectionState::default();
        }
        let key = (seed, FrameId(mark.frame_id));
        let [fused, paper] = modes
            .each_ref()
            .map(|config| correct(config, &card.calibration, &plain, &mut state, key));
        let s = signals(&calibrated);
        let (turn_above, fast_above_mps) =
            card.conformal.map_or(BOUNDS, |c| (c.turn_above, c.fast_above_mps));
        Ok(Row {
            mark: *mark,
            speed_mps: p.speed_mps,
            expert: p.steer,
            label: bin_of(p.steer).unwrap_or(BIN_COUNT / 2),
            plain,
            calibrated,
            signals: [
                f64::from(plain.confidence()),
                s.max_prob,
                s.one_minus_entropy,
                s.neighbour_mass,
                s.margin,
                s.minus_spread,
                s.head_agreement,
                -f64::from((p.regression + m.regression).abs()),
                -f64::from(fused.sigma),
                said.novelty.map_or(f64::NAN, |n| -f64::from(n)),
            ],
            group: (
                usize::from(p.regression.abs() > turn_above),
                usize::from(p.speed_mps >= fast_above_mps),
            ),
            half_width: card.conformal.map(|c| c.half_width(&calibrated, p.speed_mps)),
            corrected: [fused.steer, paper.steer],
            regimes: [fused.regime, paper.regime],
        })
    };
    frames.iter().zip(said).map(row).collect()
}
