//! One cell: one fault, by its real cause where it has one, met in one mode by the real controller
//! in the embedded world.

use caril_control::{
    Class, Controller, FrameMeta, Manoeuvre, Recovery, Steering, StepInput, StepOutput,
    check_image, rule,
};
use caril_core::{
    BIN_COUNT, Calibration, Config, Fault, FaultSet, FrameId, Image, Mode, PixelOrder, Prediction,
    PredictionError, Regime, bin_of,
};
use caril_sim::{SimConfig, SimWorld};
use serde::Serialize;

/// Periods that a lasting fault lasts: more than any `tolerate_frames` of the defaults.
const LASTING: usize = 16;
/// Periods between what brings the controller into its mode and the fault.
const LEAD: usize = 5;
/// Slower than this the car stands, m/s.
const STANDING_MPS: f64 = 0.05;
/// Besides v²/2a: the period in which the fault is noticed.
const BRAKE_DELAY_S: f64 = 0.05;
const RATE_HZ: f64 = 20.0;
const PERIOD_NS: u64 = 50_000_000;

/// What the table says, or what was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outcome {
    /// Mode from the step on that notices the fault.
    pub mode: Mode,
    /// The manoeuvre of that step; `None` if its command is part of none.
    pub manoeuvre: Option<Manoeuvre>,
    /// Where that step's steer comes from.
    pub steering: Steering,
    /// How it ended.
    pub recovery: Recovery,
}

/// What is asked of one cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Question {
    /// The fault.
    pub fault: Fault,
    /// The mode in which it comes.
    pub mode: Mode,
    /// Whether it lasts longer than is tolerated (latent faults).
    pub lasting: bool,
}

/// A stop as it was driven.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Stop {
    /// Speed when the fault was noticed, m/s.
    pub from_mps: f64,
    /// From there to standstill, seconds.
    pub seconds: f64,
    /// From there to standstill, metres.
    pub metres: f64,
    /// The stated distance, metres.
    pub stated_m: f64,
    /// From the fault's cause to standstill, metres.
    pub from_cause_m: f64,
}

/// What came of one cell.
#[derive(Debug, Clone)]
pub struct Cell {
    /// What was asked.
    pub question: Question,
    /// What the table says.
    pub expected: Outcome,
    /// What was seen; `None` if the fault was not noticed.
    pub got: Option<Outcome>,
    /// From cause to notice, seconds.
    pub noticed_s: f64,
    /// The stop, where the table means one.
    pub stop: Option<Stop>,
    /// Largest |distance from the lane's centre| from the cause on, metres.
    pub deviation_max_m: f64,
    /// What is not as it should be; empty is good.
    pub wrong: Vec<String>,
}

/// What the table says of a cell.
pub fn expected(question: Question) -> Outcome {
    let rule = rule(question.fault);
    // The stop that brings a cell into `SafeStop` is a comfortable one.
    let under_way = match question.mode {
        Mode::SafeStop => Manoeuvre::ComfortStop,
        _ => Manoeuvre::Slow,
    };
    let mut manoeuvre = rule.manoeuvre.max(under_way);
    if question.lasting {
        manoeuvre = manoeuvre.max(Manoeuvre::ComfortStop);
    }
    let mode = if manoeuvre == Manoeuvre::Slow { Mode::Degraded } else { Mode::SafeStop };
    let recovery = match (rule.recovery, mode) {
        (Recovery::CleanFrames, Mode::SafeStop) => Recovery::Standstill,
        (recovery, _) => recovery,
    };
    Outcome { mode, manoeuvre: Some(manoeuvre), steering: rule.steering, recovery }
}

/// One period as it went.
struct Tick {
    output: StepOutput,
    /// Whether there was a frame to step on.
    framed: bool,
    speed_mps: f64,
    moved_m: f64,
    deviation_m: f64,
}

/// The controller in its world, with the hands that meddle.
struct Bench {
    config: Config,
    world: SimWorld,
    controller: Controller,
    ticks: Vec<Tick>,
    /// Id and time of the newest frame that was shown.
    shown: (u64, u64),
    picture: Image,
}

/// What is done to one period.
#[derive(Default)]
struct Meddling {
    silent: bool,
    skip: bool,
    found: FaultSet,
    fault: Option<Fault>,
}

impl Bench {
    fn new(sim: &SimConfig, config: Config) -> anyhow::Result<Self> {
        let world = SimWorld::new(SimConfig { draw: false, ..sim.clone() })?;
        let controller = Controller::new(config, Calibration::default(), 1.0)?;
        let picture =
            Image { width: 16, height: 16, order: PixelOrder::Rgb, data: vec![0; 16 * 16 * 3] };
        Ok(Self { config, world, controller, ticks: Vec::new(), shown: (0, 0), picture })
    }

