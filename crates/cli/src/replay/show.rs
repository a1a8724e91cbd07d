//! `replay --view`: the replayed steps at the speed of the drive, or at another.

use std::time::{Duration, Instant};

use caril_core::{Config, PolicyCard, StepRecord};
use caril_record::RecordingHeader;
use caril_runtime::{StopFlag, Tick};
use caril_view::View;

use super::ReplayArgs;
use crate::view;

/// Longest sleep before it is looked whether to stop.
const NAP: Duration = Duration::from_millis(100);

/// The page of one replay.
pub(super) struct Show {
    view: View,
    speed: f64,
    /// When the first step was shown, and its plant time.
    begun: Option<(Instant, u64)>,
}

impl Show {
    /// Serves the page if it is asked for.
    pub fn start(
        args: &ReplayArgs,
        header: &RecordingHeader,
        card: &PolicyCard,
        config: &Config,
    ) -> anyhow::Result<Option<Self>> {
        if args.view.view.is_none() {
            return Ok(None);
        }
        let plant = &header.plant;
        let backend = args.backend.map(|b| format!("{b:?}").to_lowercase());
        let backend = backend.or_else(|| header.extra.get("backend").cloned()).unwrap_or_default();
        let about = view::about_controller("replay", plant, config, card, &backend);
        let view = args.view.start(&header.camera, &about)?;
        Ok(view.map(|view| Self { view, speed: args.speed, begun: None }))
    }

    /// Waits until it is time for the step, and shows it with the stage times of the drive.
    pub fn add(&mut self, tick: &Tick<'_>, now: &StepRecord, stop: &StopFlag) {
        let plant_ns = tick.then.sim_time_ns;
        let (start, first_ns) = *self.begun.get_or_insert((Instant::now(), plant_ns));
        let seconds = plant_ns.saturating_sub(first_ns) as f64 * 1e-9 / self.speed;
        let due = Duration::try_from_secs_f64(seconds).unwrap_or_default();
        while let Some(left) = due.checked_sub(start.elapsed()).filter(|d| !d.is_zero()) {
            if stop.asked() {
                break;
            }
            std::thread::sleep(left.min(NAP));
        }
        let step = StepRecord { times: tick.then.times, ..*now };
        if tick.frame {
            self.view.push(&step, tick.image);
        } else {
            self.view.push_no_frame(&step);
        }
    }
}
