//! A replay's result for people.

use caril_core::CorrectionMode;
use caril_runtime::{Changes, Comparison};

use super::ledger::LedgerRow;
use super::{PredictionsArg, Run};

/// Prints one recording's result on stderr.
pub fn run(run: &Run) {
    let c = &run.counts;
    say!(
        "{}: {}, {}: {} of {} frames replayed, {} without a picture, {} undecodable, \
         {:.1} s driven in {:.1} s ({:.1}× real time)",
        run.recording.display(),
        run.policy,
        mode_name(run.correction),
        c.replayed,
        c.frames,
        c.missing,
        c.undecodable,
        run.sim_seconds,
        run.wall_seconds,
        run.sim_seconds / run.wall_seconds.max(1e-9),
    );
    let note = |n: u64, text: &str| {
        if n > 0 {
            say!("  {n} {text}");
        }
    };
    note(c.before, "frames before the first asked for");
    note(c.no_frames, "steps without a frame");
    note(c.left_out, "steps of the drive that are not in this file");
    note(c.unreadable, "steps that cannot be read");
    note(c.dropped, "steps that the recorder had dropped");
    note(c.approximate, "frames of a recorder that did not write down all that a step looks at");
    if !c.complete {
        say!("  the recording was cut off: this is what there is of it");
    }
    if c.stopped {
        say!("  stopped early");
    }
    match &run.comparison {
        None => say!("  no pack drove this recording: nothing to compare with"),
        Some(comparison) if comparison.is_equal() => {
            say!("  equal: every step is the same to the bit");
        }
        Some(comparison) => difference(comparison),
    }
    let differs = run.comparison.as_ref().is_some_and(|c| !c.is_equal());
    if c.lossy > 0 && run.predictions == PredictionsArg::Network && differs {
        say!(
            "  {} pictures are JPEGs: the network saw other pixels than then (drive with \
             --record-images lossless, or replay with --predictions recorded)",
            c.lossy
        );
    }
}

fn difference(c: &Comparison) {
    say!("  differs on {} of {} steps", c.differ, c.compared);
    if let Some(first) = &c.first {
        say!(
            "  first at frame {} ({:.3} s) in stage {}:",
            first.frame_id.0,
            first.sim_time_ns as f64 * 1e-9,
            first.stage.name()
        );
        for f in first.fields.iter().filter(|f| f.part == first.stage).take(4) {
            say!("    {}: {} → {}", f.field, f.then, f.now);
        }
    }
    let stages: Vec<_> = c.stages.iter().map(|(stage, n)| format!("{stage} {n}")).collect();
    say!("  stages: {}", stages.join(", "));
    say!(
        "  steer sent: mean difference {:.5}, greatest {:.5} (frame {})",
        c.steer.mean,
        c.steer.max,
        c.steer.max_frame_id.0
    );
    changes("regimes", &c.regimes);
    changes("modes", &c.modes);
    changes("faults", &c.faults);
    let e = &c.expert;
    if e.ticks > 0 {
        say!(
            "  nearer to the expert on {} steps, further on {}; mean distance {:.5}, was {:.5}",
            e.nearer,
            e.further,
            e.now_mae,
            e.then_mae
        );
    }
}

fn changes(name: &str, changes: &Changes) {
    if !changes.is_empty() {
        let all: Vec<_> = changes.iter().map(|(what, n)| format!("{what} {n}")).collect();
        say!("  {name}: {}", all.join(", "));
    }
}

/// Prints the ledger as a table on stderr.
pub fn ledger(rows: &[LedgerRow]) {
    if rows.is_empty() {
        return;
    }
    say!("what each correction would have done to the same predictions:");
    say!(
        "  {:12} {:10} {:10} {:18} {:>7} {:>7} {:>6} {:>7} {:>9} {:>8} {:>8}",
        "policy",
        "correction",
        "group",
        "",
        "ticks",
        "active",
        "harm",
        "benefit",
        "gain",
        "raw",
        "corrected"
    );
    let percent = |v: Option<f64>| v.map_or_else(|| "–".into(), |v| format!("{:.1}%", 100.0 * v));
    for row in rows {
        let r = &row.result;
        say!(
            "  {:12} {:10} {:10} {:18} {:>7} {:>7} {:>6} {:>7} {:>9} {:>8.5} {:>8.5}",
            row.policy,
            mode_name(row.correction),
            row.group,
            row.value,
            r.ticks,
            percent(Some(r.activation_rate)),
            percent(r.harm_rate),
            percent(r.benefit_rate),
            r.mean_gain.map_or_else(|| "–".into(), |v| format!("{v:+.5}")),
            r.raw_mae,
            r.corrected_mae,
        );
    }
}

/// As on the command line.
pub const fn mode_name(mode: CorrectionMode) -> &'static str {
    match mode {
        CorrectionMode::Off => "off",
        CorrectionMode::Paper => "paper",
        CorrectionMode::Calibrated => "calibrated",
    }
}
