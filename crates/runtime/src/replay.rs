//! Replay: a recording's frames through policy and controller again.
//!
//! A [`StepRecord`] holds everything that its step looked at but for the pixels, so a replay is
//! exact where the picture is lossless: the same build, pack and configuration give the same
//! records to the bit, but for the clock ([`caril_record::Part::Clock`]).
//!
//! Where the controller cannot be shown the pixels (no picture, one that cannot be decoded, or
//! frames before the first one asked for), it is told what it was told then: the recorded picture
//! check and the recorded prediction. That is also how a replay from any frame is exact: the
//! controller runs over the steps before it, and only the network does not. Nor need it begin at the
//! start for that: recordings hold what it remembers about once a second, and MCAP's index finds it.

mod compare;

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use caril_control::check_image;
use caril_core::{
    BIN_COUNT, Config, ConfigError, ControllerMemory, Fault, Frame, FrameId, Image, Lift, Policy,
    PolicyCard, Prediction, StepRecord,
};
use caril_record::{
    EncodedImage, Episode, Event, ImageFormat, RecordError, RecordedMemory, Recording,
};
use serde::Serialize;

use crate::{Decider, StopFlag};

pub use compare::{Changes, Comparison, ExpertDistance, FirstDifference, SteerDifference};

/// Decoded pictures that wait for the network at most: 0.8 MB each at 448×448.
const AHEAD: usize = 16;

/// Longer than this, in a recording that no policy drove, another drive begins.
const PAUSE_NS: u64 = 1_000_000_000;

/// What is run again.
#[derive(Debug, Clone, Copy, Default)]
pub struct ReplayOptions {
    /// The network starts at the first frame with this id or a higher one. The controller begins
    /// with what it remembered up to a second before or, in a recording that does not tell, at the
    /// start. What it remembers is of the drive: under another configuration this is a change from
    /// here on, not from the start.
    pub from: Option<FrameId>,
    /// Ends after so many frames.
    pub frames: Option<u64>,
}

/// What was done about a frame's picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Picture {
    /// The network saw the very pixels of then.
    Lossless,
    /// The network saw a JPEG of them; the picture's check is the recorded one.
    Lossy,
    /// There is none in the recording: the recorded prediction stands in.
    Missing,
    /// There is one that cannot be decoded: the recorded prediction stands in.
    Undecodable,
    /// Nobody asked for it: before the first frame, or predictions are taken from the recording.
    Unused,
}

/// One step, then and now.
#[derive(Debug)]
pub struct Tick<'a> {
    /// As recorded.
    pub then: &'a StepRecord,
    /// As each configuration would have it, in the order in which they were given.
    pub now: &'a [StepRecord],
    /// The episode that it is of, where the recording has several.
    pub episode: Option<&'a Episode>,
    /// Whether the step had a frame.
    pub frame: bool,
    /// Whether it comes before the first frame asked for.
    pub before: bool,
    /// The picture.
    pub picture: Picture,
    /// Its pixels, where the network saw it.
    pub image: Option<&'a Image>,
}

/// Every step of a recording, accounted for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct ReplayCounts {
    /// Steps with a frame that can be read.
    pub frames: u64,
    /// Of these, before the first frame asked for.
    pub before: u64,
    /// Of these, the network ran again (or, without a network, the controller did).
    pub replayed: u64,
    /// Of the replayed, with a picture that had been compressed with loss.
    pub lossy: u64,
    /// Of the frames, without a picture.
    pub missing: u64,
    /// Of the frames, with a picture that cannot be decoded.
    pub undecodable: u64,
    /// Steps without a frame: nothing had come in time.
    pub no_frames: u64,
    /// Steps that cannot be read; the controller was not told of them.
    pub unreadable: u64,
    /// Steps with a frame that an event recorder left out, here and there between the others.
    pub left_out: u64,
    /// Steps that the recorder had to drop; 0 if the recording was cut off.
    pub dropped: u64,
    /// Frames of a recorder that did not write down all that a step looks at.
    pub approximate: u64,
    /// Whether the recording was finished and could be read to its end.
    pub complete: bool,
    /// Whether the replay was stopped early.
    pub stopped: bool,
}

