//! Keys of the two ends, and the files that hold them.

use std::fmt;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use snow::params::DHChoice;
use snow::resolvers::{CryptoResolver as _, DefaultResolver};

/// First word of a file with a secret key.
const SECRET: &str = "caril-secret-1";
/// First word of a line with a public key.
const PUBLIC: &str = "caril-public-1";
/// A file of keys is no larger.
const FILE_MAX: u64 = 1 << 20;

/// Why a key or a file of keys cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The file cannot be read or written.
    #[error("cannot {action} ({source}): {path}", path = path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// The system's reason.
        source: std::io::Error,
        /// Where.
        path: PathBuf,
    },
    /// Others may read the secret.
    #[error("a secret key must be its owner's alone: expected permissions 600, got {got:03o} (chmod 600): {path}", path = path.display())]
    Permissions {
        /// The file's permissions.
        got: u32,
        /// Where.
        path: PathBuf,
    },
    /// The file holds something else.
    #[error("expected {expected}, line {line}: {path}", path = path.display())]
    Syntax {
        /// What should stand there.
        expected: &'static str,
        /// Where, 1-based.
        line: usize,
        /// Where.
        path: PathBuf,
    },
    /// The system gives no random numbers.
    #[error("the system gives no random numbers")]
    NoRandom,
    /// The controller must know its plant's one key.
    #[error("expected the plant's one public key among the peers, got {got} keys")]
    NotOne {
        /// How many there are.
        got: usize,
    },
}

/// A public key: who someone is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct PublicKey(pub [u8; 32]);

/// A secret key. Its bytes are in no message of this program's.
#[derive(Clone)]
pub struct SecretKey([u8; 32]);

/// What an end needs: its own key, and whom it speaks with.
#[derive(Debug, Clone)]
pub struct Keyring {
    /// Its own.
    pub own: SecretKey,
    /// A plant's allowed controllers, or a controller's one plant.
    pub peers: Vec<PublicKey>,
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "secret of {}", self.public())
    }
}

impl SecretKey {
    /// A new one.
    ///
    /// # Errors
    /// [`KeyError::NoRandom`].
    pub fn generate() -> Result<Self, KeyError> {
        let mut bytes = [0; 32];
        let mut random = DefaultResolver.resolve_rng().ok_or(KeyError::NoRandom)?;
        random.try_fill_bytes(&mut bytes).map_err(|_| KeyError::NoRandom)?;
        Ok(Self(bytes))
    }

    /// From its 32 bytes, whatever they are.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    pub(crate) const fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The public key that belongs to it.
    pub fn public(&self) -> PublicKey {
        let mut public = [0; 32];
        if let Some(mut dh) = DefaultResolver.resolve_dh(&DHChoice::Curve25519) {
            dh.set(&self.0);
            public.copy_from_slice(dh.pubkey().first_chunk::<32>().unwrap_or(&[0; 32]));
        }
        PublicKey(public)
    }

    /// Writes it to a new file that only its owner may read, and the public key beside it with
    /// `.pub` added to the name. Never overwrites.
    ///
    /// # Errors
    /// [`KeyError::Io`].
    pub fn write(&self, path: &Path) -> Result<PathBuf, KeyError> {
        let put = |path: &Path, mode: u32, text: String| {
            let file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path);
            let written = file.and_then(|mut file| {
                file.write_all(text.as_bytes())?;
                file.sync_all()
            });
            written.map_err(io("write the key", path))
        };
        let mut public = path.as_os_str().to_owned();
        public.push(".pub");
        let public = PathBuf::from(public);
        if public.exists() {
            let source = std::io::Error::from(std::io::ErrorKind::AlreadyExists);
            return Err(io("write the key", &public)(source));
        }
        // The name helps whoever reads a list of peers.
        let name = path.file_stem().map_or_else(String::new, |n| n.to_string_lossy().into_owned());
        put(path, 0o600, format!("{SECRET} {}\n", PublicKey(self.0)))?;
        put(&public, 0o644, format!("{PUBLIC} {} {name}\n", self.public()))?;
        Ok(public)
    }

    /// Reads a file of [`SecretKey::write`].
    ///
    /// # Errors
    /// [`KeyError`]; also if others than its owner may read or write the file.
    pub fn read(path: &Path) -> Result<Self, KeyError> {
        let mode = fs::metadata(path).map_err(io("read the key", path))?.permissions().mode();
        if mode & 0o077 != 0 {
            return Err(KeyError::Permissions { got: mode & 0o777, path: path.to_path_buf() });
        }
        let text = text(path)?;
        let key = text.lines().next().and_then(|line| key(line, SECRET));
        let expected = "a secret key of `caril keys new`";
        key.map(Self).ok_or_else(|| syntax(expected, 1, path))
    }
}

impl Keyring {
    /// Own secret and peers from their files.
    ///
    /// # Errors
    /// [`KeyError`].
    pub fn read(own: &Path, peers: &Path) -> Result<Self, KeyError> {
        Ok(Self { own: SecretKey::read(own)?, peers: read_peers(peers)? })
    }

    /// The plant of a controller.
    ///
    /// # Errors
    /// [`KeyError::NotOne`].
    pub fn plant(&self) -> Result<PublicKey, KeyError> {
        match *self.peers {
            [plant] => Ok(plant),
            _ => Err(KeyError::NotOne { got: self.peers.len() }),
        }
    }
}

/// Public keys, one a line as in a `.pub` file; empty lines and lines with `#` are passed over.
///
/// # Errors
/// [`KeyError`]; an empty list is one.
pub fn read_peers(path: &Path) -> Result<Vec<PublicKey>, KeyError> {
    let expected = "`caril-public-1` and 64 hexadecimal digits";
    let mut peers = Vec::new();
    for (line, n) in text(path)?.lines().map(str::trim).zip(1..) {
        if !line.is_empty() && !line.starts_with('#') {
            let key = key(line, PUBLIC).ok_or_else(|| syntax(expected, n, path))?;
            peers.push(PublicKey(key));
        }
    }
    if peers.is_empty() { Err(syntax(expected, 1, path)) } else { Ok(peers) }
}

fn io<'a>(action: &'static str, path: &'a Path) -> impl Fn(std::io::Error) -> KeyError + 'a {
    move |source| KeyError::Io { action, source, path: path.to_path_buf() }
}

fn syntax(expected: &'static str, line: usize, path: &Path) -> KeyError {
    KeyError::Syntax { expected, line, path: path.to_path_buf() }
}

fn text(path: &Path) -> Result<String, KeyError> {
    let io = io("read the key", path);
    if fs::metadata(path).map_err(&io)?.len() > FILE_MAX {
        return Err(io(std::io::Error::from(std::io::ErrorKind::FileTooLarge)));
    }
    fs::read_to_string(path).map_err(io)
}

/// The key of a line that begins with `word`; a name may follow.
fn key(line: &str, word: &str) -> Option<[u8; 32]> {
    let mut words = line.split_ascii_whitespace();
    let hex = (words.next()? == word).then(|| words.next())??.as_bytes();
    let (pairs, rest) = hex.as_chunks::<2>();
    if pairs.len() != 32 || !rest.is_empty() {
        return None;
    }
    let digit = |c: u8| char::from(c).to_digit(16).and_then(|d| u8::try_from(d).ok());
    let mut key = [0; 32];
    for (byte, [high, low]) in key.iter_mut().zip(pairs) {
        *byte = digit(*high)? << 4 | digit(*low)?;
    }
    Some(key)
}
