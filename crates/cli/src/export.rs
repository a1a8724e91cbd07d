//! `caril export`: a policy pack for other runtimes.

use std::path::PathBuf;

use anyhow::Context as _;
use caril_core::{Architecture, CameraSpec};
use clap::{Args, Subcommand};

use crate::exit::{Exit, usage};
use crate::scenario;

/// What to export.
#[derive(Debug, Subcommand)]
pub enum ExportCommand {
    /// A policy pack as ONNX (opset 17), for ONNX Runtime, OpenVINO, TensorRT
    Onnx(OnnxArgs),
    /// A pack with random weights, for benches
    #[command(hide = true)]
    Random(RandomArgs),
}

/// Options of `export onnx`.
#[derive(Debug, Args)]
#[command(
    after_help = "Inputs and outputs: docs/policy-pack.md; the preprocessing is in the file's metadata, too.\n\nExample:\n  caril export onnx --policy default --out default.onnx"
)]
pub struct OnnxArgs {
    /// Policy pack
    #[arg(long, default_value = "default", value_name = "NAME|DIR")]
    policy: String,
    /// The file to write
    #[arg(long, value_name = "F.onnx")]
    out: PathBuf,
}

/// Options of `export random`.
#[derive(Debug, Args)]
pub struct RandomArgs {
    /// Backbone
    #[arg(long)]
    architecture: String,
    /// The pack to write
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Seed of the weights
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// Runs the command.
///
/// # Errors
/// If the pack cannot be used or the file cannot be written.
pub fn run(command: &ExportCommand) -> anyhow::Result<Exit> {
    match command {
        ExportCommand::Onnx(args) => {
            let bytes = caril_infer::export_onnx(&scenario::pack_dir(&args.policy)?)?;
            std::fs::write(&args.out, &bytes)
                .with_context(|| format!("cannot write {}", args.out.display()))?;
            say!("{}: {} bytes", args.out.display(), bytes.len());
        }
        ExportCommand::Random(args) => {
            let architecture = Architecture::from_name(&args.architecture).ok_or_else(|| {
                let names = Architecture::ALL.map(Architecture::name).join(", ");
                usage(format!("no architecture {}; there are: {names}", args.architecture))
            })?;
            let input = architecture.default_input();
            caril_infer::invent_pack(
                &args.out,
                architecture,
                &CameraSpec::PAPER,
                input,
                args.seed,
            )?;
        }
    }
    Ok(Exit::Ok)
}
