//! `caril keys`, and the options of every command that links with another machine.

use std::path::PathBuf;

use caril_link::{Keyring, SecretKey, stays_here};
use clap::{Args, Subcommand};

use crate::exit::{Exit, usage};
use crate::output;

/// Keys of links that leave the machine.
#[derive(Debug, Subcommand)]
pub enum KeysCommand {
    /// Make a secret key and, beside it, its public key
    New(NewArgs),
}

/// Options of `keys new`.
#[derive(Debug, Args)]
#[command(
    after_help = "Example: plant.key and car.key, one on each machine; each end gets the other's .pub\n  caril keys new car.key\n  caril drive --plant tcp://plant:5555 --key car.key --peers plant.key.pub"
)]
pub struct NewArgs {
    /// The secret key's file; the public key is written to FILE.pub
    #[arg(value_name = "FILE")]
    path: PathBuf,
}

/// Runs the command.
///
/// # Errors
/// If a file exists already or cannot be written.
pub fn run(command: &KeysCommand) -> anyhow::Result<Exit> {
    let KeysCommand::New(args) = command;
    let key = SecretKey::generate()?;
    let public = key.write(&args.path)?;
    output::print_text(&format!("{}\n", key.public()))?;
    say!("secret: {} (keep it there); public: {}", args.path.display(), public.display());
    Ok(Exit::Ok)
}

/// Who may speak at an endpoint.
#[derive(Debug, Clone, Default, Args)]
pub struct LinkArgs {
    /// Own secret key, of `caril keys new`; needed where the endpoint leaves this machine
    #[arg(long, value_name = "FILE", requires = "peers")]
    pub key: Option<PathBuf>,
    /// Public keys of whom to speak with: a plant's controllers, a controller's one plant
    #[arg(long, value_name = "FILE", requires = "key")]
    pub peers: Option<PathBuf>,
    /// Speak with anyone, unencrypted, although the endpoint leaves this machine
    #[arg(long, conflicts_with = "key")]
    pub insecure: bool,
}

impl LinkArgs {
    /// The keys for an endpoint, and how a recording names this kind of link.
    ///
    /// # Errors
    /// If the endpoint leaves the machine and there are neither keys nor `--insecure`, or the keys
    /// cannot be used.
    pub fn keys(&self, endpoint: &str) -> anyhow::Result<(Option<Keyring>, &'static str)> {
        if let (Some(key), Some(peers)) = (&self.key, &self.peers) {
            let keys = Keyring::read(key, peers).map_err(|e| usage(e.to_string()))?;
            return Ok((Some(keys), "secured"));
        }
        if stays_here(endpoint).map_err(|e| usage(e.to_string()))? {
            return Ok((None, "local"));
        }
        if self.insecure {
            say!("warning: --insecure: anyone who reaches {endpoint} may drive or look on");
            return Ok((None, "insecure"));
        }
        Err(usage(format!(
            "{endpoint} leaves this machine: give --key and --peers (see `caril keys new --help`), or --insecure"
        )))
    }
}
