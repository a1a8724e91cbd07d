//! The conductor: starts the controller, breaks what the schedule says outside of the world, looks
//! at the controller's process once a second, and ends with the last act.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use caril_link::ServeReport;

use super::figures::Watched;
use super::incidents::{self, Incident};
use super::process::{Controller, Recipe, Sample, usage_of};
use super::recording::Recording;
use crate::fault::clock::Clock;
use crate::fault::machine::press;
use crate::fault::netns::Network;
use crate::fault::relay::Relay;
use crate::fault::stranger::{self, Door};
use crate::fault::{Kind, Planned, Where, seconds};
use crate::plant::course::{Shared, Tick};

/// The conductor looks so often.
const LOOK: Duration = Duration::from_millis(5);
/// A controller that ended unasked is started again after this, as a system's supervisor would.
const RESTART: Duration = Duration::from_millis(500);
/// The last act waits so long for a standstill.
const LAST_ACT: Duration = Duration::from_secs(15);
/// The last act begins when the car is at least this quick, or has waited for it so long.
const LAST_ACT_MPS: f32 = 5.0;
const LAST_ACT_WAIT: Duration = Duration::from_secs(20);

/// What a run stages.
pub struct Staged<'a> {
    /// All faults, in order.
    pub faults: &'a [Planned],
    /// The relay, if the schedule needs one.
    pub relay: Option<&'a Relay>,
    /// The network, if the controller has one of its own.
    pub network: Option<&'a Network>,
    /// Where strangers knock.
    pub door: Door,
    /// The controller's wall clock, if the schedule needs one; else why there is none.
    pub clock: Result<&'a Clock, String>,
    /// Whether the controller is silenced at the end.
    pub last_act: bool,
    /// How long it takes; without end if `None`.
    pub duration: Option<Duration>,
}

/// One fault under way.
struct Going {
    index: usize,
    threads: Vec<JoinHandle<Vec<String>>>,
    off: Arc<AtomicBool>,
}

/// See the module.
pub struct Conductor<'a> {
    staged: Staged<'a>,
    recipe: Option<Recipe>,
    shared: &'a Arc<Shared>,
    watched: &'a Arc<Mutex<Watched>>,
    controller: Option<Controller>,
    /// Where recordings go; each controller's has a number.
    record: Option<std::path::PathBuf>,
    recording: Option<Recording>,
    going: Vec<Going>,
    next: usize,
    notes: Vec<Vec<String>>,
    skipped: Vec<Option<String>>,
    /// A controller is meant to be away until then.
    away_until: Option<Instant>,
    /// Controllers started.
    pub started: u32,
    /// The process, once a second.
    pub samples: Vec<Sample>,
    /// When the last act began, seconds since the first frame.
    pub silenced_at_s: Option<f64>,
    /// What went wrong besides.
    pub wrong: Vec<String>,
}

impl<'a> Conductor<'a> {
    /// Nothing is started yet.
    pub fn new(
        staged: Staged<'a>,
        mut recipe: Option<Recipe>,
        shared: &'a Arc<Shared>,
        watched: &'a Arc<Mutex<Watched>>,
    ) -> Self {
        let count = staged.faults.len();
        let record = recipe.as_mut().and_then(|recipe| recipe.record.take());
        Self {
            staged,
            recipe,
            record,
            recording: None,
            shared,
            watched,
            controller: None,
            going: Vec::new(),
            next: 0,
            notes: vec![Vec::new(); count],
            skipped: vec![None; count],
            away_until: None,
            started: 0,
            samples: Vec::new(),
            silenced_at_s: None,
            wrong: Vec::new(),
        }
    }

