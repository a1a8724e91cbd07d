//! `caril-hil kills`: kill −9 of controller or plant at moments drawn by lot. Every time the car must
//! stand, the recording be readable up to the cut, and the next start be clean.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use caril_core::CounterRng;
use clap::Args;
use serde::Serialize;

use crate::exit::{Exit, usage};
use crate::run::process::{Controller, Recipe, find_caril, inspect};

/// A start is clean if the car is driven within this.
const START: Duration = Duration::from_secs(60);
/// A car stands, or a controller ends, within this.
const STOP: Duration = Duration::from_secs(20);

/// Options of `kills`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  caril-hil kills --n 100 --seed 1\n  caril-hil kills --n 10 --json --out killed\n\nExit code 3 if a car did not stand, a recording cannot be read or a start was not clean."
)]
pub struct KillsArgs {
    /// How many
    #[arg(long, default_value_t = 100, value_name = "N")]
    n: u32,
    /// Seed of victims and moments
    #[arg(long, default_value_t = 1, value_name = "N")]
    seed: u64,
    /// The latest moment, seconds after the controller's start
    #[arg(long, default_value_t = 8.0, value_name = "S")]
    within: f64,
    /// The program [default: `caril` beside this one]
    #[arg(long, value_name = "PATH")]
    caril: Option<PathBuf>,
    /// Folder that keeps recordings and what was said [default: a temporary one]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// One JSON object on stdout
    #[arg(long)]
    json: bool,
    /// More options for `caril drive`, after `--`
    #[arg(last = true, value_name = "OPTIONS")]
    extra: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Victim {
    Controller,
    Plant,
}

/// What came of one kill.
#[derive(Debug, Serialize)]
struct Kill {
    number: u32,
    victim: Victim,
    after_s: f64,
    /// Speed of the car at that moment, m/s; none if no frame had been asked for.
    speed_mps: Option<f64>,
    /// The plant stayed: until its car stood, s.
    stood_s: Option<f64>,
    /// And how far it drove, m.
    stood_m: Option<f64>,
    /// The controller stayed: until it ended, s, and its exit code.
    ended_s: Option<f64>,
    exit_code: Option<i32>,
    /// Steps that can be read of its recording; none if it had not begun.
    recorded_steps: Option<u64>,
    /// Whether the recording was closed.
    recording_closed: Option<bool>,
    wrong: Vec<String>,
}

#[derive(Serialize)]
struct Output {
    kills: usize,
    controllers: usize,
    plants: usize,
    while_driving: usize,
    stood: usize,
    readable: usize,
    not_begun: usize,
    clean_starts: u32,
    /// Of them: how often a plant that had answered was lost again for want of processor time.
    starved: u32,
    stood_s_max: f64,
    stood_m_max: f64,
    passed: bool,
    wrong: Vec<String>,
    each: Vec<Kill>,
}

/// The newest tick that a plant told.
#[derive(Debug, Clone, Copy, Default)]
struct Told {
    ticks: u64,
    speed_mps: f64,
    driven_m: f64,
    nominal: bool,
}

/// A plant's process.
struct Plant {
    child: Child,
    told: Arc<Mutex<Told>>,
}

impl Plant {
    fn start(endpoint: &str) -> anyhow::Result<Self> {
        let own = std::env::current_exe().context("path of this program")?;
        let mut child = Command::new(own)
            .args(["plant", "--endpoint", endpoint])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .context("cannot start a plant")?;
        let out = child.stdout.take().context("a plant without stdout")?;
        let told = Arc::new(Mutex::new(Told::default()));
        let kept = Arc::clone(&told);
        std::thread::spawn(move || {
            // The first line says that it is bound.
            for line in BufReader::new(out).lines().map_while(Result::ok).skip(1) {
                let Ok(tick) = serde_json::from_str::<serde_json::Value>(&line) else { continue };
                let number = |key: &str| tick[key].as_f64().unwrap_or(f64::NAN);
                let mut told = kept.lock().unwrap_or_else(PoisonError::into_inner);
                *told = Told {
                    ticks: told.ticks + 1,
                    speed_mps: number("speed_mps"),
                    driven_m: number("driven_m"),
                    nominal: tick["mode"] == 0 && tick["own"] == false,
                };
            }
        });
        Ok(Self { child, told })
    }

