//! The plant's side of the view: shows what a world sends.

use std::sync::Arc;

use caril_core::{Command, Fault, Frame, Observation, Observed, PlantInfo, StepRecord, World};

use crate::View;

/// A plant that shows what it sends: each frame, with the command that was in force.
pub struct Shown<W> {
    world: W,
    view: Option<Arc<View>>,
    command: Command,
}

impl<W: World> Shown<W> {
    /// Shows the frames of `world` to `view`, if there is one.
    pub fn new(world: W, view: Option<Arc<View>>) -> Self {
        Self { world, view, command: Command::default() }
    }

    /// The plant.
    pub const fn world(&self) -> &W {
        &self.world
    }
}

impl<W: World> World for Shown<W> {
    fn info(&self) -> &PlantInfo {
        self.world.info()
    }

    fn observe(&mut self, frame: &mut Frame, timeout_ns: u64) -> Observation {
        let seen = self.world.observe(frame, timeout_ns);
        if let (Some(view), Observed::Fresh) = (&self.view, seen.observed) {
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
