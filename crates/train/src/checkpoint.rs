//! Checkpoints: everything that a training needs in order to go on as if it had not been
//! interrupted, in one file that is replaced as a whole.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::error::TrainError;
use crate::optimiser::AdamState;

/// Name of the checkpoint in the pack's folder.
pub const CHECKPOINT_FILE: &str = "checkpoint";
const MAGIC: &[u8; 8] = b"CARILCK1";
const HASH: usize = 32;

/// What a training is made of: options, data and starting values by name. A checkpoint is gone
/// on from only if all are the same.
pub type Identity = BTreeMap<String, String>;

/// Where a training is. Fractions are stored by their bits.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Position {
    /// Steps made.
    pub step: u64,
    /// Epoch that the next step belongs to, from 1.
    pub epoch: u32,
    /// Epoch of the pack on disk; 0 if there is none yet.
    pub best_epoch: u32,
    /// Bits of that epoch's held-out loss.
    pub best_loss_bits: u32,
    /// Bits of the sum of this epoch's training losses.
    pub loss_sum_bits: u32,
    /// Steps in that sum.
    pub loss_count: u32,
    /// Lines of the curves so far, with their header.
    pub curves: String,
    /// Bits of the seconds spent so far; for the curves alone.
    pub seconds_bits: u32,
    /// Whether the training is over: a checkpoint without values.
    pub finished: bool,
}

#[derive(Serialize, Deserialize)]
struct Header {
    identity: Identity,
    position: Position,
    values: usize,
    adam_step: u64,
}

/// A training's state between two steps.
#[derive(Debug, Clone, PartialEq)]
pub struct Checkpoint {
    /// Of which training.
    pub identity: Identity,
    /// Where it is.
    pub position: Position,
    /// The network's values; empty if it is over.
    pub values: Vec<f32>,
    /// The optimiser's.
    pub adam: AdamState,
}

impl Checkpoint {
    /// Writes it to `dir`, in place of the one before, which stays whole until then.
    ///
    /// # Errors
    /// [`TrainError::Io`].
    pub fn save(
        dir: &Path,
        identity: &Identity,
        position: &Position,
        values: &[f32],
        adam: &AdamState,
    ) -> Result<(), TrainError> {
        let path = dir.join(CHECKPOINT_FILE);
        let header = Header {
            identity: identity.clone(),
            position: position.clone(),
            values: values.len(),
            adam_step: adam.step,
        };
        let io = |source| TrainError::Io { source, path: path.clone() };
        let header = serde_json::to_vec(&header).map_err(|e| io(e.into()))?;
        let parts: [&[f32]; 4] = if values.is_empty() {
            [&[]; 4]
        } else {
            [values, &adam.first, &adam.second, &adam.average]
        };
        let mut bytes = Vec::with_capacity(16 + header.len() + 16 * values.len() + HASH);
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&(header.len() as u64).to_le_bytes());
        bytes.extend_from_slice(&header);
        for part in parts {
            part.iter().for_each(|v| bytes.extend_from_slice(&v.to_le_bytes()));
        }
        let hash = Sha256::digest(&bytes);
        bytes.extend_from_slice(&hash);
        replace_file(&path, &bytes)
    }

    /// Reads that of `dir`; `None` if there is none.
    ///
    /// # Errors
    /// [`TrainError::Checkpoint`] if it is damaged or not one.
    pub fn load(dir: &Path) -> Result<Option<Self>, TrainError> {
        let path = dir.join(CHECKPOINT_FILE);
        let bytes = match std::fs::read(&path) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            other => other.map_err(|source| TrainError::Read { source, path: path.clone() })?,
        };
        let damaged = || TrainError::Checkpoint {
            message: "it is damaged; remove it to begin anew".into(),
            path: path.clone(),
        };
        Self::from_bytes(&bytes).map(Some).ok_or_else(damaged)
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (body, hash) = bytes.split_at_checked(bytes.len().checked_sub(HASH)?)?;
        if Sha256::digest(body).as_slice() != hash {
            return None;
        }
        let rest = body.strip_prefix(MAGIC)?;
        let (length, rest) = rest.split_first_chunk::<8>()?;
        let length = usize::try_from(u64::from_le_bytes(*length)).ok()?;
        let (header, rest) = rest.split_at_checked(length)?;
        let header: Header = serde_json::from_slice(header).ok()?;
        if rest.len() != header.values.checked_mul(16)? {
            return None;
        }
        let (words, _) = rest.as_chunks::<4>();
        let mut floats = words.iter().map(|w| f32::from_le_bytes(*w));
        let mut part = || floats.by_ref().take(header.values).collect::<Vec<f32>>();
        let (values, first, second, average) = (part(), part(), part(), part());
        Some(Self {
            identity: header.identity,
            position: header.position,
            values,
            adam: AdamState { step: header.adam_step, first, second, average },
        })
    }

    /// Whether it belongs to the training that `asked` describes.
    ///
    /// # Errors
    /// [`TrainError::Checkpoint`] naming the first thing that differs.
    pub fn check(&self, asked: &Identity, dir: &Path) -> Result<(), TrainError> {
        let none = String::from("nothing");
        for key in self.identity.keys().chain(asked.keys()) {
            let (was, is) =
                (self.identity.get(key).unwrap_or(&none), asked.get(key).unwrap_or(&none));
            if was != is {
                let message = format!(
                    "it belongs to another training: its {key} was {was}, now it is {is}; \
                     repeat the old command, or begin anew without --resume"
                );
                return Err(TrainError::Checkpoint { message, path: dir.join(CHECKPOINT_FILE) });
            }
        }
        Ok(())
    }
}

