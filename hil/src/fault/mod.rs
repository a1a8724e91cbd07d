//! What the rig breaks on purpose, when, and what is expected of it.

pub mod clock;
pub mod disk;
pub mod machine;
pub mod netns;
pub mod relay;
pub mod stranger;

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::exit::usage;

/// Who breaks it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Where {
    /// The plant's world: picture, ego state, time.
    World,
    /// A relay between plant and controller, which takes ZeroMQ's stream apart.
    Wire,
    /// The controller's process.
    Process,
    /// The wall clock of the controller's process.
    Clock,
    /// The disk that the controller records onto.
    Disk,
    /// Someone else on the network.
    Stranger,
    /// The machine that both share.
    Machine,
}

impl Where {
    /// Whether it needs the controller, or the way to it, to be on this machine.
    pub const fn needs_loopback(self) -> bool {
        matches!(self, Self::Process | Self::Clock | Self::Disk | Self::Wire)
    }
}

/// What has to come of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Expect {
    /// The car drives on as if nothing were: no stop, and no other mode.
    Nothing,
    /// The car drives on, perhaps more slowly.
    NoStop,
    /// At least degraded; a stop is allowed.
    Slow,
    /// The car comes to a stand.
    Stop,
}

/// Every fault of the rig.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The picture stands still.
    CameraFrozen,
    /// The picture is black.
    CameraBlack,
    /// The picture is white.
    CameraBlownOut,
    /// The picture is shifted sideways by up to a quarter of its width.
    CameraShifted,
    /// No number of the ego state is one.
    EgoMissing,
    /// The speed is not a number.
    EgoNan,
    /// The speed jumps to 200 m/s and back.
    EgoJumping,
    /// The plant stands still and sends nothing.
    PlantPaused,
    /// Frames do not arrive.
    FrameLost,
    /// Frames arrive up to 400 ms late.
    FrameLate,
    /// Frames arrive twice.
    FrameDoubled,
    /// An old frame arrives after a newer one.
    FrameReordered,
    /// Frames arrive without their end.
    FrameTruncated,
    /// Frames arrive with other bytes in their header.
    FrameCorrupted,
    /// Everything takes up to 200 ms longer, in both directions.
    NetDelay,
    /// Everything takes now longer, now not, by up to 100 ms.
    NetJitter,
    /// Nothing passes, in neither direction.
    NetPartition,
    /// The connection breaks. The plant brakes; a controller that is quickly back waits for the
    /// standstill.
    NetCut,
    /// Up to a tenth of all packets is lost (with --netns).
    NetLoss,
    /// The controller's process is stopped (SIGSTOP), and goes on.
    ControllerStopped,
    /// The controller's process is killed (SIGKILL); another starts afterwards.
    ControllerKilled,
    /// The controller is asked to end (SIGTERM); another starts afterwards.
    ControllerRestarted,
    /// The controller's wall clock jumps up to two hours ahead, and back at the end.
    ClockJump,
    /// The disk that the controller records onto takes up to 64 KiB a second, or nothing.
    DiskSlow,
    /// The disk that the controller records onto has no room left.
    DiskFull,
    /// Someone without the right key knocks (secured endpoints; else there is no key to be wrong).
    WrongKey,
    /// A second controller wants to drive.
    SecondController,
    /// A second plant wants the endpoint.
    SecondPlant,
    /// A controller of another wire version wants to drive.
    WrongVersion,
    /// Threads that do nothing but run: up to four for each core.
    CpuPressure,
    /// Memory taken and touched: up to 1 GiB.
    MemoryPressure,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 31] = [
        Self::CameraFrozen,
        Self::CameraBlack,
        Self::CameraBlownOut,
        Self::CameraShifted,
        Self::EgoMissing,
        Self::EgoNan,
        Self::EgoJumping,
        Self::PlantPaused,
        Self::FrameLost,
        Self::FrameLate,
        Self::FrameDoubled,
        Self::FrameReordered,
        Self::FrameTruncated,
        Self::FrameCorrupted,
        Self::NetDelay,
        Self::NetJitter,
        Self::NetPartition,
        Self::NetCut,
        Self::NetLoss,
        Self::ControllerStopped,
        Self::ControllerKilled,
        Self::ControllerRestarted,
        Self::ClockJump,
        Self::DiskSlow,
        Self::DiskFull,
        Self::WrongKey,
        Self::SecondController,
        Self::SecondPlant,
        Self::WrongVersion,
        Self::CpuPressure,
        Self::MemoryPressure,
    ];

    /// Name, who breaks it, what has to come of it, and how long it lasts if nothing is said, s.
    pub const fn row(self) -> (&'static str, Where, Expect, f64) {
        use Expect::{NoStop, Nothing, Slow, Stop};
        use Where::{Clock, Disk, Machine, Process, Stranger, Wire, World};
        match self {
            Self::CameraFrozen => ("camera_frozen", World, Stop, 2.0),
            Self::CameraBlack => ("camera_black", World, Stop, 1.0),
            Self::CameraBlownOut => ("camera_blown_out", World, Stop, 1.0),
            Self::CameraShifted => ("camera_shifted", World, Nothing, 1.0),
            Self::EgoMissing => ("ego_missing", World, Stop, 0.2),
            Self::EgoNan => ("ego_nan", World, Stop, 0.2),
            Self::EgoJumping => ("ego_jumping", World, Stop, 0.2),
            Self::PlantPaused => ("plant_paused", World, Stop, 1.0),
            Self::FrameLost => ("frame_lost", Wire, Stop, 1.0),
            Self::FrameLate => ("frame_late", Wire, Slow, 1.0),
            Self::FrameDoubled => ("frame_doubled", Wire, NoStop, 0.2),
            Self::FrameReordered => ("frame_reordered", Wire, NoStop, 0.2),
            Self::FrameTruncated => ("frame_truncated", Wire, Slow, 0.2),
            Self::FrameCorrupted => ("frame_corrupted", Wire, Slow, 0.2),
            Self::NetDelay => ("net_delay", Wire, Slow, 2.0),
            Self::NetJitter => ("net_jitter", Wire, NoStop, 2.0),
            Self::NetPartition => ("net_partition", Wire, Stop, 1.0),
            Self::NetCut => ("net_cut", Wire, Stop, 0.0),
            Self::NetLoss => ("net_loss", Wire, NoStop, 2.0),
            Self::ControllerStopped => ("controller_stopped", Process, Stop, 1.0),
            Self::ControllerKilled => ("controller_killed", Process, Stop, 1.0),
            Self::ControllerRestarted => ("controller_restarted", Process, Stop, 1.0),
            Self::ClockJump => ("clock_jump", Clock, Nothing, 5.0),
            Self::DiskSlow => ("disk_slow", Disk, Nothing, 10.0),
            Self::DiskFull => ("disk_full", Disk, Nothing, 10.0),
            Self::WrongKey => ("wrong_key", Stranger, Nothing, 2.0),
            Self::SecondController => ("second_controller", Stranger, Nothing, 2.0),
            Self::SecondPlant => ("second_plant", Stranger, Nothing, 2.0),
            Self::WrongVersion => ("wrong_version", Stranger, Nothing, 2.0),
            Self::CpuPressure => ("cpu_pressure", Machine, NoStop, 2.0),
            Self::MemoryPressure => ("memory_pressure", Machine, NoStop, 2.0),
        }
    }

    /// Its name on the command line.
    pub const fn name(self) -> &'static str {
        self.row().0
    }

    /// Who breaks it.
    pub const fn place(self) -> Where {
        self.row().1
    }

    /// What has to come of it.
    pub const fn expect(self) -> Expect {
        self.row().2
    }
}