    fn start_controller(&mut self) -> anyhow::Result<()> {
        self.hear_out();
        let Some(recipe) = &mut self.recipe else { return Ok(()) };
        self.started += 1;
        if let Some(file) = &self.record {
            // Each controller records to a file of its own.
            let file = match self.started {
                1 => file.clone(),
                n => file.with_file_name(format!("drive-{n}.mcap")),
            };
            let left = self.staged.faults.get(self.next..).unwrap_or_default();
            let next = left.iter().map(|f| f.kind).find(|k| k.place() == Where::Disk);
            let pipe = recipe.folder.join(format!("disk{}", self.started));
            let recording = Recording::new(file, pipe, next).map_err(anyhow::Error::msg)?;
            recipe.record = Some(recording.target().to_owned());
            recipe.disk_may_fill = next == Some(Kind::DiskFull);
            self.recording = Some(recording);
        }
        self.controller = Some(recipe.start(self.started)?);
        Ok(())
    }

    /// Of a controller that has ended: what became of its recording.
    fn hear_out(&mut self) {
        let (Some(recording), Some(controller), Some(recipe)) =
            (self.recording.take(), &mut self.controller, &self.recipe)
        else {
            return;
        };
        let code = controller.wait(Duration::ZERO).unwrap_or(-1);
        if let Some((index, notes)) = recording.judge(&recipe.caril, controller, code) {
            self.notes[index].extend(notes);
        }
    }

    /// Whether the controller beside the rig runs, or there is none to look after.
    pub fn controller_runs(&mut self) -> bool {
        self.controller.as_mut().is_none_or(Controller::runs)
    }

    /// Conducts until the time is over, the plant has ended or `stop` is raised.
    ///
    /// # Errors
    /// If a controller cannot be started.
    pub fn conduct(
        &mut self,
        stop: &AtomicBool,
        plant_ended: impl Fn() -> bool,
    ) -> anyhow::Result<()> {
        self.start_controller()?;
        let began = Instant::now();
        let mut sampled_s = -1.0;
        while !stop.load(Ordering::Relaxed) && !plant_ended() {
            std::thread::sleep(LOOK);
            let Some(now_s) = self.shared.time_s() else {
                if began.elapsed() > Duration::from_secs(120) && self.recipe.is_some() {
                    self.wrong.push(format!("the controller did not start: {}", self.last_words()));
                    return Ok(());
                }
                if !self.controller_runs() {
                    self.wrong.push(format!("the controller ended: {}", self.last_words()));
                    return Ok(());
                }
                continue;
            };
            if self.staged.duration.is_some_and(|d| now_s >= d.as_secs_f64()) {
                self.end_all();
                if self.staged.last_act {
                    self.last_act(stop);
                }
                return Ok(());
            }
            self.faults(now_s)?;
            self.supervise()?;
            if now_s - sampled_s >= 1.0 {
                sampled_s = now_s;
                self.sample(now_s);
            }
        }
        self.end_all();
        Ok(())
    }

    fn sample(&mut self, time_s: f64) {
        let Some(controller) = &self.controller else { return };
        if let Some(page) = controller.page()
            && self.shared.set_page(page)
        {
            crate::say::line(&format!("view: http://{page}/"));
        }
        if let Some((cpu_s, memory_mib)) = usage_of(controller.pid) {
            self.samples.push(Sample { time_s, cpu_s, memory_mib });
        }
    }

    /// Starts a controller anew that ended without having been told to.
    fn supervise(&mut self) -> anyhow::Result<()> {
        if self.recipe.is_none() || self.controller_runs() {
            return Ok(());
        }
        match self.away_until {
            Some(until) if Instant::now() >= until => {
                self.away_until = None;
                // Processor time counts from zero again.
                self.samples.clear();
                self.start_controller()
            }
            Some(_) => Ok(()),
            // It was told that the episode is over; so will be whoever serves it.
            None if self.knows_the_end() => Ok(()),
            None => {
                let words = self.last_words();
                match self.going.last().map(|g| g.index).or(self.next.checked_sub(1)) {
                    Some(index) => self.notes[index].push(format!("the controller ended: {words}")),
                    None => self.wrong.push(format!("the controller ended: {words}")),
                }
                self.away_until = Some(Instant::now() + RESTART);
                Ok(())
            }
        }
    }

