//! `caril inspect --mine`: the moments of a folder's recordings that are most worth a look or a label.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use caril_core::{BIN_COUNT, Mode, StepRecord, bin_center};
use caril_record::Recording;
use caril_runtime::StopFlag;
use serde::Serialize;

use crate::exit::usage;
use crate::output;

/// Moments of one recording that lie nearer to each other than this show the same thing.
const APART_NS: u64 = 2_000_000_000;
/// Steer scale of the paper, where no pack's card says another.
const PAPER_STEER_SCALE: f32 = 0.25;

/// Why a moment is worth a look: each from 0 to 1. The score is their sum, with the distance to the
/// expert twice: it is the one thing that is known to be wrong.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct Reasons {
    /// 1 less the highest class probability.
    doubt: f32,
    /// How far the heads are apart, of half of the steering range.
    heads_differ: f32,
    /// How far the correction moved the steer, of the steer scale.
    corrected: f32,
    /// How far the uncorrected steer is from the expert's, of the steer scale.
    expert_differs: f32,
    /// 1 if there was a fault.
    fault: f32,
    /// 1 if the safety core had taken over.
    takeover: f32,
}

impl Reasons {
    fn of(step: &StepRecord, steer_scale: f32) -> Self {
        let share = |v: f32| if v.is_finite() { v.abs().min(1.0) } else { 0.0 };
        let flag = |v: bool| f32::from(u8::from(v));
        let seen = |v: f32| if step.predicted { share(v) } else { 0.0 };
        let class: f32 = (0..BIN_COUNT).map(|k| step.probs[k] * bin_center(k)).sum();
        let expert = step.truth.map_or(0.0, |t| (step.steer_raw - t.expert_steer) / steer_scale);
        Self {
            doubt: seen(1.0 - step.confidence),
            heads_differ: seen(step.regression - class),
            corrected: seen((step.steer_corrected - step.steer_raw) / steer_scale),
            expert_differs: seen(expert),
            fault: flag(!step.faults.is_empty()),
            takeover: flag(step.mode != Mode::Nominal),
        }
    }

    const fn score(&self) -> f32 {
        let Self { doubt, heads_differ, corrected, expert_differs, fault, takeover } = *self;
        doubt + heads_differ + corrected + 2.0 * expert_differs + fault + takeover
    }

    fn text(&self) -> String {
        let all = [
            ("doubt", self.doubt),
            ("heads differ", self.heads_differ),
            ("corrected", self.corrected),
            ("expert differs", self.expert_differs),
            ("fault", self.fault),
            ("take-over", self.takeover),
        ];
        let said = all.into_iter().filter(|(_, v)| *v >= 0.05);
        said.map(|(name, v)| format!("{name} {v:.2}")).collect::<Vec<_>>().join(", ")
    }
}

/// One moment.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Moment {
    recording: PathBuf,
    frame_id: u64,
    /// Plant time, seconds.
    time_s: f64,
    score: f32,
    reasons: Reasons,
}

/// What was looked at, and the best of it.
#[derive(Debug, Serialize)]
pub struct Mined {
    recordings: usize,
    /// Files that are no recordings of caril.
    passed_over: Vec<PathBuf>,
    /// Recordings that no network drove or watched: of what the score is made of, they have little.
    unscored: Vec<PathBuf>,
    /// Ctrl-C came before the last file.
    stopped: bool,
    frames: u64,
    moments: Vec<Moment>,
}

impl Mined {
    /// Whether it was stopped before the last file.
    pub const fn stopped(&self) -> bool {
        self.stopped
    }
}

