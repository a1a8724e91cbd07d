//! What runs a network: which backends this build has, on what they run, packs opened on them.

use std::path::Path;
use std::sync::LazyLock;

use caril_core::PolicyCard;
use caril_infer::{CpuPolicy, Isa, Options};
use clap::ValueEnum as _;

use crate::args::BackendArg;
use crate::exit::usage;
use crate::scenario::AnyPolicy;

/// What `caril --version` says: the version, and the backends that were compiled in.
pub static VERSION: LazyLock<String> = LazyLock::new(|| {
    let names: Vec<String> = compiled().map(BackendArg::name).collect();
    format!(
        "{}\nbackends: {}\nkernels of cpu and int8: {}",
        env!("CARGO_PKG_VERSION"),
        names.join(", "),
        Isa::best().name()
    )
});

impl BackendArg {
    /// Its name on the command line.
    pub fn name(self) -> String {
        format!("{self:?}").to_lowercase()
    }

    /// Burn's name of it; `None` for those that are not Burn's.
    #[cfg(feature = "burn")]
    pub const fn of_burn(self) -> Option<caril_policy::Backend> {
        match self {
            Self::Cpu | Self::Int8 => None,
            Self::Flex => Some(caril_policy::Backend::Flex),
            Self::Ndarray => Some(caril_policy::Backend::Ndarray),
            Self::Wgpu => Some(caril_policy::Backend::Wgpu),
        }
    }

    /// Whether this build has it.
    pub fn is_compiled(self) -> bool {
        #[cfg(feature = "burn")]
        if let Some(backend) = self.of_burn() {
            return backend.is_compiled();
        }
        matches!(self, Self::Cpu | Self::Int8)
    }
}

/// The backends of this build.
pub fn compiled() -> impl Iterator<Item = BackendArg> {
    BackendArg::value_variants().iter().copied().filter(|b| b.is_compiled())
}

/// Refuses a backend that this build does not have.
///
/// # Errors
/// A usage error that names those that it has, and how to get the other.
fn check(backend: BackendArg) -> anyhow::Result<()> {
    if backend.is_compiled() {
        return Ok(());
    }
    let has: Vec<String> = compiled().map(BackendArg::name).collect();
    let feature = if backend == BackendArg::Flex { "burn".into() } else { backend.name() };
    Err(usage(format!(
        "--backend {}: this build has {}; build with --features {feature} for it",
        backend.name(),
        has.join(", ")
    )))
}

/// What a backend runs on, for records: kernels, or what the device calls itself.
///
/// # Errors
/// If the build or the machine does not have it.
pub fn device_name(backend: BackendArg) -> anyhow::Result<String> {
    check(backend)?;
    #[cfg(feature = "burn")]
    if let Some(backend) = backend.of_burn() {
        return Ok(backend.device_name()?);
    }
    Ok(format!("CPU, {} kernels", Isa::best().name()))
}

/// Loads a pack with a changed card: another calibration or camera. `threads` (1 or 2) are those of
/// one prediction on the CPU executor, with the same bits either way.
///
/// # Errors
/// If there are two threads for a backend that has its own, the pack cannot be used or the build or the machine does not have the backend.
pub fn open(
    dir: &Path,
    backend: BackendArg,
    threads: u8,
    change: impl FnOnce(&mut PolicyCard),
) -> anyhow::Result<AnyPolicy> {
    check(backend)?;
    #[cfg(feature = "burn")]
    if let Some(backend) = backend.of_burn() {
        if threads != 1 {
            let name = backend.name();
            return Err(usage(format!(
                "--threads: only of cpu and int8, {name} has threads of its own"
            )));
        }
        return of_burn(dir, backend, change);
    }
    Ok(Box::new(own(dir, backend, threads, change)?))
}

/// A pack on the CPU executor.
fn own(
    dir: &Path,
    backend: BackendArg,
    threads: u8,
    change: impl FnOnce(&mut PolicyCard),
) -> anyhow::Result<CpuPolicy> {
    let options = Options { threads: usize::from(threads), ..Options::default() };
    match backend {
        BackendArg::Int8 => crate::quantize::load(dir, options, change),
        _ => Ok(CpuPolicy::load_with(dir, options, change)?),
    }
}

#[cfg(feature = "burn")]
fn of_burn(
    dir: &Path,
    backend: caril_policy::Backend,
    change: impl FnOnce(&mut PolicyCard),
) -> anyhow::Result<AnyPolicy> {
    use caril_policy::{BurnPolicy, Pack};
    let device = backend.device()?;
    let mut pack = Pack::load(dir, &device)?;
    change(&mut pack.card);
    // The first prediction compiles kernels: what a driver makes of them is not in our hands.
    let load = std::panic::AssertUnwindSafe(|| BurnPolicy::new(pack, device));
    match std::panic::catch_unwind(load) {
        Ok(policy) => Ok(Box::new(policy)),
        Err(_) => anyhow::bail!("backend {} failed at its first prediction", backend.name()),
    }
}

/// What runs a pack over samples, for `calibrate` and `eval frames`.
///
/// # Errors
/// As [`open`].
#[cfg(feature = "burn")]
pub fn runner(dir: &Path, backend: BackendArg) -> anyhow::Result<caril_train::Runner> {
    check(backend)?;
    if let Some(backend) = backend.of_burn() {
        return Ok(caril_train::Runner::Burn(backend.device()?));
    }
    let mut policy = own(dir, backend, 1, |_| {})?;
    Ok(caril_train::Runner::one(move |image, speed, branch| {
        policy.infer_tensor(image, speed, branch).ok()
    }))
}
