//! Life signs for systemd: ready, alive, stopping. The loop only counts; a thread of its own tells,
//! and only while the count rises. A loop that hangs is then ended and started again, and until then
//! the plant brakes by itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use sd_notify::NotifyState;

/// How often it is told, where systemd does not ask for it more often.
const EVERY: Duration = Duration::from_secs(2);

#[derive(Default)]
struct Shared {
    steps: AtomicU64,
    closing: AtomicBool,
}

/// A loop that is being watched.
pub struct Alive {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Alive {
    /// Tells that the loop is about to begin. Without a systemd that listens nothing is done.
    pub fn start() -> Self {
        let shared = Arc::new(Shared::default());
        if std::env::var_os("NOTIFY_SOCKET").is_none() {
            return Self { shared, thread: None };
        }
        // Twice as often as systemd wants to hear of us.
        let every = sd_notify::watchdog_enabled().map_or(EVERY, |limit| (limit / 2).min(EVERY));
        let its = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("caril-alive".into())
            .spawn(move || tell(&its, every))
            .inspect_err(|e| tracing::warn!("systemd hears nothing of us: {e}"))
            .ok();
        Self { shared, thread }
    }

    /// The loop has made a step. No system call.
    pub fn step(&self) {
        self.shared.steps.fetch_add(1, Ordering::Relaxed);
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        self.shared.closing.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            let _ = thread.join();
        }
    }
}

fn tell(shared: &Shared, every: Duration) {
    let say = |states: &[NotifyState<'_>]| {
        if let Err(e) = sd_notify::notify(states) {
            tracing::debug!("systemd is not told: {e}");
        }
    };
    say(&[NotifyState::Ready]);
    let mut last = 0;
    loop {
        std::thread::park_timeout(every);
        if shared.closing.load(Ordering::Acquire) {
            return say(&[NotifyState::Stopping]);
        }
        let steps = shared.steps.load(Ordering::Relaxed);
        if steps != last {
            let status = format!("{steps} steps");
            say(&[NotifyState::Watchdog, NotifyState::Status(&status)]);
            last = steps;
        }
    }
}
