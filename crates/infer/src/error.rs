//! Why the executor cannot take a policy pack.

use caril_pack::PackError;

/// Why the executor cannot take a policy pack.
#[derive(Debug, thiserror::Error)]
pub enum InferError {
    /// The pack.
    #[error(transparent)]
    Pack(#[from] PackError),
    /// The executor runs on one thread or on two.
    #[error("expected 1 or 2 threads, got {got}")]
    Threads {
        /// What was asked for.
        got: usize,
    },
    /// The instruction set that was asked for is not on this machine.
    #[error("this machine has no {isa}")]
    Isa {
        /// Which.
        isa: &'static str,
    },
    /// The worker thread could not be started.
    #[error("cannot start the worker thread: {source}")]
    Worker {
        /// Why.
        source: std::io::Error,
    },
}
