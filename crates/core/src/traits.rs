//! The two traits: [`World`] gives frames and takes commands, [`Policy`] predicts.

use alloc::string::String;

use serde::{Deserialize, Serialize};

use crate::{
    CameraSpec, Command, EndReason, Fault, FaultSet, Frame, Lift, Pacing, PolicyCard, Prediction,
};

/// What a plant says of itself when it is met.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlantInfo {
    /// Name and version of the program, for records.
    pub name: String,
    /// Map that is driven.
    pub map: String,
    /// Weather's name.
    pub weather: String,
    /// Its camera.
    pub camera: CameraSpec,
    /// Frames per second of plant time.
    pub rate_hz: f32,
    /// Whether it waits for the command of each frame.
    pub pacing: Pacing,
    /// The route as x, y pairs in metres, CARLA axes; empty if there is none. For reports only.
    pub route: alloc::vec::Vec<(f32, f32)>,
}

/// What [`World::observe`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Observed {
    /// A frame was written into the argument.
    Fresh,
    /// Nothing arrived in time.
    Nothing,
    /// The episode is over; the argument's `truth` holds the last marks if there are any.
    Ended(EndReason),
    /// The plant went away.
    Gone,
}

/// Result of one [`World::observe`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Observation {
    /// What was found.
    pub observed: Observed,
    /// Older frames that were thrown away because a newer one waited.
    pub dropped: u32,
    /// What was wrong on the way (malformed messages, for example).
    pub faults: FaultSet,
}

impl Observation {
    /// An observation with nothing dropped and no fault.
    pub const fn plain(observed: Observed) -> Self {
        Self { observed, dropped: 0, faults: FaultSet::EMPTY }
    }
}

/// The plant as the controller sees it: the embedded simulator, anything at the other end of a
/// link, a recording.
pub trait World {
    /// What the plant said of itself.
    fn info(&self) -> &PlantInfo;

    /// Fills `frame` with the newest frame, waiting at most `timeout_ns`. Must not allocate in
    /// the steady state. On anything but [`Observed::Fresh`] the picture is unspecified.
    fn observe(&mut self, frame: &mut Frame, timeout_ns: u64) -> Observation;

    /// Hands a command to the plant. Never blocks for long: a plant that does not take it is
    /// [`Fault::PlantGone`].
    ///
    /// # Errors
    /// The fault to be recorded.
    fn actuate(&mut self, command: &Command) -> Result<(), Fault>;
}

impl<W: World + ?Sized> World for alloc::boxed::Box<W> {
    fn info(&self) -> &PlantInfo {
        (**self).info()
    }
    fn observe(&mut self, frame: &mut Frame, timeout_ns: u64) -> Observation {
        (**self).observe(frame, timeout_ns)
    }
    fn actuate(&mut self, command: &Command) -> Result<(), Fault> {
        (**self).actuate(command)
    }
}

/// A policy turns a frame into a prediction.
pub trait Policy {
    /// The facts that travel with the weights.
    fn card(&self) -> &PolicyCard;

    /// Predicts from one frame.
    ///
    /// # Errors
    /// [`Fault::PredictionNonFinite`], [`Fault::PredictionMalformed`] or
    /// [`Fault::ImageMalformed`].
    fn infer(&mut self, frame: &Frame) -> Result<Prediction, Fault>;

    /// Predicts once more from the same frame, its picture brightened.
    ///
    /// # Errors
    /// As [`Self::infer`].
    fn look_again(&mut self, frame: &Frame, lift: &Lift) -> Result<Prediction, Fault>;
}

impl<P: Policy + ?Sized> Policy for alloc::boxed::Box<P> {
    fn card(&self) -> &PolicyCard {
        (**self).card()
    }
    fn infer(&mut self, frame: &Frame) -> Result<Prediction, Fault> {
        (**self).infer(frame)
    }
    fn look_again(&mut self, frame: &Frame, lift: &Lift) -> Result<Prediction, Fault> {
        (**self).look_again(frame, lift)
    }
}