    /// Draws one picture that differs from all before.
    fn draw(&mut self, id: u64) {
        let mut value = id.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        for byte in &mut self.picture.data {
            value = value.rotate_left(11).wrapping_mul(0xD134_2543_DE82_EF95).wrapping_add(id);
            *byte = 60 + (value >> 58) as u8;
        }
    }

    fn period(&mut self, meddling: &Meddling) {
        if meddling.skip {
            // The plant goes on, and its frame is lost without a word.
            self.world.tick(None);
            return;
        }
        let truth = self.world.truth();
        let id = self.world.frame_count();
        let start_ns = id * PERIOD_NS;
        let before = (self.world.vehicle().x_m, self.world.vehicle().y_m);
        let output = if meddling.silent {
            self.controller.no_frame(start_ns, meddling.found)
        } else {
            self.step(meddling, id, start_ns)
        };
        self.world.tick(Some(&output.command));
        let car = self.world.vehicle();
        self.ticks.push(Tick {
            output,
            framed: !meddling.silent,
            speed_mps: car.speed_mps,
            moved_m: (car.x_m - before.0).hypot(car.y_m - before.1),
            deviation_m: f64::from(truth.lane_deviation_m),
        });
    }

    fn step(&mut self, meddling: &Meddling, id: u64, start_ns: u64) -> StepOutput {
        let mut ego = self.world.ego();
        let truth = self.world.truth();
        let steer = truth.expert_steer;
        let mut probs = [0.0; BIN_COUNT];
        if let Some(p) = bin_of(steer).and_then(|k| probs.get_mut(k)) {
            *p = 1.0;
        }
        let (mut meta_id, mut sim_time_ns) = (id, start_ns);
        let (mut now_ns, mut received_ns) = (start_ns, start_ns);
        let mut regression = steer;
        if meddling.fault != Some(Fault::ImageFrozen) {
            self.draw(id);
        }
        match meddling.fault {
            Some(Fault::FrameStale) => received_ns = start_ns.saturating_sub(250_000_000),
            Some(Fault::FrameRepeated) => (meta_id, sim_time_ns) = self.shown,
            Some(Fault::FrameOutOfOrder) => {
                (meta_id, sim_time_ns) = (self.shown.0 - 1, self.shown.1 - PERIOD_NS);
            }
            Some(Fault::ImageBlack) => self.picture.data.fill(0),
            Some(Fault::ImageBlownOut) => self.picture.data.fill(255),
            Some(Fault::ImageMalformed) => self.picture.data.truncate(100),
            Some(Fault::EgoInvalid) => ego.speed_mps = f32::NAN,
            Some(Fault::PredictionNonFinite) => regression = f32::NAN,
            Some(Fault::PredictionMalformed) => probs = [0.0; BIN_COUNT],
            Some(Fault::DeadlineOverrun) => now_ns += 60_000_000,
            _ => {}
        }
        let prediction = Prediction::new(regression, probs).map_err(|e| match e {
            PredictionError::NonFinite => Fault::PredictionNonFinite,
            PredictionError::Malformed => Fault::PredictionMalformed,
        });
        let deadline_ns = u64::from(self.config.gate.deadline_ms) * 1_000_000;
        let input = StepInput {
            now_ns,
            frame: FrameMeta {
                id: FrameId(meta_id),
                sim_time_ns,
                received_ns,
                dropped: 0,
                ego,
                advisory_speed_mps: truth.expert_speed_mps,
                nav: caril_core::NavCommand::Follow,
            },
            image: check_image(&self.picture),
            prediction,
            second: None,
            overrun: now_ns - received_ns > deadline_ns
                && meddling.fault != Some(Fault::FrameStale),
            faults: meddling.found,
        };
        self.picture.data.resize(16 * 16 * 3, 0);
        self.shown = self.shown.max((meta_id, sim_time_ns));
        self.controller.step(&input)
    }

