//! `drive --realtime`: memory locked, the loop in a real-time class and on a core of its own. What
//! cannot be had is said, recorded, and no reason not to drive.

use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::sys::mman::{MlockAllFlags, mlockall};
use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit};
use nix::unistd::Pid;
use thread_priority::{
    RealtimeThreadSchedulePolicy, ThreadPriority, ThreadSchedulePolicy,
    set_thread_priority_and_policy, thread_native_id,
};

use clap::Args;

/// Keeping the pace.
#[derive(Debug, Clone, Default, Args)]
pub struct RealtimeArgs {
    /// Lock memory, run the loop in the class SCHED_FIFO and on one core; what this user may not
    /// have is said and recorded
    #[arg(long)]
    realtime: bool,
    /// With --realtime: priority of the loop, 1 to 99
    #[arg(long, default_value_t = 50, value_name = "N", requires = "realtime",
        value_parser = clap::value_parser!(u8).range(1..=99))]
    realtime_priority: u8,
    /// With --realtime: the loop's core [default: the last one, if there are several]
    #[arg(long, value_name = "CORE", requires = "realtime")]
    realtime_core: Option<usize>,
}

/// What was asked for and came of it: name, and what was set or why not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    name: &'static str,
    result: Result<String, String>,
}

/// What of it this process has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Realtime(Vec<Outcome>);

impl RealtimeArgs {
    /// Locks memory, and tries the rest in a thread that then ends: threads that are started from
    /// here on, the recorder's and the view's, must not run like the loop.
    pub fn prepare(&self) -> Realtime {
        if !self.realtime {
            return Realtime::default();
        }
        let memory = Outcome { name: "memory", result: lock_memory() };
        let tried = std::thread::scope(|scope| scope.spawn(|| self.thread()).join());
        let mut outcomes = vec![memory];
        outcomes.extend(tried.unwrap_or_default());
        Realtime(outcomes)
    }

    /// Gives the thread that calls, the loop's, what was tried.
    pub fn enter(&self) {
        if self.realtime {
            self.thread();
        }
    }

    fn thread(&self) -> Vec<Outcome> {
        vec![
            Outcome { name: "class", result: class(self.realtime_priority) },
            Outcome { name: "core", result: bind(self.realtime_core) },
        ]
    }
}

impl Realtime {
    /// Whether it was asked for.
    pub fn asked(&self) -> bool {
        !self.0.is_empty()
    }

    /// Says what could not be had.
    pub fn warn(&self) {
        for Outcome { name, result } in &self.0 {
            if let Err(why) = result {
                say!("warning: --realtime: {name} not set: {why}");
            }
        }
    }

    /// For the recording: `memory locked, class SCHED_FIFO 50, core not set (…)`.
    pub fn text(&self) -> String {
        let outcome = |Outcome { name, result }: &Outcome| match result {
            Ok(what) => format!("{name} {what}"),
            Err(why) => format!("{name} not set ({why})"),
        };
        self.0.iter().map(outcome).collect::<Vec<_>>().join(", ")
    }
}

fn lock_memory() -> Result<String, String> {
    let (soft, _) = getrlimit(Resource::RLIMIT_MEMLOCK).map_err(|e| e.desc().to_owned())?;
    // Under a limit, memory asked for later would be refused: the drive would end there.
    if soft != RLIM_INFINITY && !nix::unistd::geteuid().is_root() {
        return Err(format!("this user may lock {} MiB, not all (ulimit -l)", soft >> 20));
    }
    mlockall(MlockAllFlags::MCL_CURRENT | MlockAllFlags::MCL_FUTURE)
        .map(|()| "locked".to_owned())
        .map_err(|e| e.desc().to_owned())
}

fn class(priority: u8) -> Result<String, String> {
    let value = priority.try_into()?;
    let fifo = ThreadSchedulePolicy::Realtime(RealtimeThreadSchedulePolicy::Fifo);
    set_thread_priority_and_policy(thread_native_id(), ThreadPriority::Crossplatform(value), fifo)
        .map(|()| format!("SCHED_FIFO {priority}"))
        .map_err(|e| match e {
            thread_priority::Error::OS(code) => {
                format!("{} (ulimit -r)", std::io::Error::from_raw_os_error(code))
            }
            other => other.to_string(),
        })
}

fn bind(core: Option<usize>) -> Result<String, String> {
    let this = Pid::from_raw(0);
    let said = |e: nix::Error| e.desc().to_owned();
    let allowed = sched_getaffinity(this).map_err(said)?;
    let all: Vec<usize> =
        (0..CpuSet::count()).filter(|k| allowed.is_set(*k).unwrap_or(false)).collect();
    let core = match (core, all.as_slice()) {
        (Some(core), all) if all.contains(&core) => core,
        (Some(core), all) => return Err(format!("core {core} is none of {all:?}")),
        (None, [_, .., last]) => *last,
        (None, _) => return Err("there is only one".into()),
    };
    let mut set = CpuSet::new();
    set.set(core).map_err(said)?;
    sched_setaffinity(this, &set).map_err(said)?;
    Ok(core.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_asked_for_is_not_done() {
        let realtime = RealtimeArgs::default().prepare();
        assert!(!realtime.asked() && realtime.text().is_empty());
    }

    #[test]
    fn a_core_that_is_not_there_is_said() {
        let thread = std::thread::spawn(|| bind(Some(100_000)));
        let why = thread.join().unwrap().unwrap_err();
        assert!(why.starts_with("core 100000 is none of ["), "{why}");
    }

    #[test]
    fn what_was_had_and_what_not_is_told() {
        let outcome = |name, result| Outcome { name, result };
        let realtime = Realtime(vec![
            outcome("memory", Ok("locked".into())),
            outcome("class", Err("not permitted".into())),
        ]);
        assert_eq!(realtime.text(), "memory locked, class not set (not permitted)");
    }
}
