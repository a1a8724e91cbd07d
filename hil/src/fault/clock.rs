//! The wall clock of the controller's process, and of nobody else: Debian's libfaketime stands between
//! the two. This machine's own clock is never touched, and the monotonic clock goes on as it does when
//! a person or NTP sets the other one.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

/// The one for programs with threads.
const LIBRARY: &str = "faketime/libfaketimeMT.so.1";
/// A jump of so many seconds at severity 1.
const FARTHEST_S: f64 = 7200.0;

/// See the module.
#[derive(Debug, Clone)]
pub struct Clock {
    library: PathBuf,
    /// How far the clock is off, as libfaketime reads it.
    file: PathBuf,
}

impl Clock {
    /// A clock that is right, with its file in `folder`.
    ///
    /// # Errors
    /// Why there is none.
    pub fn make(folder: &Path) -> Result<Self, String> {
        // Debian has a folder for each architecture.
        let below = |base: &str| {
            let entries = std::fs::read_dir(base).into_iter().flatten().filter_map(Result::ok);
            let within = entries.map(|e| e.path().join(LIBRARY));
            std::iter::once(Path::new(base).join(LIBRARY)).chain(within).collect::<Vec<_>>()
        };
        let mut places = ["/usr/lib", "/usr/local/lib"].into_iter().flat_map(below);
        let library = places
            .find(|p| p.is_file())
            .ok_or("libfaketime is not installed (Debian: apt-get install libfaketime)")?;
        let clock = Self { library, file: folder.join("clock") };
        clock.set(0)?;
        Ok(clock)
    }

    /// What a process needs to see this clock.
    pub fn environment(&self) -> Vec<(&'static str, OsString)> {
        vec![
            ("LD_PRELOAD", self.library.clone().into()),
            ("FAKETIME_TIMESTAMP_FILE", self.file.clone().into()),
            // Else it would look at the file every ten seconds only.
            ("FAKETIME_NO_CACHE", "1".into()),
            // Its name before and since version 0.9.9.
            ("DONT_FAKE_MONOTONIC", "1".into()),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1".into()),
        ]
    }

    /// Jumps ahead; how far, seconds.
    ///
    /// # Errors
    /// If a process with this clock does not see it.
    pub fn jump(&self, severity: f64) -> Result<i64, String> {
        let ahead_s = (severity * FARTHEST_S).round() as i64;
        self.set(ahead_s)?;
        self.seen(ahead_s)?;
        Ok(ahead_s)
    }

    /// Jumps back.
    ///
    /// # Errors
    /// As [`Clock::jump`].
    pub fn jump_back(&self) -> Result<(), String> {
        self.set(0)?;
        self.seen(0)
    }

    /// Whether a process looks at this clock at all.
    pub fn is_worn_by(&self, pid: u32) -> bool {
        let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).unwrap_or_default();
        maps.contains(self.library.to_string_lossy().as_ref())
    }

    fn set(&self, ahead_s: i64) -> Result<(), String> {
        // Put in place whole: it may be read at any moment.
        let new = self.file.with_extension("new");
        std::fs::write(&new, format!("{ahead_s:+}"))
            .and_then(|()| std::fs::rename(&new, &self.file))
            .map_err(|e| format!("the clock's file: {e}"))
    }

    /// Asks another process with this clock what time it is.
    fn seen(&self, ahead_s: i64) -> Result<(), String> {
        let output = Command::new("date").arg("+%s").envs(self.environment()).output();
        let output = output.map_err(|e| format!("date: {e}"))?;
        let said = String::from_utf8_lossy(&output.stdout);
        let now_s = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
        let off_s = said.trim().parse::<i64>().map_err(|_| "date tells no time".to_owned())?
            - now_s.cast_signed();
        if off_s.abs_diff(ahead_s) > 5 {
            return Err(format!("the clock is {off_s} s ahead, not {ahead_s} s"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_jumps_for_those_who_wear_it_and_nobody_else() {
        let folder = tempfile::tempdir().unwrap();
        let clock = match Clock::make(folder.path()) {
            Ok(clock) => clock,
            Err(why) => {
                eprintln!("SKIPPED: {why}");
                return;
            }
        };
        assert_eq!(clock.jump(0.5).unwrap(), 3600);
        clock.jump_back().unwrap();
        assert!(!clock.is_worn_by(std::process::id()), "the rig's own clock is right");
    }
}
