//! A recording in parts that together stay below a limit: what a computer that nobody watches
//! keeps. The oldest part goes first; one with an event stays until there are only such left.
//!
//! Parts are named `NAME-0001.mcap` and so on, and only files named so are ever deleted. A file
//! `NAME-0001.mcap.keep` beside a part marks it; anyone may put one there.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use caril_core::RecordConfig;

use crate::log::Log;
use crate::thread::{Disk, Rest};
use crate::{RecordError, RecordingHeader};

/// Parts of one limit; fewer would delete much at once.
const PARTS: u64 = 16;
/// Least and most bytes of a part.
const PART_BYTES: std::ops::RangeInclusive<u64> = (1 << 20)..=(256 << 20);

/// Where parts go and how much they may be together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rotation {
    /// The recording: `runs/now/drive.mcap` gives `runs/now/drive-0001.mcap` and so on.
    pub path: PathBuf,
    /// Parts in this folder and in the folders in it count, and may be deleted.
    pub folder: PathBuf,
    /// All parts together, bytes; a part more for a moment.
    pub limit_bytes: u64,
}

impl Rotation {
    /// The path of the part that a recorder which starts now writes first: after the newest that
    /// lies there, for a folder may hold what an earlier drive recorded.
    pub fn next_part(&self) -> PathBuf {
        self.part(self.newest().saturating_add(1))
    }

    /// The highest number of a part (or of the mark of one) of this recording; 0 if there is none.
    fn newest(&self) -> u32 {
        let stem = self.path.file_stem().unwrap_or_default().to_string_lossy();
        let folder = self.path.parent().filter(|p| !p.as_os_str().is_empty());
        let files = files(folder.unwrap_or(Path::new(".")));
        files.iter().filter_map(|path| digits(path, &stem)?.parse().ok()).max().unwrap_or(0)
    }

    /// The path of a part, counted from 1.
    pub fn part(&self, number: u32) -> PathBuf {
        let stem = self.path.file_stem().unwrap_or_default().to_string_lossy();
        self.path.with_file_name(format!("{stem}-{number:04}.mcap"))
    }

    /// Deletes until all parts but `current` leave room for one more.
    fn make_room(&self, current: &Path) {
        let mut parts = self.parts();
        parts.retain(|part| part.path != current);
        let mut bytes: u64 = parts.iter().map(|part| part.bytes).sum();
        // Unmarked ones first, and of these the oldest.
        parts.sort_by(|a, b| (a.kept, a.when, &a.path).cmp(&(b.kept, b.when, &b.path)));
        let most = self.limit_bytes.saturating_sub(self.part_bytes());
        for part in parts {
            if bytes <= most {
                return;
            }
            // One that cannot be deleted counts as if it were: better too much than none at all.
            let _ = fs::remove_file(&part.path);
            let _ = fs::remove_file(mark(&part.path));
            if let Some(folder) = part.path.parent().filter(|f| **f != self.folder) {
                // Only if it is empty.
                let _ = fs::remove_dir(folder);
            }
            bytes -= part.bytes;
        }
    }

    fn part_bytes(&self) -> u64 {
        (self.limit_bytes / PARTS).clamp(*PART_BYTES.start(), *PART_BYTES.end())
    }

    /// Every part that lies there.
    fn parts(&self) -> Vec<Part> {
        let stem = self.path.file_stem().unwrap_or_default().to_string_lossy();
        let here = files(&self.folder);
        let below = here.iter().filter(|p| p.is_dir()).flat_map(|p| files(p));
        let all = here.iter().cloned().chain(below);
        all.filter(|path| is_part(path, &stem)).filter_map(Part::look).collect()
    }
}

struct Part {
    path: PathBuf,
    bytes: u64,
    when: SystemTime,
    kept: bool,
}

impl Part {
    fn look(path: PathBuf) -> Option<Self> {
        let facts = fs::symlink_metadata(&path).ok().filter(fs::Metadata::is_file)?;
        let when = facts.modified().unwrap_or(SystemTime::UNIX_EPOCH);
        let kept = mark(&path).exists();
        Some(Self { path, bytes: facts.len(), when, kept })
    }
}

fn mark(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".keep");
    name.into()
}

/// What lies in a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
    entries.map(|e| e.path()).collect()
}