    fn knows_the_end(&self) -> bool {
        let end = self.controller.as_ref().and_then(Controller::summary);
        end.is_some_and(|summary| !summary["end"].is_null())
    }

    fn last_words(&self) -> String {
        let said = self.controller.as_ref().map(Controller::said).unwrap_or_default();
        let end = self.controller.as_ref().and_then(Controller::summary);
        match (said.lines().last(), end) {
            (Some(line), _) => line.to_owned(),
            (None, Some(end)) if end["end"].is_null() => "it lost its plant".to_owned(),
            _ => "nothing was said".to_owned(),
        }
    }

    fn faults(&mut self, now_s: f64) -> anyhow::Result<()> {
        while let Some(planned) = self.staged.faults.get(self.next)
            && planned.at_s <= now_s
        {
            let (index, planned) = (self.next, *planned);
            self.next += 1;
            self.begin(index, &planned);
        }
        let over =
            |g: &Going| self.staged.faults.get(g.index).is_none_or(|f| now_s >= f.at_s + f.lasts_s);
        let (ended, going) = std::mem::take(&mut self.going).into_iter().partition(over);
        self.going = going;
        for one in ended {
            self.end(one);
        }
        Ok(())
    }

    fn begin(&mut self, index: usize, planned: &Planned) {
        let off = Arc::new(AtomicBool::new(false));
        let mut threads = Vec::new();
        match (planned.kind.place(), planned.kind) {
            (Where::World, _) => return,
            (Where::Wire, kind) => match (self.staged.network, self.staged.relay) {
                (Some(network), _) => {
                    if let Err(why) = network.begin(kind, planned.severity) {
                        self.skipped[index] = Some(why);
                        return;
                    }
                }
                (None, _) if kind == Kind::NetLoss => {
                    self.skipped[index] = Some("packets are lost with --netns only".to_owned());
                    return;
                }
                (None, Some(relay)) => relay.begin(kind, planned.severity),
                (None, None) => return,
            },
            (Where::Process, kind) => {
                let Some(controller) = &mut self.controller else { return };
                let lasts = seconds(planned.lasts_s);
                match kind {
                    Kind::ControllerStopped => controller.signal("STOP"),
                    Kind::ControllerKilled => {
                        controller.kill();
                        self.away_until = Some(Instant::now() + lasts);
                    }
                    _ => {
                        controller.signal("TERM");
                        self.away_until = Some(Instant::now() + lasts);
                    }
                }
            }
            (Where::Clock, _) => match self.clock(planned.severity) {
                Ok(note) => self.notes[index].push(note),
                Err(why) => {
                    self.skipped[index] = Some(why);
                    return;
                }
            },
            (Where::Disk, _) => {
                let (Some(recording), Some(controller)) = (&mut self.recording, &self.controller)
                else {
                    return;
                };
                match recording.begin(index, planned, controller.pid) {
                    Ok(note) => self.notes[index].push(note),
                    Err(why) => {
                        self.skipped[index] = Some(why);
                        return;
                    }
                }
            }
            (Where::Stranger, kind) => match stranger::send(kind, self.staged.door.clone()) {
                Ok(thread) => threads.push(thread),
                Err(why) => self.skipped[index] = Some(why),
            },
            (Where::Machine, kind) => threads = press(kind, planned.severity, &off),
        }
        self.going.push(Going { index, threads, off });
    }

    fn end(&mut self, going: Going) {
        let Some(planned) = self.staged.faults.get(going.index) else { return };
        going.off.store(true, Ordering::Relaxed);
        if planned.kind.place() == Where::Wire {
            if let Some(network) = self.staged.network {
                network.end(planned.kind);
            } else if let Some(relay) = self.staged.relay {
                let did = relay.end();
                self.notes[going.index].push(format!("{did} messages touched"));
            }
        }
        if planned.kind == Kind::ClockJump
            && let Ok(clock) = &self.staged.clock
            && let Err(why) = clock.jump_back()
        {
            self.notes[going.index].push(format!("✗ it did not jump back: {why}"));
        }
        if planned.kind.place() == Where::Disk
            && let (Some(recording), Some(controller)) = (&self.recording, &self.controller)
        {
            recording.end(controller.pid);
        }
        if planned.kind == Kind::ControllerStopped
            && let Some(controller) = &self.controller
        {
            controller.signal("CONT");
        }
        for thread in going.threads {
            match thread.join() {
                Ok(notes) => self.notes[going.index].extend(notes),
                Err(_) => self.wrong.push(format!("bug in the rig: {}", planned.kind.name())),
            }
        }
    }

