//! The embedded world as a suite wants it: commands that come late, the paper's end, pictures of
//! chosen frames.

use std::collections::{BTreeSet, VecDeque};

use caril_core::{
    Command, CounterRng, EndReason, Fault, Frame, FrameId, Image, Observation, Observed, PlantInfo,
    World,
};
use caril_eval::suite::Episode;
use caril_sim::SimWorld;

/// Keeps the delays apart from everything else that is drawn from the seed.
const DELAY_SALT: u64 = 0x1A7E_C033;

/// A world between which and the controller commands take their time.
pub struct SuiteWorld {
    inner: SimWorld,
    delay: (u32, u32),
    seed: u64,
    /// Commands on their way, with the frame in which they arrive.
    under_way: VecDeque<(u64, Command)>,
    held: Command,
    /// Goal and the distance from it at which the drive is given up.
    give_up: Option<((f64, f64), f64)>,
    given_up: bool,
    wanted: BTreeSet<FrameId>,
    pictures: Vec<(FrameId, Image)>,
}

impl SuiteWorld {
    /// Puts the episode's delays and ends around its world; keeps the pictures of `wanted` frames.
    pub fn new(inner: SimWorld, episode: &Episode, wanted: BTreeSet<FrameId>) -> Self {
        let route = inner.route();
        let (start, goal) = (route.at(0.0), route.at(route.length_m()));
        let apart_m = (start.x_m - goal.x_m).hypot(start.y_m - goal.y_m);
        let give_up = episode.ends.beyond_start_m.map(|m| ((goal.x_m, goal.y_m), apart_m + m));
        Self {
            inner,
            delay: episode.delay,
            seed: episode.seed ^ DELAY_SALT,
            under_way: VecDeque::with_capacity(32),
            // Until the first command arrives the car is held.
            held: Command::full_brake(FrameId(0), 0.0),
            give_up,
            given_up: false,
            wanted,
            pictures: Vec::new(),
        }
    }

    /// The world itself.
    pub const fn inner(&self) -> &SimWorld {
        &self.inner
    }

    /// The wanted pictures.
    pub fn into_pictures(self) -> Vec<(FrameId, Image)> {
        self.pictures
    }

    /// The newest command that has arrived when this one is sent.
    fn arrived(&mut self, command: &Command) -> Command {
        let now = self.inner.frame_count();
        let (low, high) = self.delay;
        let spread = u64::from(high - low) + 1;
        let late = u64::from(low) + CounterRng::new(self.seed, now).below(spread);
        self.under_way.push_back((now + late, *command));
        let mut newest = self.held;
        // An older command that was overtaken is of no use any more.
        self.under_way.retain(|(due, c)| {
            if *due > now {
                return true;
            }
            if c.frame_id >= newest.frame_id {
                newest = *c;
            }
            false
        });
        newest
    }
}

impl World for SuiteWorld {
    fn info(&self) -> &PlantInfo {
        self.inner.info()
    }

    fn observe(&mut self, frame: &mut Frame, timeout_ns: u64) -> Observation {
        let seen = self.inner.observe(frame, timeout_ns);
        if seen.observed != Observed::Fresh {
            return seen;
        }
        if self.given_up {
            return Observation::plain(Observed::Ended(EndReason::LeftRoute));
        }
        if self.wanted.remove(&frame.id) {
            self.pictures.push((frame.id, frame.image.clone()));
        }
        seen
    }

    fn actuate(&mut self, command: &Command) -> Result<(), Fault> {
        self.held = if self.delay == (0, 0) { *command } else { self.arrived(command) };
        self.inner.actuate(&self.held)?;
        if let Some(((x_m, y_m), limit_m)) = self.give_up {
            let car = self.inner.vehicle();
            self.given_up |= (car.x_m - x_m).hypot(car.y_m - y_m) > limit_m;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use caril_eval::suite::{Ends, RouteRule};
    use caril_sim::SimConfig;

    use super::*;
    use crate::scenario;

    fn world(delay: (u32, u32), ends: Ends) -> SuiteWorld {
        let map = Arc::new(scenario::load_map("winding_suburb").unwrap());
        let sim = SimConfig { draw: false, ..SimConfig::new(map) };
        let episode = Episode {
            suite: String::new(),
            group: String::new(),
            cell: String::new(),
            trial: 0,
            arm: String::new(),
            seed: 3,
            map: String::new(),
            route: RouteRule { length_m: (1.0, 2.0), turns: None },
            weather: String::new(),
            faults: Vec::new(),
            traffic: 0,
            delay,
            appearance: 0,
            ends,
        };
        SuiteWorld::new(scenario::sim_world(sim).unwrap(), &episode, BTreeSet::new())
    }

    /// Ages in frames of the commands that the car was driven by.
    fn ages(delay: (u32, u32)) -> Vec<u64> {
        let mut world = world(delay, Ends::default());
        (0..60)
            .map(|_| {
                let now = world.inner().frame_count();
                let command = Command { frame_id: FrameId(now), ..Command::default() };
                world.actuate(&command).unwrap();
                now - world.held.frame_id.0
            })
            .collect()
    }

    #[test]
    fn commands_come_late_and_never_out_of_order() {
        assert!(ages((0, 0)).iter().all(|a| *a == 0));
        let fixed = ages((3, 3));
        assert!(fixed.iter().skip(3).all(|a| *a == 3), "{fixed:?}");
        let varying = ages((0, 4));
        let settled: BTreeSet<u64> = varying.iter().skip(4).copied().collect();
        assert!(settled.len() > 2 && settled.iter().all(|a| *a <= 4), "{varying:?}");
        // A command that was overtaken is thrown away: from frame to frame the age grows by one at
        // most.
        assert!(varying.windows(2).all(|w| w[1] <= w[0] + 1), "{varying:?}");
        assert_eq!(varying, ages((0, 4)));
    }

    #[test]
    fn driving_away_from_the_goal_is_given_up() {
        // A limit of millimetres: whatever way it rolls first, it soon is further than that away,
        // or on its way to the goal.
        let ends = Ends { beyond_start_m: Some(1e-3), ..Ends::default() };
        let mut world = world((0, 0), ends);
        let mut frame = Frame::for_camera(&world.info().camera);
        let back = Command { throttle: 1.0, steer: 0.7, ..Command::default() };
        let mut ended = None;
        for _ in 0..2000 {
            if let Observed::Ended(reason) = world.observe(&mut frame, 0).observed {
                ended = Some(reason);
                break;
            }
            world.actuate(&Command { frame_id: frame.id, ..back }).unwrap();
        }
        assert_eq!(ended, Some(EndReason::LeftRoute));
        assert!(world.given_up, "and not because it was lost");
    }
}
