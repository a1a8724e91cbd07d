//! The plant's thread in a real-time class: what a run measures is the controller's lateness, not the
//! rig's own.

use thread_priority::{
    NormalThreadSchedulePolicy, RealtimeThreadSchedulePolicy, ThreadPriority, ThreadSchedulePolicy,
    set_thread_priority_and_policy, thread_native_id,
};

/// Above ordinary programs, below what a system itself runs in real time.
const PRIORITY: u8 = 20;

/// Puts the calling thread into SCHED_FIFO; threads that it starts are in it too.
///
/// # Errors
/// Why it may not be there: the user's limits.
pub fn enter() -> Result<String, String> {
    let value = PRIORITY.try_into()?;
    let fifo = ThreadSchedulePolicy::Realtime(RealtimeThreadSchedulePolicy::Fifo);
    set_thread_priority_and_policy(thread_native_id(), ThreadPriority::Crossplatform(value), fifo)
        .map(|()| format!("SCHED_FIFO {PRIORITY}"))
        .map_err(|e| match e {
            thread_priority::Error::OS(code) => {
                format!("{} (ulimit -r)", std::io::Error::from_raw_os_error(code))
            }
            other => other.to_string(),
        })
}

/// Puts the calling thread, started by one that is in real time, back among the others. If it may
/// not, it stays where it is.
pub fn leave() {
    let normal = ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Other);
    // Niceness 0 in the crate's own scale.
    if let Ok(middle) = 50_u8.try_into() {
        let middle = ThreadPriority::Crossplatform(middle);
        let _ = set_thread_priority_and_policy(thread_native_id(), middle, normal);
    }
}
