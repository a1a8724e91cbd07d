//! Whatever goes wrong in a drive, its replay is the same to the bit: a scripted plant and a
//! scripted network with every fault that either can have.

mod common;

use std::path::Path;

use caril_core::{
    Config, CorrectionMode, CounterRng, Fault, FaultSet, FrameId, Pacing, Policy, Regime,
    StepRecord, World,
};
use caril_record::{Part, Recorder, RecorderStats, Recording, RecordingHeader, Trigger};
use caril_runtime::{
    Comparison, DriveOptions, DriveStats, ReplayCounts, ReplayOptions, StopFlag, drive, replay,
};
use common::{Net, Trouble};

/// Fewer than pictures may wait for the recorder, so that none is dropped however slow it is.
const FRAMES: u64 = 250;

fn config(pacing: Pacing) -> Config {
    let mut config = Config::default();
    config.drive_loop.pacing = pacing;
    config.record.lossless = true;
    config.record.image_queue = 256;
    config.gate.tolerate_frames = 3;
    config.gate.recover_frames = 5;
    config
}

fn record(path: &Path, seed: u64, config: &Config) -> (Recording, ReplayCounts) {
    let stats = record_with(path, seed, config, FRAMES, |header| {
        Recorder::start(path, header, &config.record).unwrap()
    });
    let frames = stats.steps;
    let expected =
        ReplayCounts { frames, replayed: frames, complete: true, ..ReplayCounts::default() };
    (Recording::open(path).unwrap(), expected)
}

fn record_with(
    path: &Path,
    seed: u64,
    config: &Config,
    frames: u64,
    start: impl FnOnce(&RecordingHeader) -> Recorder,
) -> RecorderStats {
    let mut world = Trouble::new(seed);
    let header = RecordingHeader {
        card: Some(Net::new().card),
        ..RecordingHeader::new(world.info().clone())
    };
    let mut recorder = start(&header);
    let stop = StopFlag::new();
    let options = DriveOptions { frame_limit: Some(frames) };
    let mut seen = 0;
    let mut on_step = |_: &StepRecord, _: &DriveStats| {
        seen += 1;
        // A stop is asked for towards the end; the plant does not obey, so the drive goes on.
        if seen == frames - 30 {
            stop.ask();
        }
    };
    drive(&mut world, Net::new(), config, Some(&mut recorder), &stop, options, &mut on_step)
        .unwrap();
    let stats = recorder.finish();
    assert_eq!(
        (stats.dropped_steps, stats.dropped_images, stats.write_error.as_deref()),
        (0, 0, None),
        "{}",
        path.display()
    );
    stats
}

fn again(
    recording: &Recording,
    net: &mut Net,
    network: bool,
    config: &Config,
    from: Option<u64>,
) -> (ReplayCounts, Comparison, Vec<StepRecord>) {
    let mut comparison = Comparison::default();
    let mut steps = Vec::new();
    let card = net.card.clone();
    let counts = replay(
        recording,
        &card,
        if network { Some(net as &mut dyn Policy) } else { None },
        &[*config],
        ReplayOptions { from: from.map(FrameId), frames: None },
        &StopFlag::new(),
        &mut |tick| {
            if !tick.before {
                comparison.add(tick.then, &tick.now[0]);
                steps.push(tick.now[0]);
            }
        },
    );
    (counts.unwrap(), comparison, steps)
}

/// Text that tells every bit but of a NaN's payload.
fn text(steps: &[StepRecord]) -> Vec<String> {
    steps.iter().map(|s| format!("{s:?}")).collect()
}

#[test]
fn every_fault_replays_to_the_bit_in_both_pacings() {
    let folder = tempfile::tempdir().unwrap();
    let (mut seen, mut regimes) = (FaultSet::EMPTY, Vec::new());
    for seed in 0..6 {
        let pacing = if seed % 2 == 0 { Pacing::Lockstep } else { Pacing::Free };
        let config = config(pacing);
        let path = folder.path().join(format!("{seed}.mcap"));
        let (recording, expected) = record(&path, seed, &config);
        for step in recording.steps().map(Result::unwrap) {
            seen = seen.union(step.faults);
            regimes.push((step.correction.regime, step.second_look));
        }
        for network in [true, false] {
            let (counts, comparison, _) =
                again(&recording, &mut Net::new(), network, &config, None);
            assert_eq!(comparison.first, None, "seed {seed}, network {network}");
            assert!(counts.no_frames > 0);
            let no_frames = counts.no_frames;
            assert_eq!(counts, ReplayCounts { no_frames, ..expected });
            assert_eq!(comparison.compared, counts.frames + counts.no_frames);
        }
    }
    for regime in [(Regime::Slowed, false), (Regime::SecondLook, true)] {
        assert!(regimes.contains(&regime), "{regime:?} never came");
    }
    for fault in [
        Fault::FrameRepeated,
        Fault::FrameOutOfOrder,
        Fault::FrameGap,
        Fault::ImageFrozen,
        Fault::ImageBlack,
        Fault::ImageBlownOut,
        Fault::ImageMalformed,
        Fault::EgoInvalid,
        Fault::PredictionNonFinite,
        Fault::PredictionMalformed,
        Fault::PlantGone,
        Fault::MessageMalformed,
        Fault::StopRequested,
    ] {
        assert!(seen.contains(fault), "{} never came", fault.name());
    }
}

