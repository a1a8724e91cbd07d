//! `caril eval frames`: packs on recorded frames. Are they right, and do they know when not?

mod figure;
mod measure;
mod page;
mod row;
mod worst;

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use caril_core::PolicyCard;
use caril_train::{LeftOut, Panel, WRONG_ABOVE, Watched};
use clap::Args;
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::args::BackendArg;
use crate::exit::{Exit, usage};
use crate::{backend, output, scenario};
use measure::{Figures, figures, shift};
use row::{CONTROLLER, PLAIN, Row, SIGNAL_NAMES, SIGNALS, rows};

/// Measure packs on recorded frames, and how well each confidence signal finds the frames on
/// which they are wrong.
#[derive(Debug, Args)]
#[command(
    after_help = "Steers are on the pack's normalised scale [−1, 1]. Every recording is a data set; several are also taken together. Frames without a picture or the expert's steer are counted and left out. Signals are higher where the network is surer.\n\nExamples:\n  caril eval frames --data held.mcap --json\n  caril eval frames --policy default weights/mine --data town.mcap hills.mcap --shifted fog.mcap glare.mcap --out runs/frames"
)]
pub struct FramesArgs {
    /// Policy packs, side by side
    #[arg(long, default_value = "default", num_args = 1.., value_name = "NAME|DIR")]
    policy: Vec<String>,
    /// Recordings with pictures and the expert's steer
    #[arg(long, required = true, num_args = 1.., value_name = "F.mcap")]
    data: Vec<PathBuf>,
    /// Recordings made under what the packs were never trained on: other weather, faults
    #[arg(long, num_args = 1.., value_name = "G.mcap")]
    shifted: Vec<PathBuf>,
    /// Recordings that the packs were trained on: every frame's distance to what the network makes
    /// of them is measured as one more signal
    #[arg(long, num_args = 1.., value_name = "T.mcap")]
    reference: Vec<PathBuf>,
    /// Folder of report.html and results.json
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// One line a frame (and pack) as JSON Lines
    #[arg(long, value_name = "F.jsonl")]
    predictions: Option<PathBuf>,
    /// |regression − expert| above which a frame is wrong
    #[arg(long, default_value_t = WRONG_ABOVE, value_name = "STEER", allow_negative_numbers = true)]
    wrong_above: f32,
    /// Also recordings of another camera than the pack's
    #[arg(long)]
    any_camera: bool,
    /// Seed of the paper's correction
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// What runs the networks
    #[arg(long, value_enum, default_value_t = BackendArg::Cpu)]
    backend: BackendArg,
    /// Threads; 0 takes all
    #[arg(long, default_value_t = 0)]
    threads: usize,
    /// One JSON object on stdout
    #[arg(long)]
    json: bool,
}

/// Which kind of data set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Role {
    Clean,
    Shifted,
}

/// One or several recordings that are measured together.
struct Set {
    name: String,
    role: Role,
    /// Into the recordings.
    files: Vec<usize>,
    /// Whether it stands for its role in the report's figures: the only one, or all together.
    is_summary: bool,
}

/// A pack as it is named in the tables.
struct Policy {
    name: String,
    dir: PathBuf,
    card: PolicyCard,
}

/// A recording, measured.
struct Source {
    path: PathBuf,
    role: Role,
    sha256: String,
    complete: bool,
    drives: u32,
    left_out: LeftOut,
    /// `[policy][frame]`.
    rows: Vec<Vec<Row>>,
}

/// One pack on one data set.
struct Measured {
    policy: usize,
    set: usize,
    figures: Figures,
}

/// A shifted data set against all clean frames, under one pack.
struct Shift {
    policy: usize,
    set: usize,
    auroc: [f64; SIGNALS],
}

/// All that was found.
struct Found {
    policies: Vec<Policy>,
    sources: Vec<Source>,
    sets: Vec<Set>,
    measured: Vec<Measured>,
    shifts: Vec<Shift>,
}