    /// What is done in the `k`-th period of the fault.
    fn meddle(question: Question, k: usize) -> Meddling {
        let Question { fault, lasting, .. } = question;
        let wrong = |periods: usize| k < if lasting { LASTING } else { periods };
        let mut m = Meddling::default();
        match fault {
            Fault::FrameLate => m.silent = wrong(4),
            Fault::FrameMissing => m.silent = wrong(11),
            Fault::PlantGone if wrong(1) => {
                m.silent = true;
                m.found.insert(fault);
            }
            // Lasting: every other frame is lost.
            Fault::FrameGap if lasting => m.skip = k < 2 * LASTING && k.is_multiple_of(2),
            Fault::FrameGap => m.skip = wrong(2),
            // Until it has long come to a stand: what is frozen stays so.
            Fault::ImageFrozen if wrong(120) => m.fault = Some(fault),
            Fault::PredictionNonFinite | Fault::PredictionMalformed if wrong(1) => {
                m.fault = Some(fault);
            }
            Fault::Internal | Fault::StopRequested if wrong(1) => m.found.insert(fault),
            Fault::MessageMalformed if wrong(3) => m.found.insert(fault),
            Fault::FrameStale
            | Fault::FrameRepeated
            | Fault::FrameOutOfOrder
            | Fault::ImageBlack
            | Fault::ImageBlownOut
            | Fault::ImageMalformed
            | Fault::EgoInvalid
            | Fault::DeadlineOverrun
                if wrong(3) =>
            {
                m.fault = Some(fault);
            }
            _ => {}
        }
        m
    }
}

/// Runs one cell: `clean` periods of driving, then into the mode, then the fault.
///
/// # Errors
/// If the world or the controller cannot be made.
pub fn run(
    question: Question,
    sim: &SimConfig,
    config: Config,
    clean: usize,
) -> anyhow::Result<Cell> {
    let mut bench = Bench::new(sim, config)?;
    for _ in 0..clean {
        bench.period(&Meddling::default());
    }
    let mut before = Meddling::default();
    match question.mode {
        Mode::Nominal => {}
        Mode::Degraded => before.found.insert(Fault::MessageMalformed),
        Mode::SafeStop => before.fault = Some(Fault::EgoInvalid),
    }
    bench.period(&before);
    for _ in 1..LEAD {
        bench.period(&Meddling::default());
    }
    let cause = bench.ticks.len();
    let marks = bench.world.truth();
    let met = bench.ticks[cause - 1].output.mode;
    let mut standing = 0;
    for k in 0..700 {
        bench.period(&Bench::meddle(question, k));
        let Some(tick) = bench.ticks.last() else { continue };
        standing = if tick.speed_mps < STANDING_MPS { standing + 1 } else { 0 };
        let driving = tick.output.mode == Mode::Nominal;
        if k > 45 && (driving || standing > 180) {
            break;
        }
    }
    let after = bench.world.truth();
    let mut cell = judge(question, &config, &bench.ticks, cause);
    if met != question.mode {
        cell.wrong.push(format!("it was in {met:?} when the fault came"));
    }
    if after.lane_invasions != marks.lane_invasions || after.off_road_m != marks.off_road_m {
        cell.wrong.push("the car left its lane".to_owned());
    }
    if bench.world.ended().is_some() {
        cell.wrong.push("the episode ended".to_owned());
    }
    Ok(cell)
}

fn judge(question: Question, config: &Config, ticks: &[Tick], cause: usize) -> Cell {
    let expected = expected(question);
    let after = &ticks[cause..];
    let mut cell = Cell {
        question,
        expected,
        got: None,
        noticed_s: f64::NAN,
        stop: None,
        deviation_max_m: after.iter().map(|t| t.deviation_m.abs()).fold(0.0, f64::max),
        wrong: Vec::new(),
    };
    let seen = |t: &Tick| t.output.faults.contains(question.fault);
    let Some(at) = ticks
        .iter()
        .skip(cause)
        .position(|t| seen(t) && (!question.lasting || t.output.mode == Mode::SafeStop))
    else {
        cell.wrong.push("it was not noticed".to_owned());
        return cell;
    };
    cell.noticed_s = at as f64 / RATE_HZ;
    let at = cause + at;
    let got = Outcome {
        mode: ticks[at].output.mode,
        manoeuvre: manoeuvre(config, &ticks[at], ticks[at - 1].speed_mps),
        steering: steering(ticks, at),
        recovery: recovery(config, ticks, at),
    };
    cell.got = Some(got);
    if got.mode != expected.mode {
        cell.wrong.push(format!("mode {:?}, not {:?}", got.mode, expected.mode));
    }
    // What another fault asks for besides (a silence that lasts) may be harder, never softer.
    let hard_enough = if question.lasting {
        got.manoeuvre >= expected.manoeuvre
    } else {
        got.manoeuvre == expected.manoeuvre
    };
    if !hard_enough {
        let name = |m: Option<Manoeuvre>| m.map_or("none", Manoeuvre::name);
        let (got, expected) = (name(got.manoeuvre), name(expected.manoeuvre));
        cell.wrong.push(format!("manoeuvre {got}, not {expected}"));
    }
    // Without a frame every step holds, whatever the fault's row says.
    if ticks[at].framed && got.steering != expected.steering {
        let (got, expected) = (got.steering.name(), expected.steering.name());
        cell.wrong.push(format!("steering {got}, not {expected}"));
    }
    if got.recovery != expected.recovery {
        let (got, expected) = (got.recovery.name(), expected.recovery.name());
        cell.wrong.push(format!("recovery {got}, not {expected}"));
    }
    if expected.mode == Mode::SafeStop {
        judge_stop(&mut cell, config, ticks, cause, at);
    } else if ticks[at..].iter().any(|t| t.output.mode == Mode::SafeStop) {
        cell.wrong.push("it stopped".to_owned());
    }
    cell
}

