//! One episode in this process: its world, its driver, what is measured of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use anyhow::Context as _;
use caril_core::{
    CameraSpec, CounterRng, EndReason, FrameId, Image, NavCommand, Pacing, Policy as _, PolicyCard,
    StepRecord, Truth,
};
use caril_eval::suite::{Driver, Episode, EpisodeResult, Measures, PATH_STEP_M, PathPoint, Status};
use caril_eval::trajectory::Point;
use caril_road::{RoadMap, Route, RoutePoint};
use caril_runtime::{DriveOptions, StopFlag};
use caril_sim::{RouteSpec, Scene, SimConfig, SimWorld, turns};

use super::cast::{Borrowed, Role};
use super::same::as_driven;
use super::world::SuiteWorld;
use crate::scenario::{self, AnyPolicy};

/// Routes are drawn from here on until one has the turns that are asked for.
const ROUTE_STREAM: u64 = 0xE9A1_0000;
/// Draws before a map is said to have no such route.
const ROUTE_DRAWS: u64 = 600;
/// So far may a car stray from its route without coming nearer to the end that the suite sets.
const DEVIATION_ROOM_M: f64 = 5.0;

/// Everything that one drive left.
pub struct Drive {
    /// All records.
    pub steps: Vec<StepRecord>,
    /// The world's marks after the last command.
    pub last: Truth,
    /// Why it ended.
    pub end: Option<EndReason>,
    /// Hash over all steps.
    pub step_hash: String,
    /// The route as x, y in metres.
    pub route: Vec<(f32, f32)>,
    /// Pictures of the frames that were asked for.
    pub pictures: Vec<(FrameId, Image)>,
    /// Whether every step had a frame: the records are then all that the controller was told.
    pub every_step: bool,
}

/// Maps, scenes and packs that episodes share, the last expert's drive and the last pair's others.
#[derive(Default)]
pub struct Stage {
    roles: Vec<Role>,
    maps: BTreeMap<String, Arc<RoadMap>>,
    scenes: BTreeMap<(String, u64), Arc<Scene>>,
    policies: BTreeMap<String, AnyPolicy>,
    /// The pair, less what the expert does not see, and its path.
    expert: Option<(Episode, Arc<Drive>)>,
    /// What networks drove of the pair at work (an episode without its arm).
    driven: (Option<Episode>, Vec<(Role, Arc<Drive>)>),
}

impl Stage {
    /// An empty stage.
    pub fn new(roles: Vec<Role>) -> Self {
        Self { roles, ..Self::default() }
    }

    /// Drives and measures.
    ///
    /// # Errors
    /// If the episode cannot be driven: its map, route, weather or pack is not there, or the drive
    /// loop has a bug.
    pub fn play(&mut self, episode: &Episode) -> anyhow::Result<EpisodeResult> {
        let start = std::time::Instant::now();
        let expert = self.expert(episode)?;
        let role = self.role(episode)?;
        let period_s = 1.0 / f64::from(role.config.drive_loop.rate_hz);
        let drive = match &role.arm.driver {
            Driver::Expert => Arc::clone(&expert),
            Driver::Network { .. } => self.network(episode, &role)?,
        };
        let points = |d: &Drive| -> Vec<Point> {
            d.steps.iter().map(|s| [s.ego.pose.x_m, s.ego.pose.y_m]).collect()
        };
        let measures = Measures::of(
            &drive.steps,
            &drive.last,
            drive.end,
            &points(&expert),
            period_s,
            episode.traffic > 0,
        );
        let status = Status::Driven {
            measures: Box::new(measures),
            step_hash: drive.step_hash.clone(),
            path: path_of(&drive.steps),
        };
        let wall_s = start.elapsed().as_secs_f64();
        Ok(EpisodeResult { episode: episode.clone(), wall_s, status })
    }

    /// Who plays the episode's arm, with the episode's seed.
    ///
    /// # Errors
    /// If nobody does.
    pub fn role(&self, episode: &Episode) -> anyhow::Result<Role> {
        let role = self.roles.iter().find(|r| r.arm.name == episode.arm);
        let mut role =
            role.cloned().with_context(|| format!("no arm {} in this run", episode.arm))?;
        role.config.drive_loop.seed = episode.seed;
        Ok(role)
    }

    /// The map by name.
    ///
    /// # Errors
    /// If it cannot be loaded.
    pub fn map(&mut self, name: &str) -> anyhow::Result<Arc<RoadMap>> {
        if let Some(map) = self.maps.get(name) {
            return Ok(Arc::clone(map));
        }
        let map = Arc::new(scenario::load_map(name)?);
        self.maps.insert(name.to_owned(), Arc::clone(&map));
        Ok(map)
    }