/// Runs the command. A recording that was cut off is degraded: exit code 3.
///
/// # Errors
/// If a pack or a recording cannot be used or a file cannot be written.
pub fn run(args: &FramesArgs) -> anyhow::Result<Exit> {
    if !(args.wrong_above.is_finite() && args.wrong_above > 0.0) {
        return Err(usage(format!("--wrong-above {}: expected more than 0", args.wrong_above)));
    }
    let dirs: Vec<PathBuf> =
        args.policy.iter().map(|p| scenario::pack_dir(p)).collect::<anyhow::Result<_>>()?;
    let packs = dirs
        .iter()
        .map(|dir| Ok((dir.clone(), backend::runner(dir, args.backend)?)))
        .collect::<anyhow::Result<_>>()?;
    let mut panel = Panel::load(packs, args.threads, args.any_camera)?;
    if !args.reference.is_empty() {
        let bar = output::progress(0, "reference {human_pos} frames {elapsed}");
        let frames = panel.refer_to(&args.reference, &mut |n| bar.set_position(n as u64))?;
        bar.finish_and_clear();
        say!("reference: {frames} frames");
    }
    let names = unique(panel.cards().map(|c| c.name.clone()).collect());
    let policies: Vec<Policy> = names
        .into_iter()
        .zip(dirs)
        .zip(panel.cards())
        .map(|((name, dir), card)| Policy { name, dir, card: card.clone() })
        .collect();
    let clean = args.data.iter().map(|p| (p, Role::Clean));
    let files: Vec<(&PathBuf, Role)> =
        clean.chain(args.shifted.iter().map(|p| (p, Role::Shifted))).collect();
    let sets = sets(&files);
    // What cannot be written should be known before the work, not after it.
    if let Some(dir) = &args.out {
        std::fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
    }
    let mut lines = args.predictions.as_deref().map(Lines::create).transpose()?;
    let mut sources = Vec::new();
    for ((path, role), set) in files.iter().zip(&sets) {
        let source = watch(&panel, &policies, path, *role, args.seed)?;
        if let Some(lines) = &mut lines {
            lines.write(&policies, &set.name, &source)?;
        }
        sources.push(source);
    }
    let found = measure(policies, sources, sets, args.wrong_above)?;
    say(&found);
    let mut json = found.to_json();
    if let Value::Object(fields) = &mut json {
        let report = args.out.as_ref().map(|dir| dir.join("report.html"));
        fields.insert("backend".into(), json!(args.backend.name()));
        fields.insert("device".into(), json!(backend::device_name(args.backend)?));
        fields.insert("report".into(), json!(report));
        fields.insert("predictions".into(), json!(args.predictions));
    }
    if let Some(dir) = &args.out {
        write(&dir.join("results.json"), &serde_json::to_string_pretty(&json)?)?;
        let report = dir.join("report.html");
        let pictures = worst::find(&found);
        write(&report, &page::page(&found, &json, &pictures))?;
        say!("report: {}", report.display());
    }
    if args.json {
        output::print_json(&json)?;
    }
    let complete = found.sources.iter().all(|s| s.complete);
    Ok(if complete { Exit::Ok } else { Exit::Degraded })
}

fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

/// Every recording is a set; several of one role also together. Those of single recordings come
/// first and in order.
fn sets(files: &[(&PathBuf, Role)]) -> Vec<Set> {
    let stem = |p: &Path| p.file_stem().unwrap_or(p.as_os_str()).to_string_lossy().into_owned();
    let count = |role: Role| files.iter().filter(|f| f.1 == role).count();
    let mut sets: Vec<Set> = unique(files.iter().map(|f| stem(f.0)).collect())
        .into_iter()
        .zip(files)
        .enumerate()
        .map(|(i, (name, (_, role)))| Set {
            name,
            role: *role,
            files: vec![i],
            is_summary: count(*role) == 1,
        })
        .collect();
    for (role, name) in [(Role::Clean, "all clean"), (Role::Shifted, "all shifted")] {
        if count(role) > 1 {
            let files = (0..files.len()).filter(|i| files.get(*i).is_some_and(|f| f.1 == role));
            sets.push(Set { name: name.into(), role, files: files.collect(), is_summary: true });
        }
    }
    sets
}

/// Names that differ: the second of a name gets a number.
fn unique(names: Vec<String>) -> Vec<String> {
    let mut made: Vec<String> = Vec::new();
    for name in names {
        let numbered = (2..).map(|n| format!("{name} ({n})"));
        let free = std::iter::once(name.clone()).chain(numbered).find(|n| !made.contains(n));
        made.push(free.unwrap_or(name));
    }
    made
}

