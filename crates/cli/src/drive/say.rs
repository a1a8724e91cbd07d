//! What is said at the end of a drive, and how the program then ends.

use caril_core::{EndReason, Pacing};
use caril_runtime::DriveEnd;

use super::Output;
use crate::exit::Exit;

/// How the program ends after a drive.
pub(super) fn exit_of(end: &DriveEnd, pacing: Pacing, recorder_dropped: u64) -> Exit {
    let s = &end.summary;
    if end.plant_gone {
        return Exit::Failed;
    }
    let arrived =
        matches!(s.end, Some(EndReason::GoalReached | EndReason::FrameLimit | EndReason::Stopped));
    let late = pacing == Pacing::Free && (s.deadline_misses > 0 || s.dropped_frames > 0);
    if !arrived || late || (s.modes.safe_stop > 0 && !end.stopped) || recorder_dropped > 0 {
        return Exit::Degraded;
    }
    Exit::Ok
}

/// The figures of a drive for people.
pub(super) fn print_summary(out: &Output<'_>, end: &DriveEnd) {
    let s = out.summary;
    let how = match s.end {
        Some(EndReason::GoalReached) => "reached the goal",
        Some(EndReason::FrameLimit) => "drove the frames asked for",
        Some(EndReason::Stopped) => "was stopped and stands",
        Some(EndReason::Collisions) => "collided too often",
        Some(EndReason::Blocked) => "stood still for too long",
        Some(EndReason::LeftRoute) => "left the route",
        Some(EndReason::Timeout) => "ran out of time",
        None if end.plant_gone => "lost its plant",
        None => "ended",
    };
    say!(
        "{} in {}: {how}, {:.0} % of {:.0} m, {:.0} s driven in {:.1} s ({:.1}× real time)",
        out.map,
        out.weather,
        s.route_completion,
        s.route_length_m,
        s.sim_seconds,
        s.wall_seconds,
        s.sim_seconds / s.wall_seconds.max(1e-9),
    );
    say!(
        "  lane deviation  mean {:.3} m, p95 {:.3} m, max {:.3} m",
        s.lane_deviation_mean_m,
        s.lane_deviation_p95_m,
        s.lane_deviation_max_m
    );
    say!(
        "  collisions {}, lane invasions {}, off the road {:.1} m, driving score {:.1}",
        s.collisions,
        s.lane_invasions,
        s.off_road_m,
        s.driving_score
    );
    say!(
        "  corrected {:.1} % of {} frames; modes: {} nominal, {} degraded, {} safe stop",
        100.0 * s.corrected_share,
        s.frames,
        s.modes.nominal,
        s.modes.degraded,
        s.modes.safe_stop
    );
    for (fault, count) in &s.faults {
        say!("  fault {fault}: {count} frames");
    }
    say!(
        "  network p50 {:.2} ms, p99 {:.2} ms; controller beside it p99 {:.3} ms (recorder {:.3}); backend {}: {}",
        s.infer_ms.p50,
        s.infer_ms.p99,
        s.overhead_ms.p99,
        s.record_ms.p99,
        out.backend,
        out.device
    );
    say!("  step hash {}", s.step_hash.get(..16).unwrap_or_default());
    if out.clips + out.left_out_steps > 0 {
        say!("  {} clips kept, {} steps left out", out.clips, out.left_out_steps);
    }
    if let Some(path) = out.record {
        let parts = if out.parts > 1 { ", and parts that follow" } else { "" };
        say!("recording: {}{parts}", path.display());
    }
    if let Some(path) = out.report {
        say!("report:    {}", path.display());
    }
}