/// The `most` moments with the highest scores of all recordings below `folder` (or of one file),
/// or of those that were read until `stop` was asked.
///
/// # Errors
/// If the folder cannot be read or holds no recording.
pub fn mine(folder: &Path, most: usize, stop: &StopFlag) -> anyhow::Result<Mined> {
    let mut files = Vec::new();
    find(folder, &mut files).with_context(|| format!("cannot read {}", folder.display()))?;
    files.sort();
    let mut all = Mined {
        recordings: 0,
        passed_over: Vec::new(),
        unscored: Vec::new(),
        stopped: false,
        frames: 0,
        moments: Vec::new(),
    };
    let bar = output::progress(files.len() as u64, "{bar:32} {pos}/{len} files  {msg}");
    for path in files {
        bar.inc(1);
        if stop.asked() {
            break;
        }
        let Ok(recording) = Recording::open(&path) else {
            all.passed_over.push(path);
            continue;
        };
        all.recordings += 1;
        let scale = recording.header().card.as_ref().map_or(PAPER_STEER_SCALE, |c| c.steer_scale);
        // What cannot be read is no moment worth a look.
        let (mut frames, mut predicted) = (0, false);
        let steps = recording.steps().map_while(Result::ok).take_while(|_| !stop.asked());
        let steps = steps.inspect(|step| {
            frames += 1;
            predicted |= step.predicted;
        });
        all.moments.extend(best(steps, scale, most).into_iter().map(|(step, reasons)| Moment {
            recording: path.clone(),
            frame_id: step.frame_id.0,
            time_s: step.sim_time_ns as f64 * 1e-9,
            score: reasons.score(),
            reasons,
        }));
        all.frames += frames;
        if frames > 0 && !predicted {
            all.unscored.push(path);
        }
        bar.set_message(format!("{} frames", all.frames));
    }
    bar.finish_and_clear();
    all.stopped = stop.asked();
    if all.recordings == 0 && !all.stopped {
        return Err(usage(format!("no recording below {}", folder.display())));
    }
    all.moments.sort_by(|a, b| b.score.total_cmp(&a.score));
    all.moments.truncate(most);
    Ok(all)
}

/// All `.mcap` files at or below `path`.
fn find(path: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    if !path.is_dir() {
        files.push(path.to_path_buf());
        return Ok(());
    }
    for entry in std::fs::read_dir(path)? {
        let (path, kind) = entry.and_then(|e| Ok((e.path(), e.file_type()?)))?;
        // A link to a folder may lead in a circle.
        if kind.is_dir() {
            find(&path, files)?;
        } else if path.extension().is_some_and(|e| e == "mcap") {
            files.push(path);
        }
    }
    Ok(())
}

/// The best steps that lie apart: each time the best that is left, and nothing near it.
fn best(
    steps: impl Iterator<Item = StepRecord>,
    steer_scale: f32,
    most: usize,
) -> Vec<(StepRecord, Reasons)> {
    // Of each tenth of a second the best one is enough to choose from: an hour is then 36,000.
    let mut candidates: Vec<(StepRecord, Reasons)> = Vec::new();
    for step in steps {
        let reasons = Reasons::of(&step, steer_scale);
        let near =
            |other: &StepRecord| step.sim_time_ns.abs_diff(other.sim_time_ns) < APART_NS / 20;
        match candidates.last_mut() {
            Some(last) if near(&last.0) => {
                if reasons.score() > last.1.score() {
                    *last = (step, reasons);
                }
            }
            _ => candidates.push((step, reasons)),
        }
    }
    candidates.sort_by(|a, b| b.1.score().total_cmp(&a.1.score()));
    let mut chosen: Vec<(StepRecord, Reasons)> = Vec::new();
    for (step, reasons) in candidates {
        let near =
            |c: &(StepRecord, Reasons)| c.0.sim_time_ns.abs_diff(step.sim_time_ns) < APART_NS;
        if chosen.len() >= most || reasons.score() <= 0.0 {
            break;
        }
        if !chosen.iter().any(near) {
            chosen.push((step, reasons));
        }
    }
    chosen
}