fn is_part(path: &Path, stem: &str) -> bool {
    path.extension().is_some_and(|e| e == "mcap") && digits(path, stem).is_some()
}

/// The digits in the name of a part or of its mark.
fn digits(path: &Path, stem: &str) -> Option<String> {
    let name = path.file_name()?.to_string_lossy();
    let name = name.strip_suffix(".keep").unwrap_or(&name);
    let digits = name.strip_prefix(stem)?.strip_prefix('-')?.strip_suffix(".mcap")?;
    let fine = digits.len() >= 4 && digits.bytes().all(|b| b.is_ascii_digit());
    fine.then(|| digits.to_owned())
}

/// The parts of one drive, as they are begun.
pub(crate) struct Parts {
    rotation: Rotation,
    header: RecordingHeader,
    config: RecordConfig,
    /// The newest part; before the first, that of earlier drives.
    number: u32,
}

impl Parts {
    pub fn new(rotation: Rotation, header: &RecordingHeader, config: &RecordConfig) -> Self {
        let number = rotation.newest();
        Self { rotation, header: header.clone(), config: *config, number }
    }

    /// The path of the part that comes next.
    pub fn next_path(&self) -> PathBuf {
        self.rotation.part(self.number.saturating_add(1))
    }
}

impl Rest<Disk> for Parts {
    fn is_full(&self) -> bool {
        let file = self.rotation.part(self.number);
        fs::metadata(file).is_ok_and(|m| m.len() >= self.rotation.part_bytes())
    }

    fn end(&mut self, events: u64) {
        if events > 0 {
            let text = format!("{events} steps with a fault or with the safety core driving\n");
            // Without its mark it goes sooner; that is no reason to end the recording.
            let _ = fs::write(mark(&self.rotation.part(self.number)), text);
        }
    }

    fn begin(&mut self) -> Result<Log<Disk>, RecordError> {
        let path = self.next_path();
        self.number = self.number.saturating_add(1);
        self.rotation.make_room(&path);
        self.header.extra.insert("part".into(), self.number.to_string());
        Log::start(Disk::create_new(&path)?, &self.header, &self.config).map_err(|e| e.at(&path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(path: &Path, bytes: usize, age_s: u64) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, vec![0; bytes]).unwrap();
        let when = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000 - age_s);
        fs::File::options().write(true).open(path).unwrap().set_modified(when).unwrap();
    }

    #[test]
    fn the_oldest_unmarked_part_goes_first_and_nothing_else_ever() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let mb = 1 << 20;
        for (name, age_s) in [
            ("a/drive-0001.mcap", 9),
            ("a/drive-0002.mcap", 8),
            ("b/drive-0001.mcap", 7),
            ("c/drive-0001.mcap", 6),
        ] {
            write(&at(name), mb, age_s);
        }
        fs::write(at("a/drive-0001.mcap.keep"), "").unwrap();
        for other in ["drive.mcap", "a/other-0001.mcap", "a/drive-one.mcap", "x/y/drive-0001.mcap"]
        {
            write(&at(other), 10 * mb, 99);
        }
        let mut rotation = Rotation {
            path: at("c/drive.mcap"),
            folder: folder.path().to_owned(),
            limit_bytes: 3 * mb as u64,
        };
        rotation.make_room(&at("d/drive-0001.mcap"));
        // 4 MB, of which 2 may stay: the marked one is the oldest and stays.
        assert!(at("a/drive-0001.mcap").exists() && !at("a/drive-0002.mcap").exists());
        assert!(!at("b").exists(), "an empty folder goes along");
        assert!(at("c/drive-0001.mcap").exists());
        rotation.limit_bytes = 2 * mb as u64;
        rotation.make_room(&at("d/drive-0001.mcap"));
        assert!(at("a/drive-0001.mcap").exists() && !at("c").exists());
        rotation.limit_bytes = 1;
        rotation.make_room(&at("d/drive-0001.mcap"));
        assert!(!at("a/drive-0001.mcap").exists(), "when only marked ones are left, they go");
        assert!(!at("a/drive-0001.mcap.keep").exists());
        for other in ["drive.mcap", "a/other-0001.mcap", "a/drive-one.mcap", "x/y/drive-0001.mcap"]
        {
            assert!(at(other).exists(), "{other} is none of ours");
        }
    }
}
