//! The plant's end: any [`World`] at an endpoint, for one controller at a time.

mod controller;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use caril_core::{Command, EndReason, Frame, FrameId, Observed, Pacing, PlantInfo, World};

use controller::{Controller, Event, Unsent, send_to, tell};

use crate::codec::{self, Kind};
use crate::secure::{Channel, Guard, Keyring};
use crate::socket::{IpcFile, SLICE, bind, bounded_socket, socket_error};
use crate::{LinkError, LinkStats};

/// Messages that may wait for one controller: a frame, an end, a ping or two.
const FRAMES_WAITING: i32 = 4;
/// Messages of one controller that may wait here.
const COMMANDS_WAITING: i32 = 16;
/// The car stands below this, m/s.
const STANDING_MPS: f32 = 0.05;
/// A car that does not come to a stand in this many ticks of full brake is left where it is.
const BRAKE_TICKS_MAX: u32 = 1200;
/// A controller that has not said Start yet is looked after this often.
const IDLE_PING_INTERVAL: Duration = Duration::from_secs(1);

/// How a plant behaves.
#[derive(Clone)]
pub struct ServeOptions {
    /// Who waits for whom; goes into the Welcome.
    pub pacing: Pacing,
    /// Ticks per second; goes into the Welcome. In lockstep it counts only while commands are
    /// missing: the controller sets the pace.
    pub rate_hz: f32,
    /// Lockstep: how long a frame's command is waited for before the plant brakes.
    pub command_timeout: Duration,
    /// Free-running: an answer older than this, or no answer for this long, means full brake.
    pub watchdog: Duration,
    /// Return when this episode's first controller has left and the car stands, instead of waiting
    /// for the next one.
    pub once: bool,
    /// Context to share with an `inproc://` controller; an own one if `None`.
    pub context: Option<zmq::Context>,
    /// Own key and the allowed controllers' keys: nobody else is heard or answered. Anyone may
    /// speak if `None`, which is for endpoints within this machine.
    pub keys: Option<Keyring>,
}

impl Default for ServeOptions {
    fn default() -> Self {
        Self {
            pacing: Pacing::Lockstep,
            rate_hz: 20.0,
            command_timeout: Duration::from_secs(2),
            watchdog: Duration::from_millis(500),
            once: false,
            context: None,
            keys: None,
        }
    }
}

/// Why serving ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServeEnd {
    /// The world's episode is over; the controller was told.
    Ended(EndReason),
    /// The stop flag was raised.
    Stopped,
    /// The only controller left ([`ServeOptions::once`]).
    ControllerLeft,
    /// The world itself went away.
    WorldGone,
}

/// What a [`PlantSocket`] tells whoever watches it, at the moment at which it happens.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Seen {
    /// A frame was handed to the link.
    Sent(FrameId),
    /// The command that answers the frame on the way, and its age: from before the frame was put
    /// into a message (and sealed) until the command was opened, on the plant's own clock.
    Answered(Command, Duration),
    /// No fresh command in time: the plant brakes by itself in this tick.
    Braked,
}

/// Called in the plant's thread between two ticks: it must be quick.
pub type Watch = Box<dyn FnMut(Seen) + Send>;

/// What came of serving.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServeReport {
    /// Why it ended.
    pub end: ServeEnd,
    /// What was counted.
    pub stats: LinkStats,
}

/// Binds `endpoint` and serves `world` there until it ends or `stop` is raised.
///
/// # Errors
/// [`LinkError`] if the endpoint cannot be bound.
pub fn serve<W: World + ?Sized>(
    world: &mut W,
    endpoint: &str,
    options: ServeOptions,
    stop: &AtomicBool,
) -> Result<ServeReport, LinkError> {
    Ok(PlantSocket::bind(endpoint, options)?.serve(world, stop))
}

/// A plant bound to its endpoint.
///
/// Dropping it returns within a fraction of a second and removes an ipc file.
pub struct PlantSocket {
    socket: zmq::Socket,
    endpoint: String,
    _file: IpcFile,
    options: ServeOptions,
    period: Duration,
    controller: Option<Controller>,
    sessions: u32,
    last_ping: Option<Instant>,
    /// Lockstep: the last command did not come in time.
    late: bool,
    /// Free-running: when the next tick is due, the newest command and when it came.
    next_tick: Option<Instant>,
    newest: Option<(Command, Instant)>,
    route: zmq::Message,
    message: zmq::Message,
    guard: Option<Guard>,
    /// The last message as it was before it was sealed; the frame before it is sealed.
    opened: Vec<u8>,
    unsealed: Vec<u8>,
    stats: LinkStats,
    watch: Option<Watch>,
}

