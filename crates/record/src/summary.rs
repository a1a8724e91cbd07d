//! What a recording holds, in numbers.

use std::collections::BTreeMap;

use caril_core::{BIN_COUNT, bin_of};
use serde::Serialize;

use crate::reader::{Entry, Stream};
use crate::{Episode, RecordError, Recording, topics};

/// Steer scale of the paper, where no pack's card says another.
const PAPER_STEER_SCALE: f32 = 0.25;

/// Quantiles of a measure over all steps.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
#[allow(missing_docs)]
pub struct Quantiles {
    pub min: f32,
    pub p05: f32,
    pub p25: f32,
    pub p50: f32,
    pub p75: f32,
    pub p95: f32,
    pub max: f32,
}

impl Quantiles {
    /// Nearest rank; `None` of nothing.
    fn of(mut values: Vec<f32>) -> Option<Self> {
        values.sort_by(f32::total_cmp);
        let last = values.len().checked_sub(1)?;
        let at = |q: f64| values.get((q * last as f64).round() as usize).copied().unwrap_or(0.0);
        Some(Self {
            min: at(0.0),
            p05: at(0.05),
            p25: at(0.25),
            p50: at(0.5),
            p75: at(0.75),
            p95: at(0.95),
            max: at(1.0),
        })
    }
}

/// Result of [`Recording::summary`].
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RecordingSummary {
    /// What made it.
    pub kind: String,
    /// Version of caril that wrote it.
    pub version: String,
    /// Whether it was finished and can be read to its end.
    pub complete: bool,
    /// Messages by topic.
    pub topics: BTreeMap<String, u64>,
    /// Steps.
    pub frames: u64,
    /// Pictures.
    pub images: u64,
    /// Steps that cannot be read.
    pub unreadable: u64,
    /// Steps that the recorder dropped; none if the recording was not finished.
    pub dropped_steps: Option<u64>,
    /// Pictures that the recorder dropped; none if the recording was not finished.
    pub dropped_images: Option<u64>,
    /// From the first step to the last, plant time, seconds.
    pub duration_s: f64,
    /// Program that was driven.
    pub plant: String,
    /// Its map.
    pub map: String,
    /// Its weather; of several episodes, the first one's.
    pub weather: String,
    /// Drives of their own by weather, where a recording has several.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub episodes: BTreeMap<String, u64>,
    /// Name of the policy.
    pub policy: String,
    /// Name of the pack.
    pub pack: Option<String>,
    /// Seed.
    pub seed: u64,
    /// Steps by the controller's mode.
    pub modes: BTreeMap<String, u64>,
    /// Steps by fault.
    pub faults: BTreeMap<String, u64>,
    /// Steps by rule of the correction.
    pub regimes: BTreeMap<String, u64>,
    /// Highest class probability, steps with a prediction.
    pub confidence: Option<Quantiles>,
    /// The confidence that decided, steps with a prediction.
    pub correction_confidence: Option<Quantiles>,
    /// The expert's steer by class, left to right, on the network's scale.
    pub expert_bins: [u64; BIN_COUNT],
}

impl Recording {
    /// Walks the whole file once.
    ///
    /// # Errors
    /// [`RecordError::Io`] if the file cannot be read.
    pub fn summary(&self) -> Result<RecordingSummary, RecordError> {
        let header = self.header();
        let scale = header.card.as_ref().map_or(PAPER_STEER_SCALE, |card| card.steer_scale);
        let mut s = RecordingSummary {
            kind: header.kind.clone(),
            version: header.version.clone(),
            complete: self.complete(),
            topics: BTreeMap::new(),
            frames: 0,
            images: 0,
            unreadable: 0,
            dropped_steps: None,
            dropped_images: None,
            duration_s: 0.0,
            plant: header.plant.name.clone(),
            map: header.plant.map.clone(),
            weather: header.plant.weather.clone(),
            episodes: BTreeMap::new(),
            policy: header.policy.clone(),
            pack: header.card.as_ref().map(|card| card.name.clone()),
            seed: header.seed,
            modes: BTreeMap::new(),
            faults: BTreeMap::new(),
            regimes: BTreeMap::new(),
            confidence: None,
            correction_confidence: None,
            expert_bins: [0; BIN_COUNT],
        };
        let (mut confidence, mut deciding) = (Vec::new(), Vec::new());
        let mut span: Option<(u64, u64)> = None;
        let mut stream = Stream::open(self.path(), false)?;
        while let Some(entry) = stream.next()? {
            let step = match entry {
                Entry::Step(Ok(step)) => step,
                Entry::Step(Err(_)) => {
                    s.unreadable += 1;
                    continue;
                }
                Entry::Metadata(m) if m.name == topics::EPISODE => {
                    count(&mut s.episodes, &Episode::from_facts(&m.metadata).weather);
                    continue;
                }
                Entry::Metadata(end) if end.name == topics::END => {
                    let number = |key: &str| end.metadata.get(key)?.parse().ok();
                    s.dropped_steps = number("dropped_steps");
                    s.dropped_images = number("dropped_images");
                    continue;
                }
                _ => continue,
            };
            s.frames += 1;
            let t = step.sim_time_ns;
            span = Some(span.map_or((t, t), |(first, last)| (first.min(t), last.max(t))));
            count(&mut s.modes, topics::mode_name(step.mode));
            count(&mut s.regimes, step.correction.regime.name());
            step.faults.iter().for_each(|fault| count(&mut s.faults, fault.name()));
            if step.predicted {
                confidence.push(step.confidence);
                deciding.push(step.correction.confidence);
            }
            if let Some(truth) = &step.truth
                && let Some(n) =
                    bin_of(truth.expert_steer / scale).and_then(|k| s.expert_bins.get_mut(k))
            {
                *n += 1;
            }
        }
        s.complete &= !stream.damaged;
        s.images = stream.counts.get(topics::IMAGE).copied().unwrap_or(0);
        s.topics = stream.counts;
        s.duration_s = span.map_or(0.0, |(first, last)| (last - first) as f64 * 1e-9);
        s.confidence = Quantiles::of(confidence);
        s.correction_confidence = Quantiles::of(deciding);
        Ok(s)
    }
}

fn count(by: &mut BTreeMap<String, u64>, name: &str) {
    match by.get_mut(name) {
        Some(n) => *n += 1,
        None => drop(by.insert(name.to_owned(), 1)),
    }
}
