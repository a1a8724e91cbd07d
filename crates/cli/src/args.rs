//! Options that several commands share, and how they override the configuration.

use std::path::PathBuf;

use caril_core::{Config, CorrectionMode, LongitudinalMode, Pacing};
use clap::{Args, ValueEnum};
use serde::{Deserialize, Serialize};

use crate::exit::usage;
use crate::scenario;

/// The network's backends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BackendArg {
    /// Our allocation-free CPU executor
    Cpu,
    /// The same with bytes where `caril quantize` has accepted the pack
    Int8,
    /// burn-flex, pure Rust
    Flex,
    /// burn-ndarray, pure Rust, slow (needs the feature `ndarray`)
    Ndarray,
    /// burn-wgpu: a GPU through Vulkan, Metal or DirectX (needs the feature `wgpu`)
    Wgpu,
}

/// Correction modes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum CorrectionArg {
    /// The regression as it is
    Off,
    /// The paper's rule
    Paper,
    /// A second look if it is dark, a speed cap in doubt
    Calibrated,
}

impl From<CorrectionArg> for CorrectionMode {
    fn from(arg: CorrectionArg) -> Self {
        match arg {
            CorrectionArg::Off => Self::Off,
            CorrectionArg::Paper => Self::Paper,
            CorrectionArg::Calibrated => Self::Calibrated,
        }
    }
}

/// Longitudinal control.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LongitudinalArg {
    /// Throttle 0.5 below 15 m/s, no brake
    Paper,
    /// Target speed with brake
    Cruise,
}

/// Pacing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum PacingArg {
    /// The plant waits for each command
    Lockstep,
    /// The plant keeps ticking
    Free,
}

impl From<PacingArg> for Pacing {
    fn from(arg: PacingArg) -> Self {
        match arg {
            PacingArg::Lockstep => Self::Lockstep,
            PacingArg::Free => Self::Free,
        }
    }
}

/// Where and under which conditions the embedded world drives.
#[derive(Debug, Clone, Args)]
pub struct ScenarioArgs {
    /// Map: a name from maps/ or an OpenDRIVE file
    #[arg(long, default_value = "harbour_town", value_name = "NAME|FILE.xodr")]
    pub map: String,
    /// Route: `default`, `random`, or two points in metres
    #[arg(
        long,
        default_value = "default",
        value_name = "default|random|X,Y:X,Y",
        allow_hyphen_values = true
    )]
    pub route: String,
    /// Weather by CARLA's preset names (`--weather list` names them)
    #[arg(long, default_value = "ClearNoon", value_name = "NAME")]
    pub weather: String,
    /// Fault of the camera or its stream, with severity 0–1 (repeatable; `--fault list` names them)
    #[arg(long = "fault", value_name = "NAME[:SEVERITY]")]
    pub faults: Vec<String>,
    /// Other cars
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub traffic: u32,
    /// Seed of textures, colours and surroundings
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub appearance: u64,
    /// Seed of routes, faults and random numbers [default: 1]
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// Frames per second of simulated time [default: 20]
    #[arg(long, value_name = "HZ")]
    pub rate: Option<f32>,
    /// End after so many frames
    #[arg(long, value_name = "N")]
    pub frames: Option<u64>,
    /// Round start and told places to the 32-bit floats of CARLA's protocol: the same drive through
    /// `carla-server` is then the same to the bit (docs/carla.md)
    #[arg(long)]
    pub carla_floats: bool,
}

/// How the controller behaves.
#[derive(Debug, Clone, Args)]
pub struct ControlArgs {
    /// Policy pack: a name from weights/ or a folder
    #[arg(long, default_value = "default", value_name = "NAME|DIR")]
    pub policy: String,
    /// What runs the network
    #[arg(long, value_enum, default_value_t = BackendArg::Cpu)]
    pub backend: BackendArg,
    /// Threads of one prediction on cpu and int8: the same bits, sooner on a machine with a core
    /// to spare
    #[arg(long, default_value_t = 1, value_name = "1|2", value_parser = clap::value_parser!(u8).range(1..=2))]
    pub threads: u8,
    /// Correction of uncertain actions [default: calibrated]
    #[arg(long, value_enum)]
    pub correction: Option<CorrectionArg>,
    /// Speed control [default: cruise]
    #[arg(long, value_enum)]
    pub longitudinal: Option<LongitudinalArg>,
    /// Who waits for whom [default: lockstep]
    #[arg(long, value_enum)]
    pub pacing: Option<PacingArg>,
    /// Configuration file; any part of config/default.toml
    #[arg(long, value_name = "F.toml")]
    pub config: Option<PathBuf>,
}

impl ControlArgs {
    /// The configuration: defaults, then the file, then the options.
    ///
    /// # Errors
    /// If the file cannot be read or a value makes no sense.
    pub fn config(&self, scenario: &ScenarioArgs) -> anyhow::Result<Config> {
        let mut config = match &self.config {
            None => Config::default(),
            Some(path) => scenario::load_config(path)?,
        };
        if let Some(mode) = self.correction {
            config.correction.mode = mode.into();
        }
        if let Some(mode) = self.longitudinal {
            config.longitudinal.mode = match mode {
                LongitudinalArg::Paper => LongitudinalMode::Paper,
                LongitudinalArg::Cruise => LongitudinalMode::Cruise,
            };
        }
        if let Some(pacing) = self.pacing {
            config.drive_loop.pacing = pacing.into();
        }
        if let Some(seed) = scenario.seed {
            config.drive_loop.seed = seed;
        }
        if let Some(rate) = scenario.rate {
            config.drive_loop.rate_hz = rate;
        }
        config.validate().map_err(|e| usage(e.to_string()))?;
        Ok(config)
    }
}