fn watch(
    panel: &Panel,
    policies: &[Policy],
    path: &Path,
    role: Role,
    seed: u64,
) -> anyhow::Result<Source> {
    let bar = output::progress(0, "{msg} {human_pos} frames {elapsed}");
    bar.set_message(path.display().to_string());
    let Watched { sha256, complete, drives, frames, said, left_out, .. } =
        panel.watch(path, &mut |n| bar.set_position(n as u64))?;
    bar.finish_and_clear();
    let rows = policies
        .iter()
        .zip(&said)
        .map(|(p, said)| rows(&p.card, &frames, said, seed))
        .collect::<anyhow::Result<Vec<_>>>()
        .with_context(|| path.display().to_string())?;
    say!("{}: {} frames, {drives} drives", path.display(), frames.len());
    if left_out.total() > 0 {
        say!(
            "warning: left out: {} without picture, {} without the expert's steer, {} with a speed or steer that is no number, {} with a broken picture: {}",
            left_out.no_picture,
            left_out.no_expert,
            left_out.not_finite,
            left_out.broken_picture,
            path.display()
        );
    }
    if !complete {
        say!("warning: the recording was cut off: {}", path.display());
    }
    for policy in policies.iter().filter(|p| p.card.training.data_sha256.contains(&sha256)) {
        say!("warning: pack {} was trained on {}", policy.name, path.display());
    }
    Ok(Source { path: path.into(), role, sha256, complete, drives, left_out, rows })
}

/// The predictions' file, written recording by recording.
struct Lines<'a> {
    path: &'a Path,
    file: BufWriter<File>,
}

impl<'a> Lines<'a> {
    fn create(path: &'a Path) -> anyhow::Result<Self> {
        let file =
            File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(Self { path, file: BufWriter::new(file) })
    }

    fn write(&mut self, policies: &[Policy], data: &str, source: &Source) -> anyhow::Result<()> {
        let mut all = || -> std::io::Result<()> {
            for (policy, rows) in policies.iter().zip(&source.rows) {
                for row in rows {
                    serde_json::to_writer(&mut self.file, &row.to_json(&policy.name, data))?;
                    self.file.write_all(b"\n")?;
                }
            }
            self.file.flush()
        };
        all().with_context(|| format!("cannot write {}", self.path.display()))
    }
}

fn measure(
    policies: Vec<Policy>,
    sources: Vec<Source>,
    sets: Vec<Set>,
    wrong_above: f32,
) -> anyhow::Result<Found> {
    let rows = |policy: usize, files: &[usize]| -> Vec<&Row> {
        let of = |f: &usize| sources.get(*f).and_then(|s: &Source| s.rows.get(policy));
        files.iter().filter_map(of).flatten().collect()
    };
    let (mut measured, mut shifts) = (Vec::new(), Vec::new());
    for (policy, p) in policies.iter().enumerate() {
        let clean = sets.iter().find(|s| s.is_summary && s.role == Role::Clean);
        let clean = clean.map(|s| rows(policy, &s.files)).unwrap_or_default();
        for (set, s) in sets.iter().enumerate() {
            let rows = rows(policy, &s.files);
            let figures = figures(&rows, p.card.calibration.temperature, wrong_above)
                .with_context(|| format!("pack {} on {}", p.name, s.name))?;
            measured.push(Measured { policy, set, figures });
            if s.role == Role::Shifted {
                shifts.push(Shift { policy, set, auroc: shift(&clean, &rows)? });
            }
        }
    }
    Ok(Found { policies, sources, sets, measured, shifts })
}

impl Found {
    fn policy(&self, i: usize) -> &str {
        self.policies.get(i).map_or("", |p| &p.name)
    }

    fn set(&self, i: usize) -> &str {
        self.sets.get(i).map_or("", |s| &s.name)
    }

    /// The measured that stand for their role, in order.
    fn summaries(&self) -> impl Iterator<Item = &Measured> {
        self.measured.iter().filter(|m| self.sets.get(m.set).is_some_and(|s| s.is_summary))
    }