/// Writes a file beside its place, to the disk, and renames it into place.
///
/// # Errors
/// [`TrainError::Io`].
pub fn replace_file(path: &Path, bytes: &[u8]) -> Result<(), TrainError> {
    let mut name = path.as_os_str().to_owned();
    name.push(".tmp");
    let temporary = PathBuf::from(name);
    let write = || {
        if let Some(dir) = path.parent() {
            std::fs::create_dir_all(dir)?;
        }
        let mut file = std::fs::File::create(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(&temporary, path)
    };
    write().map_err(|source| TrainError::Io { source, path: path.to_path_buf() })
}

/// Removes a checkpoint, if there is one. Says whether it was that of a training that was not
/// over.
pub fn give_up(dir: &Path) -> bool {
    let unfinished = matches!(Checkpoint::load(dir), Ok(Some(c)) if !c.position.finished);
    // If it cannot be removed, then writing the next one will say why.
    let _ = std::fs::remove_file(dir.join(CHECKPOINT_FILE));
    unfinished
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checkpoint() -> Checkpoint {
        let values = vec![1.5, f32::MIN_POSITIVE, -0.0];
        Checkpoint {
            identity: [("lr".into(), "0.1".into()), ("seed".into(), "1".into())].into(),
            position: Position { step: 7, best_loss_bits: 3, ..Position::default() },
            adam: AdamState {
                step: 7,
                first: vec![0.1; 3],
                second: vec![0.2; 3],
                average: values.clone(),
            },
            values,
        }
    }

    fn save(c: &Checkpoint, dir: &Path) {
        Checkpoint::save(dir, &c.identity, &c.position, &c.values, &c.adam).unwrap();
    }

    #[test]
    fn comes_back_as_it_was_and_only_whole() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(Checkpoint::load(dir.path()).unwrap(), None);
        let c = checkpoint();
        save(&c, dir.path());
        assert_eq!(Checkpoint::load(dir.path()).unwrap().as_ref(), Some(&c));
        let path = dir.path().join(CHECKPOINT_FILE);
        let bytes = std::fs::read(&path).unwrap();
        for cut in [0, 7, 20, bytes.len() / 2, bytes.len() - 1] {
            std::fs::write(&path, &bytes[..cut]).unwrap();
            let error = Checkpoint::load(dir.path()).unwrap_err().to_string();
            assert!(error.contains("damaged") && error.ends_with("checkpoint"), "{error}");
        }
        assert!(!give_up(dir.path()) && !path.exists());
        save(&c, dir.path());
        assert!(give_up(dir.path()) && !path.exists());
    }

    #[test]
    fn another_training_is_refused_by_name() {
        let c = checkpoint();
        let mut asked = c.identity.clone();
        c.check(&asked, Path::new("out")).unwrap();
        asked.insert("lr".into(), "0.2".into());
        let error = c.check(&asked, Path::new("out")).unwrap_err().to_string();
        assert!(error.contains("its lr was 0.1, now it is 0.2"), "{error}");
        asked = c.identity.clone();
        asked.insert("freeze".into(), "backbone".into());
        assert!(
            c.check(&asked, Path::new("out"))
                .unwrap_err()
                .to_string()
                .contains("freeze was nothing")
        );
    }
}