/// One fault of a schedule.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Planned {
    /// What.
    pub kind: Kind,
    /// Seconds after the first frame.
    pub at_s: f64,
    /// How long, seconds.
    pub lasts_s: f64,
    /// How bad, [0, 1].
    pub severity: f64,
}

impl Planned {
    /// Whether it is on.
    pub fn is_on(&self, time_s: f64) -> bool {
        (self.at_s..self.at_s + self.lasts_s).contains(&time_s)
    }

    /// Reads `NAME@SECONDS[+DURATION][:SEVERITY]`.
    ///
    /// # Errors
    /// A usage error that says what there is.
    pub fn parse(text: &str) -> anyhow::Result<Self> {
        let bad = || {
            usage(format!(
                "--fault {text}: expected NAME@SECONDS[+DURATION][:SEVERITY], severity 0–1"
            ))
        };
        let number = |t: &str| t.parse::<f64>().ok().filter(|v| v.is_finite() && *v >= 0.0);
        let (name, rest) = text.split_once('@').ok_or_else(bad)?;
        let (times, severity) = match rest.split_once(':') {
            Some((times, severity)) => (times, number(severity).ok_or_else(bad)?),
            None => (rest, 0.5),
        };
        let (at, lasts) = match times.split_once('+') {
            Some((at, lasts)) => (at, Some(number(lasts).ok_or_else(bad)?)),
            None => (times, None),
        };
        Self::checked(name, number(at).ok_or_else(bad)?, lasts, severity)
    }