/// They look at one network's predictions, and each asks for second looks of its own.
#[test]
fn configurations_that_are_replayed_together_decide_as_each_alone() {
    let folder = tempfile::tempdir().unwrap();
    let mut configs = [config(Pacing::Lockstep); 4];
    configs[1].correction.second_look = false;
    configs[2].correction.mode = CorrectionMode::Paper;
    configs[3].correction.mass_enter = Some(0.5);
    // About every other dark picture is black to this one.
    configs[3].gate.black_mean = 9.5;
    let (recording, _) = record(&folder.path().join("a.mcap"), 4, &configs[0]);
    for network in [true, false] {
        let (mut net, mut together) = (Net::new(), vec![Vec::new(); configs.len()]);
        let card = net.card.clone();
        let policy = if network { Some(&mut net as &mut dyn Policy) } else { None };
        let options = ReplayOptions { from: None, frames: None };
        replay(&recording, &card, policy, &configs, options, &StopFlag::new(), &mut |tick| {
            for (steps, now) in together.iter_mut().zip(tick.now) {
                steps.push(*now);
            }
        })
        .unwrap();
        for (config, together) in configs.iter().zip(&together) {
            let (.., alone) = again(&recording, &mut Net::new(), network, config, None);
            assert_eq!(text(together), text(&alone), "network {network}, {config:?}");
        }
        let looks = |k: usize| together[k].iter().filter(|s| s.second_look).count();
        assert!(looks(0) > looks(3) && looks(3) > 0, "{} {}", looks(0), looks(3));
        assert_eq!((looks(1), looks(2)), (0, 0));
    }
}

#[test]
fn a_replay_from_any_frame_is_the_tail_of_the_whole() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(Pacing::Lockstep);
    let (recording, _) = record(&folder.path().join("a.mcap"), 3, &config);
    let (_, _, whole) = again(&recording, &mut Net::new(), true, &config, None);
    for from in [1, 37, 58, 111, 203] {
        let (counts, comparison, tail) =
            again(&recording, &mut Net::new(), true, &config, Some(from));
        assert_eq!(comparison.first, None, "from {from}");
        assert_eq!(text(&tail), text(&whole[whole.len() - tail.len()..]), "from {from}");
        assert!(tail[0].frame_id.0 >= from && counts.before + counts.replayed == counts.frames);
    }
}

/// What an event recorder keeps of a drive.
#[test]
fn the_clips_of_an_event_recorder_replay_to_the_bit() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(Pacing::Lockstep);
    let frames = 1000;
    for (seed, before_s) in [(3, 0), (5, 1), (8, 2)] {
        let path = folder.path().join(format!("{seed}.mcap"));
        record_with(&path, seed, &config, frames, |header| {
            Recorder::start(&path, header, &config.record).unwrap()
        });
        let whole: Vec<_> = Recording::open(&path).unwrap().steps().map(Result::unwrap).collect();
        // The same drive again; its five least confident steps are the events.
        let decided = whole.iter().filter(|s| s.correction.regime != Regime::NoPrediction);
        let mut sure: Vec<f32> = decided.map(|s| s.correction.confidence).collect();
        sure.sort_by(f32::total_cmp);
        let trigger = Trigger {
            before_ns: before_s * 1_000_000_000,
            after_ns: 300_000_000,
            confidence_below: Some(sure[5]),
            corrections: false,
            faults: false,
            takeovers: false,
        };
        let stats = record_with(&path, seed, &config, frames, |header| {
            Recorder::start_triggered(&path, header, &config.record, trigger).unwrap()
        });
        assert!(stats.clips >= 2 && stats.left_out_steps > 100, "seed {seed}: {stats:?}");
        assert_eq!(stats.steps + stats.left_out_steps, whole.len() as u64);
        let recording = Recording::open(&path).unwrap();
        let kept: Vec<_> = recording.steps().map(Result::unwrap).collect();
        for (k, event) in whole.iter().enumerate().filter(|(_, s)| trigger.fires(s)) {
            // What was before it and after it is there too.
            let wanted = whole[..=k].iter().filter(|s| {
                s.sim_time_ns + trigger.before_ns >= event.sim_time_ns
                    && s.sim_time_ns <= event.sim_time_ns
            });
            let mut wanted = wanted.chain(whole[k..].iter().take(6));
            assert!(wanted.all(|w| kept.iter().any(|s| s.frame_id == w.frame_id)), "step {k}");
        }
        let (counts, comparison, _) = again(&recording, &mut Net::new(), true, &config, None);
        assert_eq!(comparison.first, None, "seed {seed}");
        assert!(counts.left_out > 0 && counts.left_out <= stats.left_out_steps);
        assert_eq!((counts.replayed, counts.unreadable), (stats.steps, 0));
        // From the middle of a later clip.
        let from = kept[kept.len() * 3 / 5].frame_id.0;
        let (_, tail, _) = again(&recording, &mut Net::new(), true, &config, Some(from));
        assert_eq!((tail.first.clone(), tail.compared > 0), (None, true), "seed {seed}");
        assert!(tail.compared < comparison.compared);
    }
}