    /// The object of `--json`.
    fn to_json(&self) -> Value {
        let policy = |p: &Policy| {
            json!({
                "name": p.name, "dir": p.dir, "architecture": p.card.architecture,
                "steer_scale": p.card.steer_scale, "temperature": p.card.calibration.temperature,
                "weights_sha256": p.card.weights_sha256,
            })
        };
        let source = |(s, set): (&Source, &Set)| {
            let trained: Vec<&str> = self
                .policies
                .iter()
                .filter(|p| p.card.training.data_sha256.contains(&s.sha256))
                .map(|p| p.name.as_str())
                .collect();
            json!({
                "name": set.name, "file": s.path, "role": s.role, "sha256": s.sha256,
                "frames": s.rows.first().map_or(0, Vec::len), "drives": s.drives,
                "complete": s.complete, "left_out": s.left_out, "trained_on_by": trained,
            })
        };
        let result = |m: &Measured| {
            let mut value = serde_json::to_value(&m.figures).unwrap_or_default();
            if let Value::Object(fields) = &mut value {
                fields.insert("policy".into(), json!(self.policy(m.policy)));
                fields.insert("data".into(), json!(self.set(m.set)));
                fields.insert("role".into(), json!(self.sets.get(m.set).map(|s| s.role)));
                fields.insert("best_signal".into(), json!(best(&m.figures)));
            }
            value
        };
        let shift = |s: &Shift| {
            let auroc: Map<String, Value> = SIGNAL_NAMES
                .iter()
                .zip(s.auroc)
                .map(|((n, _), v)| ((*n).into(), json!(v)))
                .collect();
            json!({ "policy": self.policy(s.policy), "shifted": self.set(s.set), "auroc": auroc })
        };
        let signals: Map<String, Value> =
            SIGNAL_NAMES.iter().map(|(n, says)| ((*n).into(), json!(says))).collect();
        json!({
            "policies": self.policies.iter().map(policy).collect::<Vec<_>>(),
            "data": self.sources.iter().zip(&self.sets).map(source).collect::<Vec<_>>(),
            "signals": signals,
            "results": self.measured.iter().map(result).collect::<Vec<_>>(),
            "shift": self.shifts.iter().map(shift).collect::<Vec<_>>(),
        })
    }
}

/// The signal that finds the wrong frames best, by AUROC.
fn best(figures: &Figures) -> Option<&'static str> {
    let found = figures.failure.signals.iter().filter_map(|s| Some((s.auroc?, s.name)));
    found
        .fold(None, |best: Option<(f64, &'static str)>, s| match best {
            Some(b) if b.0 >= s.0 => Some(b),
            _ => Some(s),
        })
        .map(|b| b.1)
}

/// The main figures, for people, on stderr.
fn say(found: &Found) {
    let auroc = |f: &Figures, i: usize| {
        let value = f.failure.signals.get(i).and_then(|s| s.auroc);
        value.map_or("–".to_owned(), |v| format!("{v:.3}"))
    };
    let width = found.sets.iter().map(|s| s.name.chars().count()).max().unwrap_or(0).max(4);
    for (i, policy) in found.policies.iter().enumerate() {
        say!("{} ({})", policy.name, policy.dir.display());
        say!(
            "  {:width$}  frames  class  ±1 class    MAE  MAE turn  wrong    ECE (before)  AUROC: plain  ±1 mass  best",
            "data"
        );
        for m in found.measured.iter().filter(|m| m.policy == i) {
            let f = &m.figures;
            let turn = f.steer.get("turn").map_or("–".into(), |e| format!("{:.4}", e.mae));
            say!(
                "  {:width$} {:7} {:5.1}% {:8.1}% {:.4} {turn:>9} {:5.1}% {:.4} ({:.4})  {:>12} {:>8}  {}",
                found.set(m.set),
                f.frames,
                100.0 * f.classes.accuracy,
                100.0 * f.classes.accuracy_within_one,
                f.steer.get("all").map_or(f64::NAN, |e| e.mae),
                100.0 * f.failure.share,
                f.calibration.after.ece,
                f.calibration.before.ece,
                auroc(f, PLAIN),
                auroc(f, CONTROLLER),
                best(f).unwrap_or("–"),
            );
        }
        for s in found.shifts.iter().filter(|s| s.policy == i) {
            let auroc = |i: usize| s.auroc.get(i).copied().unwrap_or(f64::NAN);
            let best = (0..SIGNALS)
                .filter(|i| auroc(*i).is_finite())
                .max_by(|a, b| auroc(*a).total_cmp(&auroc(*b)));
            say!(
                "  clean against {}: AUROC by plain {:.3}, ±1 mass {:.3}, best {:.3} ({})",
                found.set(s.set),
                auroc(PLAIN),
                auroc(CONTROLLER),
                best.map_or(f64::NAN, auroc),
                best.and_then(|i| SIGNAL_NAMES.get(i)).map_or("–", |n| n.0),
            );
        }
    }
}