/// Why there is no replay.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// The recording cannot be read.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// A configuration makes no sense.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The thread that reads ahead cannot be started.
    #[error("starting the reader's thread failed: {0}")]
    Thread(std::io::Error),
}

/// Runs a recording again with each of `configs`, in one pass.
///
/// * `card` – steer scale and calibration of the controller
/// * `policy` – the network, or none: then the recorded predictions are taken
/// * `on_tick` – sees every step, those before the first frame asked for as well
///
/// Pictures are read and decoded ahead in a thread of their own; memory does not grow with the
/// recording's length.
///
/// # Errors
/// [`ReplayError`] if the file cannot be read or a configuration makes no sense. Damage inside the
/// file is no error: it is counted.
pub fn replay(
    recording: &Recording,
    card: &PolicyCard,
    mut policy: Option<&mut (dyn Policy + '_)>,
    configs: &[Config],
    options: ReplayOptions,
    stop: &StopFlag,
    on_tick: &mut dyn FnMut(&Tick<'_>),
) -> Result<ReplayCounts, ReplayError> {
    let start = configs.iter().map(|c| Decider::new(card, c)).collect::<Result<Vec<_>, _>>()?;
    let pictures = policy.is_some();
    let probe = start.first().copied();
    // Where no policy drove, the controller has nothing to remember: it begins where it is asked to.
    let watched = recording.header().card.is_none();
    let mut run = Run {
        deciders: start.clone(),
        start,
        now: vec![StepRecord::default(); configs.len()],
        frame: Frame::for_camera(&recording.header().camera),
        counts: ReplayCounts { complete: recording.complete(), ..ReplayCounts::default() },
        watched,
        last_ns: None,
        episode: None,
    };
    std::thread::scope(|scope| {
        let (send, receive): (_, Receiver<Result<Work, RecordError>>) = sync_channel(AHEAD);
        std::thread::Builder::new()
            .name("caril-replay".into())
            .spawn_scoped(scope, move || {
                read_ahead(recording, pictures, options.from, probe.as_ref(), &send);
            })
            .map_err(ReplayError::Thread)?;
        for work in receive {
            if stop.asked() {
                run.counts.stopped = true;
                break;
            }
            run.take(work?, policy.as_deref_mut(), on_tick);
            let done = run.counts.frames - run.counts.before;
            if options.frames.is_some_and(|most| done >= most) {
                break;
            }
        }
        Ok(run.counts)
    })
}

/// A step with its picture's pixels.
#[allow(clippy::large_enum_variant)] // A handful are alive.
enum Work {
    Frame { step: StepRecord, before: bool, pixels: Option<Image>, picture: Picture },
    NoFrame { step: StepRecord, before: bool },
    Memory { memory: RecordedMemory, steps_before: u64, jumped: bool },
    Episode(Episode),
    Unreadable,
    Damaged,
    Dropped(u64),
}

/// Reads and decodes until the end, or until nobody listens any more.
fn read_ahead(
    recording: &Recording,
    pictures: bool,
    from: Option<FrameId>,
    probe: Option<&Decider>,
    send: &SyncSender<Result<Work, RecordError>>,
) {
    let fits = |memory: &ControllerMemory| probe.is_some_and(|d| d.remembering(memory).is_some());
    let events = match from {
        Some(from) => recording.events_from(pictures, from, &fits),
        None => recording.events(pictures),
    };
    let mut events = match events {
        Ok(events) => events,
        Err(e) => return drop(send.send(Err(e))),
    };
    // Once begun it goes on: frames may come late, with lower ids.
    let mut begun = from.is_none();
    let mut jumped = events.has_jumped();
    for event in events.by_ref() {
        let work = event.map(|event| match event {
            Event::Step(step, image) => {
                begun |= from.is_some_and(|id| step.frame_id >= id);
                let (picture, pixels) =
                    if begun && pictures { decode(image) } else { (Picture::Unused, None) };
                Work::Frame { step, before: !begun, pixels, picture }
            }
            Event::NoFrame(step) => Work::NoFrame { step, before: !begun },
            Event::Memory(memory, steps_before) => {
                Work::Memory { memory, steps_before, jumped: std::mem::take(&mut jumped) }
            }
            Event::Episode(episode) => Work::Episode(episode),
            Event::Unreadable(_) => Work::Unreadable,
            Event::Dropped(n) => Work::Dropped(n),
        });
        let last = work.is_err();
        if send.send(work).is_err() || last {
            return;
        }
    }
    if events.damaged() {
        let _ = send.send(Ok(Work::Damaged));
    }
}

fn decode(image: Option<Result<EncodedImage, RecordError>>) -> (Picture, Option<Image>) {
    let Some(image) = image else { return (Picture::Missing, None) };
    match image.and_then(|image| Ok((image.format, image.decode()?))) {
        Ok((ImageFormat::Png, pixels)) => (Picture::Lossless, Some(pixels)),
        Ok((ImageFormat::Jpeg, pixels)) => (Picture::Lossy, Some(pixels)),
        Err(_) => (Picture::Undecodable, None),
    }
}

struct Run {
    deciders: Vec<Decider>,
    now: Vec<StepRecord>,
    frame: Frame,
    counts: ReplayCounts,
    /// At rest.
    start: Vec<Decider>,
    /// No policy drove: what comes before the first frame asked for is passed over.
    watched: bool,
    /// Plant time of the frame before, nanoseconds.
    last_ns: Option<u64>,
    /// Of the steps that come now.
    episode: Option<Episode>,
}

impl Run {
    fn take(
        &mut self,
        work: Work,
        policy: Option<&mut (dyn Policy + '_)>,
        on_tick: &mut dyn FnMut(&Tick<'_>),
    ) {
        let (then, frame, before, picture) = match work {
            Work::Unreadable => return self.counts.unreadable += 1,
            Work::Damaged => return self.counts.complete = false,
            Work::Dropped(n) => return self.counts.dropped += n,
            Work::Episode(episode) => return self.episode = Some(episode),
            Work::Memory { memory, steps_before, jumped } => {
                return self.remember(&memory, steps_before, jumped);
            }
            Work::Frame { before: true, .. } if self.watched => {
                self.counts.frames += 1;
                self.counts.before += 1;
                return;
            }
            Work::NoFrame { before: true, .. } if self.watched => {
                return self.counts.no_frames += 1;
            }
            Work::NoFrame { step, before } => {
                self.counts.no_frames += 1;
                for (now, decider) in self.now.iter_mut().zip(&mut self.deciders) {
                    *now = decider.no_frame(step.times.judged_ns, step.observe_faults);
                }
                (step, false, before, Picture::Unused)
            }
            Work::Frame { step, before, pixels, picture } => {
                self.new_drive(&step);
                self.count(&step, before, picture, policy.is_some());
                let (seen, prediction, second) = self.look(&step, pixels, picture, policy);
                for (now, decider) in self.now.iter_mut().zip(&mut self.deciders) {
                    *now = decider.decide(&seen, prediction, second);
                }
                (step, true, before, picture)
            }
        };
        for now in &mut self.now {
            now.actuate_faults = then.actuate_faults;
            now.faults = now.faults.union(then.actuate_faults);
        }
        let shown = matches!(picture, Picture::Lossless | Picture::Lossy);
        let image = shown.then_some(&self.frame.image);
        let (now, episode) = (self.now.as_slice(), self.episode.as_ref());
        on_tick(&Tick { then: &then, now, episode, frame, before, picture, image });
    }

    /// A file of recordings that others made may hold several drives: a pause tells (docs/import.md).
    fn new_drive(&mut self, step: &StepRecord) {
        let now_ns = step.sim_time_ns;
        let goes_on = |last: u64| (last..=last.saturating_add(PAUSE_NS)).contains(&now_ns);
        if self.watched && !self.last_ns.is_some_and(goes_on) {
            self.deciders.clone_from(&self.start);
        }
        self.last_ns = Some(now_ns);
    }

    /// After a gap, the controller goes on with what it remembered then: also after one that the
    /// recording does not speak of, because the recorder could not keep up.
    fn remember(&mut self, memory: &RecordedMemory, steps_before: u64, jumped: bool) {
        let newest = memory.memory.newest_frame_id;
        let gap = self.deciders.iter().any(|d| d.memory().newest_frame_id != newest);
        let c = &mut self.counts;
        if jumped {
            (c.frames, c.before) = (steps_before, steps_before);
        } else if memory.resumes {
            c.left_out = steps_before.saturating_sub(c.frames);
        } else if !gap {
            return;
        }
        for decider in &mut self.deciders {
            match decider.remembering(&memory.memory) {
                Some(remembering) => *decider = remembering,
                None => c.unreadable += 1,
            }
        }
    }

    fn count(&mut self, step: &StepRecord, before: bool, picture: Picture, network: bool) {
        let c = &mut self.counts;
        c.frames += 1;
        c.before += u64::from(before);
        c.missing += u64::from(picture == Picture::Missing);
        c.undecodable += u64::from(picture == Picture::Undecodable);
        c.lossy += u64::from(picture == Picture::Lossy);
        let shown = matches!(picture, Picture::Lossless | Picture::Lossy);
        c.replayed += u64::from(!before && (shown || !network));
        c.approximate += u64::from(!is_whole(step));
    }

    /// What the step looks at now, and what the network says of it.
    fn look(
        &mut self,
        then: &StepRecord,
        pixels: Option<Image>,
        picture: Picture,
        policy: Option<&mut (dyn Policy + '_)>,
    ) -> (StepRecord, Said, Option<Said>) {
        let mut seen = *then;
        if !is_whole(then) {
            // Such recordings do not tell the clock; the plant's is as good as any.
            (seen.times.received_ns, seen.times.judged_ns) = (then.sim_time_ns, then.sim_time_ns);
        }
        let (Some(pixels), Some(policy)) = (pixels, policy) else {
            let (first, second) = recorded_looks(then);
            return (seen, first, second);
        };
        if picture == Picture::Lossless || !is_whole(then) {
            seen.image = check_image(&pixels);
        }
        let frame = &mut self.frame;
        frame.id = then.frame_id;
        frame.sim_time_ns = then.sim_time_ns;
        frame.received_ns = then.times.received_ns;
        frame.image = pixels;
        // Of all who decide the same: they have seen the same frames.
        frame.ego = self.deciders.first().map_or(then.ego, |d| d.ego_for_policy(&then.ego));
        frame.nav = then.nav;
        frame.advisory_speed_mps = then.advisory_speed_mps;
        frame.truth = then.truth;
        let first = policy.infer(frame);
        // The same for all who ask: a function of the picture. `decide` passes it over for others.
        let again = first.is_ok() && self.deciders.iter().any(|d| d.asks_again(&seen.image));
        let lift = || Lift::of(seen.image.mean_luma);
        (seen, first, again.then(|| policy.look_again(frame, &lift())))
    }
}

/// Whether the recorder wrote down all that the step looked at. The plant's clock starts at 0.
const fn is_whole(step: &StepRecord) -> bool {
    step.times.judged_ns != 0 || step.times.received_ns != 0 || step.sim_time_ns == 0
}

type Said = Result<Prediction, Fault>;

fn said(regression: f32, probs: [f32; BIN_COUNT]) -> Said {
    Prediction::new(regression, probs).map_err(|_| Fault::PredictionMalformed)
}

/// What the network said then at first sight, or the fault that it gave instead (the only one of
/// these in the record, or the first that a policy looks for), and at second sight, if it looked.
pub fn recorded_looks(then: &StepRecord) -> (Said, Option<Said>) {
    let second = then.second_look.then(|| said(then.second_regression, then.second_probs));
    if then.predicted {
        return (said(then.regression, then.probs), second);
    }
    let faults = [Fault::PredictionNonFinite, Fault::PredictionMalformed, Fault::ImageMalformed];
    let fault = faults.into_iter().find(|f| then.faults.contains(*f));
    (Err(fault.unwrap_or(Fault::EgoInvalid)), second)
}
