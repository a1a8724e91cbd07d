//! The files of `replay --out`: new steps as a recording, steps that differ and ledger as tables.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use caril_core::{Config, PolicyCard, StepRecord};
use caril_record::{Part, Recorder, Recording, RecordingHeader};
use caril_runtime::Tick;
use serde::Serialize;

use super::ledger::LedgerRow;
use super::say::mode_name;

/// The folder.
pub struct Out(PathBuf);

/// What is written while one recording is replayed.
pub struct DriveFiles {
    steps: Recorder,
    table: BufWriter<File>,
    path: PathBuf,
    error: Option<std::io::Error>,
}

impl Out {
    /// Makes the folder.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn create(dir: &Path) -> anyhow::Result<Self> {
        std::fs::create_dir_all(dir)
            .with_context(|| format!("cannot make the folder {}", dir.display()))?;
        Ok(Self(dir.to_path_buf()))
    }

    /// With what the new recording says of what ran: `NAME.POLICY.mcap` and `.csv`; a number goes before names that are taken.
    ///
    /// # Errors
    /// If a file cannot be made.
    pub fn start(
        &self,
        recording: &Recording,
        card: &PolicyCard,
        config: &Config,
        facts: BTreeMap<String, String>,
    ) -> anyhow::Result<DriveFiles> {
        let stem = recording.path().file_stem().unwrap_or_default().to_string_lossy();
        let name = format!("{stem}.{}", card.name);
        let free = |k: u32| {
            let name = if k == 0 { name.clone() } else { format!("{k}.{name}") };
            let path = self.0.join(format!("{name}.mcap"));
            (!path.exists()).then_some(path)
        };
        // Somewhere below 2³² there is a free name.
        let path = (0..u32::MAX).find_map(free).unwrap_or_else(|| self.0.join("replay.mcap"));
        let header = RecordingHeader {
            kind: "replay".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            command_line: std::env::args().collect(),
            config: serde_json::to_value(config)?,
            policy: card.name.clone(),
            card: Some(card.clone()),
            extra: facts,
            ..recording.header().clone()
        };
        let mut record = config.record;
        record.image_every = 0;
        let steps = Recorder::start(&path, &header, &record)?;
        let path = path.with_extension("csv");
        let make = |path: &Path| -> std::io::Result<BufWriter<File>> {
            let mut table = BufWriter::new(File::create(path)?);
            writeln!(
                table,
                "frame_id,sim_time_s,stage,steer_then,steer_now,corrected_then,corrected_now,\
                 steer_expert,regime_then,regime_now,mode_then,mode_now,faults_then,faults_now"
            )?;
            Ok(table)
        };
        let table = make(&path).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(DriveFiles { steps, table, path, error: None })
    }

    /// `replay.json`, `ledger.csv` and a drawing of it per pack and correction.
    ///
    /// # Errors
    /// If a file cannot be written.
    pub fn finish(&self, output: &impl Serialize, ledger: &[LedgerRow]) -> anyhow::Result<()> {
        let write = |name: &str, text: String| {
            let path = self.0.join(name);
            std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
        };
        write("replay.json", serde_json::to_string_pretty(output)? + "\n")?;
        let mut table = String::from(
            "policy,correction,group,value,ticks,activated,activation_rate,harm_rate,benefit_rate,\
             mean_gain,raw_mae,corrected_mae,weights_sha256\n",
        );
        let cell = |v: Option<f64>| v.map_or_else(String::new, |v| v.to_string());
        for row in ledger {
            let r = &row.result;
            table += &format!(
                "{},{},{},{},{},{},{},{},{},{},{},{},{}\n",
                row.policy,
                mode_name(row.correction),
                row.group,
                row.value,
                r.ticks,
                r.activated,
                r.activation_rate,
                cell(r.harm_rate),
                cell(r.benefit_rate),
                cell(r.mean_gain),
                r.raw_mae,
                r.corrected_mae,
                row.weights_sha256,
            );
        }
        write("ledger.csv", table)?;
        for (name, svg) in super::ledger::plots(ledger) {
            write(&format!("ledger.{name}.svg"), svg)?;
        }
        say!("written: {}", self.0.display());
        Ok(())
    }
}

impl DriveFiles {
    /// A step, and a line if it differs.
    pub fn add(&mut self, tick: &Tick<'_>, now: &StepRecord, stage: Option<Part>) {
        // A step without a frame moves the controller on as well: a replay of this needs it.
        if tick.frame {
            self.steps.push_blocking(now, None);
        } else {
            self.steps.push_no_frame_blocking(now);
        }
        let Some(stage) = stage else { return };
        let then = tick.then;
        let names =
            |step: &StepRecord| step.faults.iter().map(|f| f.name()).collect::<Vec<_>>().join(" ");
        let line = writeln!(
            self.table,
            "{},{},{},{},{},{},{},{},{},{},{},{},{},{}",
            then.frame_id.0,
            then.sim_time_ns as f64 * 1e-9,
            stage.name(),
            then.command.steer,
            now.command.steer,
            then.steer_corrected,
            now.steer_corrected,
            then.truth.map_or_else(String::new, |t| t.expert_steer.to_string()),
            then.correction.regime.name(),
            now.correction.regime.name(),
            mode(then),
            mode(now),
            names(then),
            names(now),
        );
        if let (Err(e), None) = (line, &self.error) {
            self.error = Some(e);
        }
    }

    /// Removes both files again: nothing could be replayed. Hands the reason on.
    pub fn discard(self, error: anyhow::Error) -> anyhow::Error {
        let path = self.path.with_extension("mcap");
        self.steps.finish();
        for path in [&path, &self.path] {
            // It lies there empty then; the reason matters more.
            let _ = std::fs::remove_file(path);
        }
        error
    }

    /// Closes both files.
    ///
    /// # Errors
    /// If anything of them could not be written.
    pub fn finish(mut self) -> anyhow::Result<()> {
        let flushed = self.table.flush();
        self.error
            .map_or(flushed, Err)
            .with_context(|| format!("cannot write {}", self.path.display()))?;
        match self.steps.finish().write_error {
            None => Ok(()),
            Some(e) => anyhow::bail!("{e}: {}", self.path.with_extension("mcap").display()),
        }
    }
}

/// As in recordings.
const fn mode(step: &StepRecord) -> &'static str {
    match step.mode {
        caril_core::Mode::Nominal => "nominal",
        caril_core::Mode::Degraded => "degraded",
        caril_core::Mode::SafeStop => "safe_stop",
    }
}