    fn told(&self) -> Told {
        *self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Plant {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Looks until `hit` or the time is over; how long it took.
fn until(patience: Duration, mut hit: impl FnMut() -> bool) -> Option<f64> {
    let start = Instant::now();
    while start.elapsed() < patience {
        if hit() {
            return Some(start.elapsed().as_secs_f64());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    None
}

/// Runs the command.
///
/// # Errors
/// If the programs cannot be started.
pub fn run(args: &KillsArgs) -> anyhow::Result<Exit> {
    if args.n == 0 || !(0.1..=600.0).contains(&args.within) {
        return Err(usage("--n is at least 1, --within 0.1 to 600"));
    }
    let caril = find_caril(args.caril.as_deref())?;
    // An ipc path must be short: a folder of our own in the system's place for them.
    let folder = tempfile::Builder::new().prefix("caril-hil").tempdir()?;
    let out = args.out.clone().unwrap_or_else(|| folder.path().to_owned());
    std::fs::create_dir_all(&out).with_context(|| format!("cannot make {}", out.display()))?;
    let endpoint = format!("ipc://{}", folder.path().join("plant").display());
    let recipe = |number: u32| Recipe {
        caril: caril.clone(),
        endpoint: endpoint.clone(),
        keys: None,
        record: Some(out.join(format!("{number}.mcap"))),
        extra: args.extra.clone(),
        folder: out.clone(),
        ..Recipe::default()
    };
    let mut plant = Some(Plant::start(&endpoint)?);
    let mut each: Vec<Kill> = Vec::new();
    let mut wrong = Vec::new();
    let (mut clean_starts, mut starved) = (0, 0);
    for number in 1..=args.n {
        let mut draw = CounterRng::new(args.seed, u64::from(number));
        let victim = if draw.uniform() < 0.5 { Victim::Controller } else { Victim::Plant };
        let after_s = draw.uniform() * args.within;
        if plant.is_none() {
            plant = Some(Plant::start(&endpoint)?);
        }
        let Some(running) = &mut plant else { continue };
        let mut controller = recipe(number).start(number)?;
        std::thread::sleep(Duration::from_secs_f64(after_s));
        let kill = match victim {
            Victim::Controller => kill_controller(number, after_s, running, &mut controller),
            Victim::Plant => kill_plant(number, after_s, running, &mut controller),
        };
        let kill = look_at_recording(kill, &caril, &out);
        if victim == Victim::Plant {
            plant = None;
        }
        // The next start: of the same parts, which must drive.
        match clean_start(&endpoint, &mut plant, &recipe(number), number, &mut starved)? {
            None => clean_starts += 1,
            Some(why) => wrong.push(format!("start after kill {number} ({victim:?}): {why}")),
        }
        wrong.extend(kill.wrong.iter().map(|w| format!("kill {number} ({victim:?}): {w}")));
        crate::say::line(&format!(
            "{number:>4}  {victim:?} after {after_s:.2} s at {} m/s: {}",
            kill.speed_mps.map_or_else(|| "–".to_owned(), |v| format!("{v:.1}")),
            if kill.wrong.is_empty() { "well" } else { kill.wrong[0].as_str() }
        ));
        each.push(kill);
    }
    let output = sum_up(each, wrong, clean_starts, starved);
    if args.json {
        crate::say::json(&output)?;
    } else {
        crate::say::text(&text(&output))?;
    }
    Ok(if output.passed { Exit::Ok } else { Exit::Degraded })
}

fn new_kill(number: u32, victim: Victim, after_s: f64, told: Told) -> Kill {
    Kill {
        number,
        victim,
        after_s,
        speed_mps: (told.ticks > 0).then_some(told.speed_mps),
        stood_s: None,
        stood_m: None,
        ended_s: None,
        exit_code: None,
        recorded_steps: None,
        recording_closed: None,
        wrong: Vec::new(),
    }
}

fn kill_controller(number: u32, after_s: f64, plant: &Plant, controller: &mut Controller) -> Kill {
    let at = plant.told();
    let mut kill = new_kill(number, Victim::Controller, after_s, at);
    if !controller.runs() {
        kill.wrong.push(format!("it had ended by itself: {}", last_line(&controller.said())));
    }
    controller.kill();
    // A plant that nobody drove yet tells nothing: its car stands.
    let stands = || {
        let now = plant.told();
        now.ticks == 0 || now.speed_mps < 0.05
    };
    // The plant needs a moment to see a connection break, and its car may not have begun to roll.
    std::thread::sleep(Duration::from_millis(300));
    kill.stood_s = until(STOP, stands).map(|s| s + 0.3);
    match kill.stood_s {
        Some(_) => kill.stood_m = Some(plant.told().driven_m - at.driven_m),
        None => kill.wrong.push("the car did not come to a stand".to_owned()),
    }
    kill
}

fn kill_plant(number: u32, after_s: f64, plant: &mut Plant, controller: &mut Controller) -> Kill {
    let mut kill = new_kill(number, Victim::Plant, after_s, plant.told());
    plant.kill();
    let start = Instant::now();
    kill.exit_code = controller.wait(STOP);
    match kill.exit_code {
        // Without its plant a drive has failed, and says so; it may also not have found it.
        Some(1) => kill.ended_s = Some(start.elapsed().as_secs_f64()),
        Some(code) => kill
            .wrong
            .push(format!("the controller ended with {code}: {}", last_line(&controller.said()))),
        None => {
            kill.wrong.push("the controller did not end".to_owned());
            controller.kill();
        }
    }
    kill
}

fn last_line(said: &str) -> String {
    said.lines().last().unwrap_or("no word").to_owned()
}

fn look_at_recording(mut kill: Kill, caril: &Path, out: &Path) -> Kill {
    let recording = out.join(format!("{}.mcap", kill.number));
    // A recording begins when the plant has said what it is.
    if std::fs::metadata(&recording).map_or(0, |m| m.len()) == 0 {
        return kill;
    }
    match inspect(caril, &recording) {
        Ok((steps, closed)) => {
            kill.recorded_steps = Some(steps);
            kill.recording_closed = Some(closed);
            // Who was not killed has closed what it wrote.
            if kill.victim == Victim::Plant && !closed {
                kill.wrong.push("the controller left its recording open".to_owned());
            }
        }
        Err(why) => kill.wrong.push(why),
    }
    kill
}

/// Starts what is missing and sees whether the car is driven; `None` if it is. A controller that was
/// answered and then lost its plant to a machine with other work is started again, as a supervisor
/// would, and counted in `starved`.
fn clean_start(
    endpoint: &str,
    plant: &mut Option<Plant>,
    recipe: &Recipe,
    number: u32,
    starved: &mut u32,
) -> anyhow::Result<Option<String>> {
    let mut why = None;
    for retry in 0..3 {
        let (said, answered) =
            one_start(endpoint, plant, recipe, number + 1_000_000 * (retry + 1))?;
        why = said;
        if why.is_none() || !answered {
            break;
        }
        *starved += 1;
    }
    Ok(why)
}

/// One start: what was wrong, and whether the plant had answered with frames.
fn one_start(
    endpoint: &str,
    plant: &mut Option<Plant>,
    recipe: &Recipe,
    number: u32,
) -> anyhow::Result<(Option<String>, bool)> {
    if plant.is_none() {
        *plant = Some(Plant::start(endpoint)?);
    }
    let Some(running) = plant else { return Ok((Some("no plant".to_owned()), false)) };
    let before = running.told().driven_m;
    let again = Recipe { record: None, ..recipe.clone() };
    let mut controller = again.start(number)?;
    let mut ended = false;
    let driven = until(START, || {
        let now = running.told();
        ended = !controller.runs();
        ended || (now.nominal && now.speed_mps > 1.0 && now.driven_m > before + 0.5)
    });
    let why = match (driven, ended) {
        (Some(_), false) => None,
        (_, true) => Some(format!("the controller ended: {}", last_line(&controller.said()))),
        (None, _) => Some("the car is not driven".to_owned()),
    };
    let frames = |summary: serde_json::Value| summary["frames"].as_u64();
    let answered = ended && controller.summary().and_then(frames) > Some(0);
    // Ended as a user would: it brakes to a stand and says Bye.
    controller.signal("TERM");
    let left = controller.wait(STOP);
    let why = why.or_else(|| match left {
        Some(0 | 3) => None,
        other => Some(format!("asked to end it gave {other:?}: {}", last_line(&controller.said()))),
    });
    if running.child.try_wait().ok().flatten().is_some() {
        return Ok((Some("the plant ended".to_owned()), false));
    }
    Ok((why, answered))
}

fn sum_up(each: Vec<Kill>, wrong: Vec<String>, clean_starts: u32, starved: u32) -> Output {
    let count = |hit: &dyn Fn(&Kill) -> bool| each.iter().filter(|k| hit(k)).count();
    let most =
        |value: &dyn Fn(&Kill) -> Option<f64>| each.iter().filter_map(value).fold(0.0, f64::max);
    Output {
        kills: each.len(),
        controllers: count(&|k| k.victim == Victim::Controller),
        plants: count(&|k| k.victim == Victim::Plant),
        while_driving: count(&|k| k.speed_mps.is_some_and(|v| v > 0.5)),
        stood: count(&|k| k.stood_s.is_some()),
        readable: count(&|k| k.recorded_steps.is_some()),
        not_begun: count(&|k| k.recorded_steps.is_none() && k.wrong.is_empty()),
        clean_starts,
        starved,
        stood_s_max: most(&|k| k.stood_s),
        stood_m_max: most(&|k| k.stood_m),
        passed: wrong.is_empty(),
        wrong,
        each,
    }
}

fn text(o: &Output) -> String {
    let mut text = format!(
        "{} kills: {} of the controller, {} of the plant, {} while the car drove\n\
         the car stood {} of {} times the plant was left, after {:.2} s and {:.1} m at most\n\
         {} recordings readable, {} had not begun, {} clean starts of {} ({} begun again on a busy machine)\n",
        o.kills,
        o.controllers,
        o.plants,
        o.while_driving,
        o.stood,
        o.controllers,
        o.stood_s_max,
        o.stood_m_max,
        o.readable,
        o.not_begun,
        o.clean_starts,
        o.kills,
        o.starved
    );
    for wrong in &o.wrong {
        text.push_str(&format!("✗ {wrong}\n"));
    }
    text.push_str(if o.passed { "passed\n" } else { "NOT passed\n" });
    text
}