/// A replay that begins by the index reads little: what lies before may as well be gone.
#[test]
fn a_replay_from_the_end_does_not_read_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(Pacing::Lockstep);
    let path = folder.path().join("a.mcap");
    let stats = record_with(&path, 2, &config, 3000, |header| {
        Recorder::start(&path, header, &config.record).unwrap()
    });
    let recording = Recording::open(&path).unwrap();
    let last = recording.steps().map(|s| s.unwrap().frame_id.0).max().unwrap();
    let (counts, comparison, tail) =
        again(&recording, &mut Net::new(), true, &config, Some(last - 5));
    assert_eq!((comparison.first.clone(), tail.is_empty()), (None, false));
    assert_eq!(counts.before + counts.replayed, stats.steps);
    // Damaged in the first half: a walk from the start ends there.
    let mut bytes = std::fs::read(&path).unwrap();
    let at = bytes.len() / 4;
    bytes[at..at + 40_000].fill(0);
    std::fs::write(&path, &bytes).unwrap();
    let damaged = Recording::open(&path).unwrap();
    let (counts, comparison, same) =
        again(&damaged, &mut Net::new(), true, &config, Some(last - 5));
    assert_eq!((comparison.first, text(&same)), (None, text(&tail)));
    assert_eq!(counts.before + counts.replayed, stats.steps);
    let (counts, ..) = again(&damaged, &mut Net::new(), true, &config, None);
    assert!(counts.frames < stats.steps / 2, "{counts:?}");
}

/// At 200 places: what is there is replayed, as it was, and nothing else happens.
#[test]
fn a_cut_recording_replays_up_to_the_cut() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(Pacing::Lockstep);
    let (recording, all) = record(&folder.path().join("a.mcap"), 1, &config);
    let bytes = std::fs::read(recording.path()).unwrap();
    let cut = folder.path().join("cut.mcap");
    let mut r = CounterRng::new(200, 0);
    let mut lengths: Vec<u64> = (0..200).map(|_| r.below(bytes.len() as u64)).collect();
    lengths.sort_unstable();
    let mut last = 0;
    for len in lengths {
        std::fs::write(&cut, &bytes[..len as usize]).unwrap();
        let Ok(recording) = Recording::open(&cut) else {
            assert_eq!(last, 0, "a longer file has no header");
            continue;
        };
        let (counts, comparison, _) = again(&recording, &mut Net::new(), true, &config, None);
        assert_eq!((comparison.first, counts.complete), (None, false), "{len} bytes");
        assert!(counts.frames >= last && counts.replayed == counts.frames);
        last = counts.frames;
    }
    assert!(last > 0 && last <= all.frames);
}

#[test]
fn missing_pictures_are_counted_and_change_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = config(Pacing::Lockstep);
    config.record.image_every = 3;
    let (recording, expected) = record(&folder.path().join("a.mcap"), 4, &config);
    let (counts, comparison, _) = again(&recording, &mut Net::new(), true, &config, None);
    assert_eq!(comparison.first, None);
    assert_eq!(counts.missing + counts.replayed, expected.frames);
    assert_eq!(counts.replayed, expected.frames.div_ceil(3));
}

#[test]
fn what_was_changed_is_named_with_its_first_tick_and_stage() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(Pacing::Lockstep);
    let (recording, _) = record(&folder.path().join("a.mcap"), 6, &config);
    let steps: Vec<_> = recording.steps().map(Result::unwrap).collect();
    let first = |net: &mut Net, config: &Config| {
        let (_, comparison, _) = again(&recording, net, true, config, None);
        comparison.first.map(|f| (f.frame_id, f.stage))
    };
    let find = |is: &dyn Fn(&StepRecord) -> bool| steps.iter().find(|s| is(s)).unwrap().frame_id;

    let mut net = Net::new();
    net.nudge = 1e-6;
    assert_eq!(first(&mut net, &config), Some((find(&|s| s.predicted), Part::Infer)));

    let mut net = Net::new();
    net.card.calibration.regression_sigma *= 1.01;
    assert_eq!(first(&mut net, &config).map(|f| f.1), Some(Part::Correct));

    let mut other = config;
    other.gate.black_mean = 90.5;
    let old: FaultSet = [Fault::FrameRepeated, Fault::FrameOutOfOrder].into_iter().collect();
    let dark = |s: &StepRecord| {
        (config.gate.black_mean..=90.5).contains(&s.image.mean_luma)
            && !s.faults.intersects(old)
            && !s.faults.contains(Fault::ImageBlack)
    };
    assert_eq!(first(&mut Net::new(), &other), Some((find(&dark), Part::Gate)));

    let mut other = config;
    other.limits.steer_rate_max_per_s *= 1.01;
    assert_eq!(first(&mut Net::new(), &other).map(|f| f.1), Some(Part::Command));
    assert_eq!(first(&mut Net::new(), &config), None);
}
