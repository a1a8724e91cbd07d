//! Worker processes and the episodes that they are given. A worker that dies takes one episode
//! with it, which is written down as crashed; another worker goes on.

use std::collections::VecDeque;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use caril_eval::suite::{Episode, EpisodeResult, Status};
use caril_runtime::StopFlag;

use super::cast::Role;

/// How often the pool looks whether it was asked to stop.
const LOOK: Duration = Duration::from_millis(50);

struct Worker {
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
}

/// Drives all episodes in `jobs` processes; `done` is given every result as it comes. Once `stop` is
/// asked, running episodes are given up: they are no results.
///
/// # Errors
/// If no worker can be started, or `done` says so.
pub fn drive_all(
    pairs: Vec<Vec<Episode>>,
    roles: &[Role],
    jobs: usize,
    stop: &StopFlag,
    done: &mut (dyn FnMut(EpisodeResult) -> anyhow::Result<()> + Send),
) -> anyhow::Result<()> {
    let jobs = jobs.clamp(1, pairs.len().max(1));
    let queue = Mutex::new(VecDeque::from(pairs));
    let done = Mutex::new(done);
    let failure: Mutex<Option<anyhow::Error>> = Mutex::new(None);
    let children: Vec<Mutex<Option<Child>>> = (0..jobs).map(|_| Mutex::new(None)).collect();
    let over = || stop.asked() || lock(&failure).is_some();
    std::thread::scope(|scope| {
        let threads: Vec<_> = children
            .iter()
            .map(|child| {
                let (queue, done, failure, over) = (&queue, &done, &failure, &over);
                scope.spawn(move || {
                    let result = play(roles, child, queue, done, over);
                    if let Err(e) = result {
                        lock(failure).get_or_insert(e);
                    }
                })
            })
            .collect();
        while threads.iter().any(|t| !t.is_finished()) {
            std::thread::sleep(LOOK);
            if over() {
                children.iter().for_each(end);
            }
        }
    });
    children.iter().for_each(end);
    match failure.into_inner().unwrap_or_else(PoisonError::into_inner) {
        Some(error) => Err(error),
        None => Ok(()),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Ends a worker and says how it ended.
fn end(child: &Mutex<Option<Child>>) {
    if let Some(child) = lock(child).as_mut() {
        let _ = child.kill();
    }
}

type Done<'a> = Mutex<&'a mut (dyn FnMut(EpisodeResult) -> anyhow::Result<()> + Send)>;

/// One worker's share: pairs from the queue until there is none.
fn play(
    roles: &[Role],
    child: &Mutex<Option<Child>>,
    queue: &Mutex<VecDeque<Vec<Episode>>>,
    done: &Done<'_>,
    over: &impl Fn() -> bool,
) -> anyhow::Result<()> {
    let mut worker: Option<Worker> = None;
    while !over() {
        let Some(pair) = lock(queue).pop_front() else { break };
        for episode in pair {
            if over() {
                return Ok(());
            }
            let mut at_work = match worker.take() {
                Some(worker) => worker,
                None => hire(roles, child)?,
            };
            let result = match ask(&mut at_work, &episode) {
                Ok(result) => {
                    worker = Some(at_work);
                    result
                }
                Err(_) if over() => return Ok(()),
                Err(e) => {
                    let how = dismiss(child);
                    let message = format!("the worker {how} ({e})");
                    EpisodeResult { episode, wall_s: 0.0, status: Status::Crashed { message } }
                }
            };
            (lock(done))(result)?;
        }
    }
    // Its stdin closes, and it ends by itself.
    drop(worker);
    if let Some(mut child) = lock(child).take() {
        let _ = child.wait();
    }
    Ok(())
}

fn hire(roles: &[Role], place: &Mutex<Option<Child>>) -> anyhow::Result<Worker> {
    let program = std::env::current_exe().context("where is this program?")?;
    let mut child = Command::new(&program)
        .args(["eval", "drive", "worker"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start a worker: {}", program.display()))?;
    let (Some(mut stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
        anyhow::bail!("a worker without stdin and stdout");
    };
    *lock(place) = Some(child);
    // A worker that dies at once is found out by its first episode.
    let _ = writeln!(stdin, "{}", serde_json::to_string(roles)?);
    Ok(Worker { stdin, stdout: BufReader::new(stdout) })
}

fn ask(worker: &mut Worker, episode: &Episode) -> anyhow::Result<EpisodeResult> {
    writeln!(worker.stdin, "{}", serde_json::to_string(episode)?)?;
    worker.stdin.flush()?;
    let mut line = String::new();
    if worker.stdout.read_line(&mut line)? == 0 {
        anyhow::bail!("it gave no answer");
    }
    Ok(serde_json::from_str(&line)?)
}

/// Waits for a worker that answers no more, and says how it ended.
fn dismiss(place: &Mutex<Option<Child>>) -> String {
    let Some(mut child) = lock(place).take() else { return "was gone".into() };
    // A worker that talks nonsense is still there.
    let ended = child.try_wait().ok().flatten();
    let status = match ended {
        Some(status) => Some(status),
        None => {
            std::thread::sleep(Duration::from_millis(200));
            let ended = child.try_wait().ok().flatten();
            let _ = child.kill();
            ended.or_else(|| child.wait().ok())
        }
    };
    status.map_or_else(|| "was lost".into(), |s| format!("ended with {s}"))
}