    /// A network's whole drive. Where another arm of the pair has driven with the same pack and this
    /// one would have given every command of that drive, it is this one's drive too.
    fn network(&mut self, episode: &Episode, role: &Role) -> anyhow::Result<Arc<Drive>> {
        let pair = Some(Episode { arm: String::new(), ..episode.clone() });
        if self.driven.0 != pair {
            self.driven = (pair, Vec::new());
        }
        let card = role.pack.as_ref().and_then(|pack| Some(self.policies.get(pack)?.card()));
        let mut others = self.driven.1.iter();
        let same = card.and_then(|card| others.find_map(|(of, d)| as_driven(d, of, role, card)));
        let drive = match same {
            Some(drive) => Arc::new(drive),
            None => Arc::new(self.drive(episode, role, BTreeSet::new(), None)?),
        };
        self.driven.1.push((role.clone(), Arc::clone(&drive)));
        Ok(drive)
    }

    /// A network's drive, with pictures of the frames in `wanted`, over after `frames`. `role` is of
    /// [`Self::role`], which gives it the episode's seed.
    ///
    /// # Errors
    /// As [`Self::play`].
    pub fn drive(
        &mut self,
        episode: &Episode,
        role: &Role,
        wanted: BTreeSet<FrameId>,
        frames: Option<u64>,
    ) -> anyhow::Result<Drive> {
        let name = role.pack.clone().with_context(|| format!("arm {}: no pack", role.arm.name))?;
        let mut policy = match self.policies.remove(&name) {
            Some(policy) => policy,
            None => scenario::load_policy(&name, role.backend, 1)?,
        };
        let config = &role.config;
        let mut sim = self.sim(episode, config.drive_loop.rate_hz, policy.card().camera, true)?;
        // Pictures that nobody keeps are drawn where they are looked at, in two thirds of the time.
        if wanted.is_empty() {
            sim.seen_rows = Some(seen_rows(policy.card()));
        }
        let mut world = SuiteWorld::new(scenario::sim_world(sim)?, episode, wanted);
        let mut steps = Vec::new();
        let mut every_step = true;
        let driven = caril_runtime::drive_watched(
            &mut world,
            Borrowed::new(&mut policy, &role.arm.driver, config),
            config,
            None,
            &StopFlag::new(),
            DriveOptions { frame_limit: frames },
            &mut |_, image| every_step &= image.is_some(),
            &mut |record, _| steps.push(*record),
        );
        let end = driven?;
        self.policies.insert(name, policy);
        Ok(Drive {
            steps,
            last: world.inner().truth(),
            end: end.summary.end,
            step_hash: end.summary.step_hash,
            route: caril_core::World::info(&world).route.clone(),
            pictures: world.into_pictures(),
            every_step,
        })
    }

    /// The expert's drive of the episode: same route, seed and traffic. It sees no picture, and its
    /// commands come in time.
    fn expert(&mut self, episode: &Episode) -> anyhow::Result<Arc<Drive>> {
        let rate_hz = self.role(episode)?.config.drive_loop.rate_hz;
        // Whatever differs only in what the expert does not see is one drive of his. Wet roads hold
        // less, so the weather counts.
        let key = Episode {
            arm: format!("{rate_hz}"),
            cell: String::new(),
            group: String::new(),
            faults: Vec::new(),
            delay: (0, 0),
            appearance: 0,
            ..episode.clone()
        };
        if let Some((_, drive)) = self.expert.as_ref().filter(|(of, _)| *of == key) {
            return Ok(Arc::clone(drive));
        }
        let sim = self.sim(&key, rate_hz, CameraSpec::PAPER, false)?;
        let drive = Arc::new(expert_drive(scenario::sim_world(sim)?));
        self.expert = Some((key, Arc::clone(&drive)));
        Ok(drive)
    }

    fn sim(
        &mut self,
        episode: &Episode,
        rate_hz: f32,
        camera: CameraSpec,
        draw: bool,
    ) -> anyhow::Result<SimConfig> {
        let map = self.map(&episode.map)?;
        let scene = draw.then(|| {
            let key = (episode.map.clone(), episode.appearance);
            let build = || Arc::new(Scene::build(&map, episode.appearance));
            Arc::clone(self.scenes.entry(key).or_insert_with(build))
        });
        let faults = episode.faults.iter().map(|f| scenario::fault(f));
        Ok(SimConfig {
            scene,
            route: RouteSpec::Given(Arc::new(route(&map, episode)?)),
            seed: episode.seed,
            weather: scenario::weather(&episode.weather)?,
            faults: faults.collect::<anyhow::Result<_>>()?,
            camera,
            rate_hz,
            pacing: Pacing::Lockstep,
            traffic: episode.traffic,
            appearance_seed: episode.appearance,
            time_limit_s: episode.ends.time_limit_s,
            draw,
            ..SimConfig::new(map)
        })
    }
}

/// The rows of a picture that decide the drive: the network's crop, and those that the gate checks.
fn seen_rows(card: &PolicyCard) -> Arc<[bool]> {
    let height = card.camera.height;
    let mut rows = vec![false; height as usize];
    for y in card.input.crop_rows(height).chain(caril_control::checked_rows(height)) {
        if let Some(seen) = rows.get_mut(y) {
            *seen = true;
        }
    }
    rows.into()
}