/// The list for people.
pub fn text(mined: &Mined) -> String {
    let mut text = format!("{} recordings, {} frames\n", mined.recordings, mined.frames);
    for path in &mined.passed_over {
        text += &format!("passed over: {}\n", path.display());
    }
    for path in &mined.unscored {
        text += &format!(
            "no network's opinion in {0}: mine what `caril replay {0} --policy PACK --out DIR` writes\n",
            path.display()
        );
    }
    if mined.stopped {
        text += "stopped early\n";
    }
    for m in &mined.moments {
        text += &format!(
            "{:5.2}  frame {:6}  {:8.2} s  {}  ({})\n",
            m.score,
            m.frame_id,
            m.time_s,
            m.recording.display(),
            m.reasons.text()
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use caril_core::{Fault, FaultSet, FrameId, Truth};

    use super::*;

    fn step(id: u64, confidence: f32, expert_steer: f32) -> StepRecord {
        let mut probs = [0.0; BIN_COUNT];
        probs[5] = 1.0;
        StepRecord {
            frame_id: FrameId(id),
            sim_time_ns: id * 50_000_000,
            predicted: true,
            confidence,
            probs,
            truth: Some(Truth { expert_steer, ..Truth::default() }),
            ..StepRecord::default()
        }
    }

    #[test]
    fn the_worst_moments_come_first_and_lie_apart() {
        let steps = (0..400).map(|id| match id {
            // A doubtful second, a wrong one and a fault.
            100..120 => step(id, 0.4, 0.0),
            200..220 => step(id, 0.8, 0.25),
            300 => StepRecord { faults: FaultSet::of(Fault::ImageBlack), ..step(id, 0.9, 0.0) },
            _ => step(id, 0.99, 0.0),
        });
        let found = best(steps, 0.25, 3);
        let ids: Vec<u64> = found.iter().map(|(s, _)| s.frame_id.0).collect();
        assert!((200..220).contains(&ids[0]) && ids[1] == 300, "{ids:?}");
        assert!((100..120).contains(&ids[2]), "{ids:?}");
        assert_eq!(found[0].1.text(), "doubt 0.20, expert differs 1.00");
        for (k, id) in ids.iter().enumerate() {
            assert!(ids[..k].iter().all(|other| other.abs_diff(*id) >= 40), "{ids:?}");
        }
    }

    #[test]
    fn recordings_without_a_networks_opinion_are_named() {
        use caril_core::{CameraSpec, Pacing, PlantInfo, RecordConfig};
        use caril_record::{Recorder, RecordingHeader};
        let folder = tempfile::tempdir().unwrap();
        for (name, predicted) in [("expert.mcap", false), ("policy.mcap", true)] {
            let header = RecordingHeader::new(PlantInfo {
                name: "test".into(),
                map: "none".into(),
                weather: "none".into(),
                camera: CameraSpec { width: 16, height: 16, ..CameraSpec::PAPER },
                rate_hz: 20.0,
                pacing: Pacing::Lockstep,
                route: Vec::new(),
            });
            let path = folder.path().join(name);
            let mut recorder = Recorder::start(&path, &header, &RecordConfig::default()).unwrap();
            recorder.push_blocking(&StepRecord { predicted, ..step(1, 0.4, 0.0) }, None);
            recorder.finish();
        }
        let stop = StopFlag::new();
        let mined = mine(folder.path(), 5, &stop).unwrap();
        assert_eq!((mined.recordings, mined.frames, mined.moments.len()), (2, 2, 1));
        assert_eq!(mined.unscored, [folder.path().join("expert.mcap")]);
        assert!(text(&mined).contains("caril replay") && !mined.stopped());
        stop.ask();
        assert!(mine(folder.path(), 5, &stop).unwrap().stopped());
    }

    #[test]
    fn numbers_that_are_none_count_for_nothing() {
        let mut bad = step(1, f32::NAN, f32::INFINITY);
        (bad.regression, bad.steer_corrected) = (f32::NAN, f32::NEG_INFINITY);
        assert_eq!(Reasons::of(&bad, 0.25).score(), 0.0);
        let unseen = StepRecord { predicted: false, ..step(1, 0.0, 1.0) };
        assert_eq!(Reasons::of(&unseen, 0.25), Reasons::default());
    }
}
