//! Exclusion lists: frames of recordings that are not learned from, in a text file beside them.

use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use crate::error::TrainError;

/// Frames to leave out; the recordings stay as they are. One line per range:
///
/// ```text
/// # recording   frame ids, both ends included
/// town.mcap     1200-1350   # parked behind a lorry
/// town.mcap     77
/// ```
///
/// A recording is named by the end of its path. `#` begins a comment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Exclusions {
    entries: Vec<(String, RangeInclusive<u64>)>,
}

impl Exclusions {
    /// Reads a list.
    ///
    /// # Errors
    /// [`TrainError::Read`]; [`TrainError::Exclusions`] naming the first line that makes no sense.
    pub fn load(path: &Path) -> Result<Self, TrainError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| TrainError::Read { source, path: path.into() })?;
        Self::parse(&text).map_err(|message| TrainError::Exclusions { message, path: path.into() })
    }

    /// Reads a list's text.
    ///
    /// # Errors
    /// What is wrong, with the number of the line.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut entries = Vec::new();
        for (i, line) in text.lines().enumerate() {
            let line = line.split('#').next().unwrap_or_default().trim();
            if line.is_empty() {
                continue;
            }
            let wrong = || {
                format!(
                    "line {}: expected RECORDING FIRST-LAST or RECORDING ID, found {line:?}",
                    i + 1
                )
            };
            // A path may hold blanks: the ids are the last word.
            let (name, ids) = line.rsplit_once(char::is_whitespace).ok_or_else(wrong)?;
            let (first, last) = ids.split_once('-').unwrap_or((ids, ids));
            let id = |s: &str| s.parse::<u64>().map_err(|_| wrong());
            let (first, last) = (id(first)?, id(last)?);
            if first > last {
                return Err(wrong());
            }
            entries.push((name.trim().to_owned(), first..=last));
        }
        Ok(Self { entries })
    }

    /// Ranges of one recording.
    pub fn of(&self, recording: &Path) -> Vec<RangeInclusive<u64>> {
        let of = |(name, _): &&(String, RangeInclusive<u64>)| recording.ends_with(name);
        self.entries.iter().filter(of).map(|(_, range)| range.clone()).collect()
    }

    /// The first name that is no recording's: most likely a slip of the pen.
    pub fn unknown(&self, recordings: &[PathBuf]) -> Option<&str> {
        let unknown = |name: &&String| !recordings.iter().any(|r| r.ends_with(name.as_str()));
        self.entries.iter().map(|(name, _)| name).find(unknown).map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_belong_to_their_recordings() {
        let list = Exclusions::parse("# made by hand\n a/x.mcap 5-9 # why\ny 2.mcap  7\n").unwrap();
        assert_eq!(list.of(Path::new("data/a/x.mcap")), [5..=9]);
        assert_eq!(list.of(Path::new("y 2.mcap")), [7..=7]);
        assert!(list.of(Path::new("data/b/x.mcap")).is_empty());
        assert_eq!(list.unknown(&["a/x.mcap".into()]), Some("y 2.mcap"));
        assert_eq!(list.unknown(&["a/x.mcap".into(), "q/y 2.mcap".into()]), None);
    }

    #[test]
    fn nonsense_is_named_by_its_line() {
        for bad in ["x.mcap", "x.mcap 9-5", "x.mcap a-b", "\n\nx.mcap 1-"] {
            let line = if bad.starts_with('\n') { "line 3" } else { "line 1" };
            let error = Exclusions::parse(bad).unwrap_err();
            assert!(error.starts_with(line), "{error}");
        }
    }
}