/// The first route of the seed that keeps the rule, and that can be driven without meeting the
/// suite's own end: the expert's way never leads as far from the goal as a drive is given up at.
fn route(map: &RoadMap, episode: &Episode) -> anyhow::Result<Route> {
    let rule = &episode.route;
    let (low, high) = rule.length_m;
    for draw in 0..ROUTE_DRAWS {
        let mut rng = CounterRng::new(episode.seed, ROUTE_STREAM + draw);
        let Ok(route) = map.random_route(&mut rng, low, high) else { continue };
        if rule.turns.is_none_or(|n| turns(&route) == n as usize)
            && episode.ends.beyond_start_m.is_none_or(|m| leads_on(&route, m))
        {
            return Ok(route);
        }
    }
    let turns = rule.turns.map_or(String::new(), |n| format!(" with {n} turns"));
    anyhow::bail!("map {}: no route of {low}–{high} m{turns} found", map.name())
}

/// Whether no point of the route lies more than `beyond_start_m`, less room for the car to deviate,
/// further from the goal than its start.
fn leads_on(route: &Route, beyond_start_m: f64) -> bool {
    let goal = route.at(route.length_m());
    let apart_m = |p: &RoutePoint| (p.x_m - goal.x_m).hypot(p.y_m - goal.y_m);
    let limit_m = apart_m(&route.at(0.0)) + (beyond_start_m - DEVIATION_ROOM_M).max(0.0);
    route.points().iter().all(|p| apart_m(p) <= limit_m)
}

fn expert_drive(mut world: SimWorld) -> Drive {
    let mut steps = Vec::new();
    let rate_hz = f64::from(caril_core::World::info(&world).rate_hz);
    while world.ended().is_none() {
        let command = world.expert_command();
        let time_ns = ((world.frame_count() - 1) as f64 / rate_hz * 1e9) as u64;
        let (ego, truth) = (world.ego(), world.truth());
        let nav = NavCommand::default();
        steps.push(StepRecord::labelled(command.frame_id, time_ns, ego, nav, truth, command));
        world.tick(Some(&command));
    }
    Drive {
        last: world.truth(),
        end: world.ended(),
        step_hash: format!("{:016x}", world.state_hash()),
        route: caril_core::World::info(&world).route.clone(),
        steps,
        pictures: Vec::new(),
        every_step: true,
    }
}

/// Points at least [`PATH_STEP_M`] apart; of the steps between, the greatest deviation and the least
/// confidence.
fn path_of(steps: &[StepRecord]) -> Vec<PathPoint> {
    let round = |v: f64| (v * 100.0).round() as f32 / 100.0;
    let mut path: Vec<PathPoint> = Vec::new();
    let mut worst = (0.0_f32, 1.0_f32);
    let mut last: Option<(f64, f64)> = None;
    for s in steps {
        let (x, y) = (s.ego.pose.x_m, s.ego.pose.y_m);
        worst.0 = worst.0.max(s.truth.map_or(0.0, |t| t.lane_deviation_m.abs()));
        if s.predicted {
            worst.1 = worst.1.min(s.correction.confidence);
        }
        if last.is_none_or(|(a, b)| (x - a).hypot(y - b) >= PATH_STEP_M) {
            path.push((round(x), round(y), round(worst.0.into()), round(worst.1.into())));
            last = Some((x, y));
            worst = (0.0, 1.0);
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::BackendArg;
    use crate::eval::drive::{cast, testing};

    #[test]
    fn rows_that_nobody_looks_at_do_not_decide_a_drive() {
        let arms = ["calibrated".to_owned()];
        let config = caril_core::Config::default();
        let roles = cast::roles(&arms, "default", BackendArg::Cpu, &config).unwrap();
        let mut stage = Stage::new(roles.clone());
        let mut results = testing::results(1);
        let episode = &mut results[0].episode;
        for (weather, fault) in [("ClearSunset", "noise:0.5"), ("HardRainNight", "blur:0.5")] {
            episode.weather = weather.to_owned();
            episode.faults = vec![fault.to_owned()];
            // A picture that is kept is drawn whole.
            let whole = BTreeSet::from([FrameId(1)]);
            let mut drive = |wanted| stage.drive(episode, &roles[0], wanted, Some(30)).unwrap();
            let (sparse, whole) = (drive(BTreeSet::new()), drive(whole));
            assert_eq!(sparse.step_hash, whole.step_hash, "{weather} {fault}");
            assert_eq!((whole.pictures.len(), whole.steps.len()), (1, 30));
        }
    }

    /// The paper gives a drive up 20 m further from the goal than its start: a route that leads
    /// there by itself would fail whoever drives it.
    #[test]
    fn routes_do_not_lead_into_the_suites_own_end() {
        let map = Arc::new(scenario::load_map("harbour_town").unwrap());
        let mut roundabout = 0;
        for seed in 410_001..410_011 {
            let mut episode = testing::results(1).remove(0).episode;
            episode.seed = seed;
            episode.route.length_m = (120.0, 350.0);
            episode.route.turns = Some(1);
            let free = route(&map, &episode).unwrap();
            episode.ends.beyond_start_m = Some(20.0);
            let kept = route(&map, &episode).unwrap();
            assert!(leads_on(&kept, 20.0));
            roundabout += i32::from(free != kept);
        }
        assert!(roundabout > 0, "no seed tells the rule from its absence");
    }
}