impl PlantSocket {
    /// Binds. `tcp://127.0.0.1:*` takes any free port, see [`PlantSocket::endpoint`].
    ///
    /// # Errors
    /// [`LinkError::InUse`], [`LinkError::Endpoint`] or [`LinkError::Socket`].
    pub fn bind(endpoint: &str, options: ServeOptions) -> Result<Self, LinkError> {
        let context = options.context.clone().unwrap_or_default();
        let set_up = || {
            // All that a controller sends is small: nobody gets to fill our memory.
            let most = Channel::sealed_len(codec::HEADER_LEN + codec::HANDSHAKE_MAX);
            let socket =
                bounded_socket(&context, zmq::ROUTER, FRAMES_WAITING, COMMANDS_WAITING, most)?;
            // Sending to a controller that is gone must fail, or nobody would notice.
            socket.set_router_mandatory(true)?;
            Ok(socket)
        };
        let socket = set_up().map_err(|source| socket_error("bind", source, endpoint))?;
        let (bound, file) = bind(&socket, endpoint)?;
        let rate = f64::from(options.rate_hz.clamp(0.1, 1000.0));
        Ok(Self {
            socket,
            endpoint: bound,
            _file: file,
            // A rate of NaN passes the clamp and becomes the slowest one.
            period: Duration::try_from_secs_f64(1.0 / rate).unwrap_or(Duration::from_secs(10)),
            controller: None,
            sessions: 0,
            last_ping: None,
            late: false,
            next_tick: None,
            newest: None,
            route: zmq::Message::new(),
            message: zmq::Message::new(),
            guard: options.keys.clone().map(Guard::new),
            opened: Vec::new(),
            unsealed: Vec::new(),
            stats: LinkStats::default(),
            watch: None,
            options,
        })
    }

    /// Where it is bound, with any `*` resolved.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Has every frame, every answer and every braking told to `watch`: for a rig that measures.
    pub fn watch(&mut self, watch: Watch) {
        self.watch = Some(watch);
    }

    fn tell_watch(&mut self, seen: Seen) {
        if let Some(watch) = &mut self.watch {
            watch(seen);
        }
    }

    /// What was counted so far.
    pub const fn stats(&self) -> LinkStats {
        self.stats
    }

    /// Serves one episode of `world`: until it ends or `stop` is raised (noticed within 50 ms).
    ///
    /// The world stands still until a controller says Start, and again when the controller has
    /// left and full brake has brought the car to a stand; the next controller takes over there, and
    /// not while the car still rolls.
    pub fn serve<W: World + ?Sized>(&mut self, world: &mut W, stop: &AtomicBool) -> ServeReport {
        let mut info = world.info().clone();
        info.pacing = self.options.pacing;
        info.rate_hz = self.options.rate_hz;
        let mut frame = Frame::for_camera(&info.camera);
        let (mut standing, mut alone_ticks) = (true, 0u32);
        // Of the last command: braking by itself, the plant leaves the wheels as they are.
        let mut steer = 0.0;
        let sessions_before = self.sessions;
        let (mut session, mut hold) = (self.sessions, false);
        let end = loop {
            if stop.load(Ordering::Relaxed) {
                break ServeEnd::Stopped;
            }
            if !self.has_started() && (standing || alone_ticks > BRAKE_TICKS_MAX) {
                let came = self.sessions != sessions_before;
                if self.options.once && came && self.controller.is_none() {
                    break ServeEnd::ControllerLeft;
                }
                self.next_tick = None;
                let _ = self.is_alive(IDLE_PING_INTERVAL);
                let _ = self.receive(&info, SLICE);
                continue;
            }
            let observation = world.observe(&mut frame, SLICE.as_nanos() as u64);
            match observation.observed {
                Observed::Fresh => {}
                Observed::Nothing => {
                    let _ = self.receive(&info, Duration::ZERO);
                    continue;
                }
                Observed::Ended(reason) => {
                    self.tell_end(reason, frame.truth.as_ref());
                    break ServeEnd::Ended(reason);
                }
                Observed::Gone => break ServeEnd::WorldGone,
            }
            // A stop, once begun, is finished: a controller that is quickly there after another sees
            // frames, but the car is not its own before it stands.
            if self.sessions != session {
                (session, hold) = (self.sessions, !standing);
            }
            standing = frame.ego.speed_mps.abs() < STANDING_MPS;
            hold = hold && !standing && alone_ticks <= BRAKE_TICKS_MAX;
            let started = self.has_started();
            alone_ticks = if started && !hold { 0 } else { alone_ticks + 1 };
            let command = match self.options.pacing {
                Pacing::Lockstep if started => self.lockstep(&info, &frame, standing, stop),
                Pacing::Lockstep => {
                    let _ = self.receive(&info, Duration::ZERO);
                    None
                }
                // Without a controller too: the car brakes in real time.
                Pacing::Free => self.free(&info, &frame, stop),
            };
            let command = command.filter(|_| !hold);
            let command = command.unwrap_or_else(|| {
                self.stats.braked += 1;
                self.tell_watch(Seen::Braked);
                Command::full_brake(frame.id, steer)
            });
            steer = command.steer;
            if world.actuate(&command).is_err() {
                break ServeEnd::WorldGone;
            }
        };
        if !matches!(end, ServeEnd::Ended(_)) {
            self.tell(|session| codec::encode_plain(Kind::Bye, session));
        }
        self.controller = None;
        ServeReport { end, stats: self.stats }
    }

