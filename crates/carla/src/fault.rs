//! Faults on purpose, for tests of clients: what a busy, broken or foreign server does.

use std::time::Duration;

/// What goes wrong, and when. Nothing by default.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Faults {
    /// Pictures come so much later.
    pub late: Option<Duration>,
    /// Pictures of every n-th frame are lost.
    pub lost_every: Option<u64>,
    /// Pictures of every n-th frame come twice.
    pub doubled_every: Option<u64>,
    /// The server stands still for so long before it ticks so many frames after its start.
    pub stall: Option<(u64, Duration)>,
    /// The process dies before it ticks so many frames after its start.
    pub kill: Option<u64>,
    /// Another version is told.
    pub version: Option<String>,
    /// The first so many spawns of vehicles are refused.
    pub refuse_spawns: u32,
    /// Every n-th tick advances two frames, as if another client ticked as well.
    pub foreign_every: Option<u64>,
}

/// Names of all faults, for help texts.
pub const FAULTS: &str = "late:MS, lost:EVERY, doubled:EVERY, stall:TICK:SECONDS, kill:TICK, \
                          version:TEXT, spawn:COUNT, foreign:EVERY";

impl Faults {
    /// Adds one from the command line.
    ///
    /// # Errors
    /// If there is no such fault or its number makes no sense; the text says what there is.
    pub fn add(&mut self, text: &str) -> Result<(), String> {
        let mut parts = text.split(':');
        let (name, value) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        let number = || value.parse::<u64>().ok().filter(|n| *n > 0);
        let known = match name {
            "late" => set(&mut self.late, number().map(Duration::from_millis)),
            "lost" => set(&mut self.lost_every, number()),
            "doubled" => set(&mut self.doubled_every, number()),
            "foreign" => set(&mut self.foreign_every, number()),
            "kill" => set(&mut self.kill, number()),
            "version" => set(&mut self.version, Some(value.to_owned())),
            "spawn" => number().map(|n| self.refuse_spawns = n as u32).is_some(),
            "stall" => {
                let seconds = parts.next().and_then(|t| t.parse::<f64>().ok());
                let seconds = seconds.filter(|s| (0.0..=600.0).contains(s));
                let stall = number().zip(seconds.map(Duration::from_secs_f64));
                set(&mut self.stall, stall)
            }
            _ => false,
        };
        if known { Ok(()) } else { Err(format!("expected one of {FAULTS}, got {text}")) }
    }

    /// How often a picture of a frame is sent: 0, 1 or 2 times.
    pub fn copies(&self, frame: u64) -> u32 {
        let hit = |every: Option<u64>| every.is_some_and(|n| frame.is_multiple_of(n));
        if hit(self.lost_every) {
            0
        } else if hit(self.doubled_every) {
            2
        } else {
            1
        }
    }
}

fn set<T>(slot: &mut Option<T>, value: Option<T>) -> bool {
    let given = value.is_some();
    *slot = value;
    given
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_read_and_garbage_is_not() {
        let mut f = Faults::default();
        for text in ["late:15", "lost:17", "doubled:11", "stall:5:2.5", "version:0.9.15", "spawn:2"]
        {
            f.add(text).unwrap();
        }
        assert_eq!(f.late, Some(Duration::from_millis(15)));
        assert_eq!(f.stall, Some((5, Duration::from_millis(2500))));
        assert_eq!((f.copies(17), f.copies(22), f.copies(23)), (0, 2, 1));
        for bad in ["", "late", "late:0", "lost:-1", "stall:5", "stall:5:NaN", "rain:3"] {
            assert!(Faults::default().add(bad).is_err(), "{bad}");
        }
    }
}