    fn end_all(&mut self) {
        for one in std::mem::take(&mut self.going) {
            self.end(one);
        }
    }

    /// Lets the controller's wall clock jump ahead; what was done.
    fn clock(&self, severity: f64) -> Result<String, String> {
        let clock = self.staged.clock.clone()?;
        let pid = self.controller.as_ref().map_or(0, |c| c.pid);
        if !clock.is_worn_by(pid) {
            return Err("the controller's program does not take libfaketime's clock".to_owned());
        }
        Ok(format!("{} s ahead, and back", clock.jump(severity)?))
    }

    /// The controller falls silent while the car drives; the plant has to stop by itself.
    fn last_act(&mut self, stop: &AtomicBool) {
        let quick = |shared: &Shared| {
            shared.newest().is_some_and(|t| t.speed_mps >= LAST_ACT_MPS && t.mode == 0)
        };
        let start = Instant::now();
        while !quick(self.shared) && start.elapsed() < LAST_ACT_WAIT {
            std::thread::sleep(LOOK);
        }
        if let Ok(mut watched) = self.watched.lock() {
            watched.close();
        }
        let Some(controller) = &self.controller else { return };
        // The signal takes effect somewhere in between: what is measured is at most this too long.
        let silenced_at_s = self.shared.time_s();
        controller.signal("STOP");
        self.silenced_at_s = silenced_at_s;
        let start = Instant::now();
        let stands = |t: Tick| t.own && t.speed_mps < 0.05;
        while start.elapsed() < LAST_ACT
            && !self.shared.newest().is_some_and(stands)
            && !stop.load(Ordering::Relaxed)
        {
            std::thread::sleep(LOOK);
        }
        controller.signal("CONT");
    }

    /// Waits for the ends of plant and controller; the hash of the controller's steps, if it told.
    pub fn finish(&mut self, plant: &JoinHandle<ServeReport>) -> Option<String> {
        let start = Instant::now();
        while !plant.is_finished() && start.elapsed() < Duration::from_secs(5) {
            std::thread::sleep(LOOK);
        }
        let controller = self.controller.as_mut()?;
        let code = controller.wait(Duration::from_secs(20));
        if code.is_none() {
            self.wrong.push("the controller did not end with the episode".to_owned());
            controller.kill();
        }
        if code == Some(70) {
            self.wrong.push(format!("a bug in the controller: {}", controller.said()));
        }
        let hash = controller.summary().and_then(|s| Some(s["step_hash"].as_str()?.to_owned()));
        self.hear_out();
        hash
    }

    /// What came of every fault.
    pub fn incidents(
        &self,
        tape: &[Tick],
        answers: &[(f64, f64)],
        period_ms: f64,
        end_s: f64,
    ) -> Vec<Incident> {
        let faults = self.staged.faults;
        faults
            .iter()
            .enumerate()
            .map(|(i, planned)| {
                let until_s = faults.get(i + 1).map_or(end_s, |next| next.at_s.min(end_s));
                let mut incident = incidents::judge(planned, until_s, tape);
                incident.skipped.clone_from(&self.skipped[i]);
                if incident.skipped.is_some() {
                    incident.wrong.clear();
                } else {
                    incidents::judge_ages(&mut incident, answers, period_ms);
                }
                for note in &self.notes[i] {
                    match note.strip_prefix("✗ ") {
                        Some(wrong) => incident.wrong.push(wrong.to_owned()),
                        None => incident.notes.push(note.clone()),
                    }
                }
                incident
            })
            .collect()
    }
}