    fn has_started(&self) -> bool {
        self.controller.as_ref().is_some_and(|c| c.started)
    }

    /// Waits for the command of this very frame; the world stands still meanwhile. `None`: brake.
    fn lockstep(
        &mut self,
        info: &PlantInfo,
        frame: &Frame,
        standing: bool,
        stop: &AtomicBool,
    ) -> Option<Command> {
        let mut sent = self.send_if_free(frame, self.options.command_timeout);
        // A car that still rolls while its controller is late must brake in real time.
        let patience =
            if self.late && !standing { self.period } else { self.options.command_timeout };
        let start = Instant::now();
        loop {
            let left = patience.saturating_sub(start.elapsed());
            if left.is_zero() {
                self.late = true;
                self.stats.dropped += u64::from(!sent);
                return None;
            }
            if stop.load(Ordering::Relaxed) || !self.has_started() {
                return None;
            }
            if let Event::Answer(command, _) = self.receive(info, left.min(SLICE)) {
                if command.frame_id == frame.id {
                    self.late = false;
                    self.stats.commands += 1;
                    return Some(command).filter(Command::is_valid);
                }
                // The answer to a frame that was braked away: it is back, the next frame counts.
                self.stats.stale += 1;
                if self.late {
                    self.late = false;
                    self.stats.dropped += u64::from(!sent);
                    return None;
                }
            }
            sent |= !sent && self.send_if_free(frame, self.options.command_timeout);
        }
    }

    /// Takes commands until the tick is over and returns the newest. `None`: brake, as it is without
    /// a controller.
    fn free(&mut self, info: &PlantInfo, frame: &Frame, stop: &AtomicBool) -> Option<Command> {
        let now = Instant::now();
        // After a hold-up ticks start anew: the past is not caught up with.
        let due = self.next_tick.map_or(now + self.period, |t| t.max(now));
        self.next_tick = Some(due + self.period);
        let alone = !self.has_started();
        let mut sent = !alone && self.send_if_free(frame, self.options.watchdog);
        // A world that takes longer than its period leaves no time: what waits is heard all the same.
        let mut looks = COMMANDS_WAITING;
        loop {
            let left = due.saturating_duration_since(Instant::now());
            if stop.load(Ordering::Relaxed) || (left.is_zero() && looks == 0) {
                break;
            }
            looks -= i32::from(left.is_zero());
            match self.receive(info, left.min(SLICE)) {
                Event::Nothing => {}
                Event::Answer(_, age) if age > self.options.watchdog => self.stats.stale += 1,
                Event::Answer(command, _) => {
                    self.stats.commands += 1;
                    self.newest = Some((command, Instant::now()));
                }
                // Obeyed, but it does not show that its sender still sees frames.
                Event::Again(command) => {
                    if let Some((newest, _)) = &mut self.newest {
                        *newest = command;
                    }
                }
            }
            sent |= !sent && self.has_started() && self.send_if_free(frame, self.options.watchdog);
        }
        self.stats.dropped += u64::from(!sent && !alone);
        let (command, since) = self.newest?;
        let fresh = self.has_started() && since.elapsed() <= self.options.watchdog;
        Some(command).filter(|c| fresh && c.is_valid())
    }

    /// Sends the frame unless an earlier one still waits for its answer, but for longer than
    /// `patience`: one frame on the way, so the newest is never behind older ones.
    fn send_if_free(&mut self, frame: &Frame, patience: Duration) -> bool {
        let Some(controller) = &mut self.controller else { return false };
        if controller.asked.is_some_and(|(_, since)| since.elapsed() <= patience) {
            return false;
        }
        let len = codec::frame_len(&frame.image);
        // Before it goes: a quick controller on a busy machine answers before sending returns.
        let since = Instant::now();
        let sent = if self.guard.is_some() {
            self.unsealed.resize(len, 0);
            if codec::encode_frame(controller.session, frame, &mut self.unsealed).is_err() {
                return false;
            }
            tell(&self.socket, &mut self.guard, &controller.route, &self.unsealed)
        } else {
            let mut message = zmq::Message::with_size(len);
            if codec::encode_frame(controller.session, frame, &mut message).is_err() {
                return false;
            }
            send_to(&self.socket, &controller.route, message)
        };
        match sent {
            Ok(()) => {
                controller.asked = Some((frame.id, since));
                self.stats.frames += 1;
                self.tell_watch(Seen::Sent(frame.id));
                true
            }
            Err(Unsent::Gone) => {
                self.controller = None;
                false
            }
            Err(Unsent::Full) => false,
        }
    }
}