/// The manoeuvre that a command is part of.
fn manoeuvre(config: &Config, tick: &Tick, speed_mps: f64) -> Option<Manoeuvre> {
    let command = &tick.output.command;
    let full = config.longitudinal.full_brake_mps2;
    let brakes = |decel: f32| command.brake >= decel / full - 1e-6;
    match tick.output.mode {
        Mode::SafeStop if brakes(config.gate.hard_decel_mps2) => Some(Manoeuvre::HardStop),
        Mode::SafeStop if brakes(config.gate.comfort_decel_mps2) => Some(Manoeuvre::ComfortStop),
        Mode::Degraded
            if speed_mps <= f64::from(config.gate.degraded_speed_mps)
                || command.throttle == 0.0 =>
        {
            Some(Manoeuvre::Slow)
        }
        _ => None,
    }
}

fn steering(ticks: &[Tick], at: usize) -> Steering {
    let held = ticks[at].output.correction.regime == Regime::NoPrediction
        && ticks[at].output.command.steer == ticks[at - 1].output.command.steer;
    if held { Steering::Held } else { Steering::Live }
}

fn recovery(config: &Config, ticks: &[Tick], at: usize) -> Recovery {
    let stopping = ticks[at].output.mode == Mode::SafeStop;
    let left = ticks[at..].iter().position(|t| match ticks[at].output.mode {
        Mode::SafeStop => t.output.mode != Mode::SafeStop,
        _ => t.output.mode == Mode::Nominal,
    });
    let Some(left) = left.map(|n| at + n) else { return Recovery::Never };
    // Only after as many clean frames as the gate asks for.
    let clean = ticks[..=left].iter().rev().take_while(|t| t.output.faults.is_empty()).count();
    let patient = clean >= config.gate.recover_frames as usize;
    let stood = ticks[left - 1].speed_mps < f64::from(caril_control::STANDSTILL_MPS);
    match (stopping, patient) {
        (true, true) if stood && ticks[left].output.mode == Mode::Degraded => Recovery::Standstill,
        (false, true) => Recovery::CleanFrames,
        // Left too early: as if nothing had to be waited for.
        (true, _) => Recovery::CleanFrames,
        (false, false) => Recovery::Standstill,
    }
}

fn judge_stop(cell: &mut Cell, config: &Config, ticks: &[Tick], cause: usize, at: usize) {
    let Some(stands) = ticks[at..].iter().position(|t| t.speed_mps < STANDING_MPS) else {
        cell.wrong.push("the car did not come to a stand".to_owned());
        return;
    };
    let stands = at + stands;
    let from_mps = ticks[at - 1].speed_mps;
    let metres = |from: usize| ticks[from..=stands].iter().map(|t| t.moved_m).sum::<f64>();
    let decel = match cell.expected.manoeuvre {
        Some(Manoeuvre::HardStop) => config.gate.hard_decel_mps2,
        _ => config.gate.comfort_decel_mps2,
    };
    let stated_m = from_mps * from_mps / (2.0 * f64::from(decel)) + from_mps * BRAKE_DELAY_S;
    let stop = Stop {
        from_mps,
        seconds: (stands - at + 1) as f64 / RATE_HZ,
        metres: metres(at),
        stated_m,
        from_cause_m: metres(cause),
    };
    if stop.metres > stop.stated_m {
        cell.wrong.push(format!("{:.2} m to a stand, stated {stated_m:.2} m", stop.metres));
    }
    if ticks[at..=stands].iter().any(|t| t.output.command.throttle > 0.0) {
        cell.wrong.push("throttle during a stop".to_owned());
    }
    cell.stop = Some(stop);
}

/// All cells: every fault in every mode, and every latent fault once more for longer than is
/// tolerated.
pub fn questions() -> Vec<Question> {
    let modes = [Mode::Nominal, Mode::Degraded, Mode::SafeStop];
    let mut all = Vec::new();
    for fault in Fault::ALL {
        for mode in modes {
            all.push(Question { fault, mode, lasting: false });
        }
    }
    for fault in Fault::ALL {
        if rule(fault).class == Class::Latent {
            for mode in [Mode::Nominal, Mode::Degraded] {
                all.push(Question { fault, mode, lasting: true });
            }
        }
    }
    all
}

#[cfg(test)]
mod tests;