    fn checked(name: &str, at_s: f64, lasts: Option<f64>, severity: f64) -> anyhow::Result<Self> {
        let Some(kind) = Kind::ALL.into_iter().find(|k| k.name() == name) else {
            let names: Vec<_> = Kind::ALL.into_iter().map(Kind::name).collect();
            return Err(usage(format!("no fault {name}; there are: {}", names.join(", "))));
        };
        let lasts_s = lasts.unwrap_or(kind.row().3);
        let sane = (0.0..=1.0).contains(&severity) && at_s >= 0.0 && lasts_s >= 0.0;
        if !(sane && at_s.is_finite() && lasts_s.is_finite()) {
            return Err(usage(format!("fault {name}: severity is 0–1, times are not negative")));
        }
        Ok(Self { kind, at_s, lasts_s, severity })
    }
}

/// A schedule's file: `[[fault]]` with `name`, `at_s` and, if wanted, `lasts_s` and `severity`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ScheduleFile {
    #[serde(default)]
    fault: Vec<FaultLine>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct FaultLine {
    name: String,
    at_s: f64,
    lasts_s: Option<f64>,
    severity: Option<f64>,
}

/// Reads a schedule's file.
///
/// # Errors
/// A usage error if it is none.
pub fn read_schedule(path: &std::path::Path) -> anyhow::Result<Vec<Planned>> {
    let text = std::fs::read_to_string(path)
        .map_err(|e| usage(format!("cannot read the schedule ({e}): {}", path.display())))?;
    let file: ScheduleFile =
        toml::from_str(&text).map_err(|e| usage(format!("schedule {}:\n{e}", path.display())))?;
    let one =
        |l: &FaultLine| Planned::checked(&l.name, l.at_s, l.lasts_s, l.severity.unwrap_or(0.5));
    file.fault.iter().map(one).collect()
}

/// Seconds as a duration; nonsense is none.
pub fn seconds(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_parsed_and_errors_say_what_there_is() {
        let parsed = Planned::parse("camera_black@12.5+2:0.25").unwrap();
        let black = Planned { kind: Kind::CameraBlack, at_s: 12.5, lasts_s: 2.0, severity: 0.25 };
        assert_eq!(parsed, black);
        assert!(parsed.is_on(12.5) && parsed.is_on(14.4) && !parsed.is_on(14.5));
        assert_eq!(Planned::parse("frame_lost@3").unwrap().lasts_s, 1.0);
        for bad in [
            "camera_black",
            "camera_black@",
            "camera_black@x",
            "camera_black@1:2",
            "camera_black@1+-1",
            "camera_black@NaN",
        ] {
            assert!(Planned::parse(bad).is_err(), "{bad}");
        }
        let said = Planned::parse("snow@1").unwrap_err().to_string();
        assert!(Kind::ALL.iter().all(|k| said.contains(k.name())), "{said}");
    }

    #[test]
    fn names_are_distinct() {
        let mut names: Vec<_> = Kind::ALL.into_iter().map(Kind::name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Kind::ALL.len());
    }
}
