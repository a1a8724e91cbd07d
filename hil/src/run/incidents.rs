//! What came of each fault of the schedule, read from the tape.

use serde::Serialize;

use crate::fault::{Expect, Planned};
use crate::plant::course::Tick;

use super::figures::LastAct;

/// Slower than this the car stands, m/s.
const STANDING_MPS: f32 = 0.05;
/// Deceleration of the embedded car at full brake, m/s².
const FULL_BRAKE_MPS2: f64 = caril_sim::vehicle::FULL_BRAKE_MPS2;
/// So long after a fault its consequences may still come, s.
const AFTERMATH_S: f64 = 1.5;
/// Answers of so long before a fault are compared with those under it, s.
const BEFORE_S: f64 = 10.0;
/// What is wrong where nothing may change.
const NOTICED: &str = "the drive noticed it";
const DEGRADED: u8 = 1;
const SAFE_STOP: u8 = 2;

/// One fault and what came of it.
#[derive(Debug, Clone, Serialize)]
pub struct Incident {
    /// The fault's name.
    pub name: &'static str,
    /// When, seconds since the first frame.
    pub at_s: f64,
    /// How long.
    pub lasts_s: f64,
    /// How bad.
    pub severity: f64,
    /// What has to come of it.
    pub expected: Expect,
    /// Speed when it came, m/s.
    pub from_mps: f64,
    /// Until the controller was no longer nominal or the plant braked by itself, s.
    pub noticed_s: Option<f64>,
    /// Until a stop began: safe stop, or the plant's own brake, s.
    pub stop_began_s: Option<f64>,
    /// Until the car stood, s.
    pub stood_s: Option<f64>,
    /// From the fault to standstill, m.
    pub stood_m: Option<f64>,
    /// Until it drove on in nominal mode, s.
    pub drove_on_s: Option<f64>,
    /// Largest |distance from the lane's centre|, m.
    pub deviation_max_m: f64,
    /// Age of the answers until it was over and its aftermath, 99th percentile, ms.
    pub age_p99_ms: Option<f64>,
    /// The same in the seconds before it came.
    pub age_before_p99_ms: Option<f64>,
    /// What was said by those who tried something (strangers, processes).
    pub notes: Vec<String>,
    /// Why it could not be tried or judged.
    pub skipped: Option<String>,
    /// What is not as it should be; empty is good.
    pub wrong: Vec<String>,
}

/// Judges one fault by the tape until `until_s`, when the next one comes or the run ends.
pub fn judge(planned: &Planned, until_s: f64, tape: &[Tick]) -> Incident {
    let begin = tape.partition_point(|t| t.time_s < planned.at_s);
    let end = tape.partition_point(|t| t.time_s < until_s);
    let window = tape.get(begin..end).unwrap_or_default();
    let after = |found: Option<&Tick>| found.map(|t| t.time_s - planned.at_s);
    let first = |hit: &dyn Fn(&Tick) -> bool| window.iter().find(|t| hit(t));
    let noticed = first(&|t| t.own || t.mode >= DEGRADED);
    let stood = first(&|t| t.speed_mps < STANDING_MPS);
    let over_s = planned.at_s + planned.lasts_s;
    let start = window.first().copied();
    let mut incident = Incident {
        name: planned.kind.name(),
        at_s: planned.at_s,
        lasts_s: planned.lasts_s,
        severity: planned.severity,
        expected: planned.kind.expect(),
        from_mps: start.map_or(0.0, |t| f64::from(t.speed_mps)),
        noticed_s: after(noticed),
        stop_began_s: after(first(&|t| t.own || t.mode >= SAFE_STOP)),
        stood_s: after(stood),
        stood_m: stood.zip(start).map(|(s, from)| s.driven_m - from.driven_m),
        drove_on_s: after(first(&|t| {
            noticed.is_some_and(|n| t.time_s > n.time_s.max(over_s))
                && t.mode == 0
                && !t.own
                && t.speed_mps > 1.0
        })),
        deviation_max_m: window.iter().map(|t| f64::from(t.deviation_m.abs())).fold(0.0, f64::max),
        age_p99_ms: None,
        age_before_p99_ms: None,
        notes: Vec::new(),
        skipped: None,
        wrong: Vec::new(),
    };
    let Some(start) = start else {
        incident.wrong.push("the run was over before it came".to_owned());
        return incident;
    };
    let near = window.iter().take_while(|t| t.time_s < over_s + AFTERMATH_S);
    let stops = |t: &Tick| t.own || t.mode >= SAFE_STOP;
    let wrong = &mut incident.wrong;
    match incident.expected {
        Expect::Nothing | Expect::NoStop if near.clone().any(stops) => {
            wrong.push("a stop was begun".to_owned());
        }
        Expect::Nothing if near.clone().any(|t| t.mode >= DEGRADED) => {
            wrong.push(NOTICED.to_owned());
        }
        Expect::Slow if !near.clone().any(|t| stops(t) || t.mode >= DEGRADED) => {
            wrong.push("it was not noticed".to_owned());
        }
        Expect::Stop if incident.stood_s.is_none() => {
            wrong.push("the car did not come to a stand".to_owned());
        }
        _ => {}
    }
    if start.speed_mps < 1.0 {
        wrong.push(format!("the car did not drive when it came: {} m/s", start.speed_mps));
    }
    if let Some(last) = window.last()
        && last.time_s > over_s + 12.0
        && incident.noticed_s.is_some()
        && incident.drove_on_s.is_none()
    {
        wrong.push("the car did not drive on afterwards".to_owned());
    }
    if window.last().is_some_and(|t| t.lane_invasions != start.lane_invasions) {
        incident.notes.push("a wheel crossed its lane's edge".to_owned());
    }
    if window.last().is_some_and(|t| t.collisions != start.collisions) {
        wrong.push("a collision".to_owned());
    }
    incident
}

/// Ages of answers before a fault and under it. `answers`: when each came, seconds since the first
/// frame, and its age. What must go unnoticed must not delay either: where the answers before it were
/// within a period, those under it must be. Where they were not, the machine itself is late, and a
/// drive that is careful by then says nothing about the fault.
pub fn judge_ages(incident: &mut Incident, answers: &[(f64, f64)], period_ms: f64) {
    let p99 = |from_s: f64, to_s: f64| {
        let begin = answers.partition_point(|(at_s, _)| *at_s < from_s);
        let end = answers.partition_point(|(at_s, _)| *at_s < to_s);
        let mut ages: Vec<f64> = answers.get(begin..end)?.iter().map(|(_, ms)| *ms).collect();
        ages.sort_by(f64::total_cmp);
        ages.get((ages.len() * 99 / 100).min(ages.len().saturating_sub(1))).copied()
    };
    let at_s = incident.at_s;
    incident.age_before_p99_ms = p99(at_s - BEFORE_S, at_s);
    incident.age_p99_ms = p99(at_s, at_s + incident.lasts_s + AFTERMATH_S);
    let Some((before, under)) = incident.age_before_p99_ms.zip(incident.age_p99_ms) else { return };
    if incident.expected != Expect::Nothing {
        return;
    }
    if before <= period_ms && under > period_ms {
        incident.wrong.push(format!("answers came late: age p99 {under:.1} ms"));
    } else if before > period_ms
        && let Some(noticed) = incident.wrong.iter().position(|w| w == NOTICED)
    {
        incident.wrong.remove(noticed);
        let why = format!("not judged: answers were late before it came, age p99 {before:.1} ms");
        incident.skipped = Some(why);
    }
}

/// Judges the silence that began at `at_s`.
pub fn last_act(at_s: f64, tape: &[Tick]) -> Option<LastAct> {
    let window = tape.get(tape.partition_point(|t| t.time_s < at_s)..)?;
    let start = window.first()?;
    let brake = window.iter().find(|t| t.own);
    let stood = brake.and_then(|brake| {
        window.iter().find(|t| t.time_s >= brake.time_s && t.speed_mps < STANDING_MPS)
    });
    // A tick's `driven_m` is that at its end, its speed that at its beginning.
    let both = brake.zip(stood);
    let before = |b: &Tick| {
        window.iter().take_while(|t| t.time_s < b.time_s).last().map_or(b.driven_m, |t| t.driven_m)
    };
    let distance_m = both.map(|(b, s)| s.driven_m - before(b));
    let ideal_m = brake.map(|b| f64::from(b.speed_mps).powi(2) / (2.0 * FULL_BRAKE_MPS2));
    Some(LastAct {
        from_mps: f64::from(start.speed_mps),
        brake_after_s: brake.map(|b| b.time_s - at_s),
        stood_after_s: both.map(|(b, s)| s.time_s - b.time_s),
        distance_m,
        beyond_m: distance_m.zip(ideal_m).map(|(d, i)| d - i),
        deviation_max_m: window.iter().map(|t| f64::from(t.deviation_m.abs())).fold(0.0, f64::max),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::Planned;

    /// 20 ticks a second at 8 m/s; from `stop_s` on braking with 8 m/s², `mode` as given.
    fn tape(stop_s: f64, own: bool, seconds: f64) -> Vec<Tick> {
        let mut speed = 8.0_f64;
        let mut driven_m = 0.0;
        (0..(seconds * 20.0) as u32)
            .map(|i| {
                let time_s = f64::from(i) * 0.05;
                let stopping = time_s >= stop_s - 1e-9;
                let before = speed;
                if stopping {
                    speed = (speed - 0.4).max(0.0);
                }
                driven_m += (before + speed) / 2.0 * 0.05;
                Tick {
                    time_s,
                    frame_id: u64::from(i) + 1,
                    speed_mps: before as f32,
                    driven_m,
                    deviation_m: 0.1,
                    lane_invasions: 0,
                    collisions: 0,
                    off_road_m: 0.0,
                    mode: if stopping { SAFE_STOP } else { 0 },
                    brake: 0.0,
                    own: own && stopping,
                }
            })
            .collect()
    }

    #[test]
    fn a_stop_is_measured_from_its_fault() {
        let black = Planned::parse("camera_black@2+1").unwrap();
        let incident = judge(&black, 6.0, &tape(2.1, false, 8.0));
        assert!(incident.wrong.is_empty(), "{:?}", incident.wrong);
        assert!((incident.stop_began_s.unwrap() - 0.1).abs() < 0.01);
        assert!((incident.stood_s.unwrap() - 1.1).abs() < 0.06, "{incident:?}");
        assert!((incident.stood_m.unwrap() - (4.0 + 0.8)).abs() < 0.5, "{incident:?}");
        // The same where nothing came of it.
        let incident = judge(&black, 6.0, &tape(100.0, false, 8.0));
        assert_eq!(incident.wrong, ["the car did not come to a stand"]);
        let harmless = Planned::parse("camera_shifted@2+1").unwrap();
        assert_eq!(judge(&harmless, 6.0, &tape(2.1, false, 8.0)).wrong, ["a stop was begun"]);
    }

    #[test]
    fn what_must_go_unnoticed_must_change_nothing() {
        let jump = Planned::parse("clock_jump@2+1").unwrap();
        let quiet = tape(100.0, false, 8.0);
        assert!(judge(&jump, 6.0, &quiet).wrong.is_empty());
        let mut slow = quiet.clone();
        slow[60].mode = DEGRADED;
        assert_eq!(judge(&jump, 6.0, &slow).wrong, ["the drive noticed it"]);

        // 20 answers a second, all of them late from 2.5 s on.
        let answers = |late_ms: f64| -> Vec<(f64, f64)> {
            let at = (0..160).map(|i| f64::from(i) * 0.05);
            at.map(|s| (s, if s < 2.5 { 1.0 } else { late_ms })).collect()
        };
        for (late_ms, wrong) in [(2.0, 0), (49.0, 0), (51.0, 1)] {
            let mut incident = judge(&jump, 6.0, &quiet);
            judge_ages(&mut incident, &answers(late_ms), 50.0);
            assert_eq!(incident.age_before_p99_ms, Some(1.0));
            assert_eq!((incident.age_p99_ms, incident.wrong.len()), (Some(late_ms), wrong));
        }
        let late_before: Vec<_> = answers(1.0).iter().map(|(at_s, _)| (*at_s, 60.0)).collect();
        let mut unclear = judge(&jump, 6.0, &slow);
        judge_ages(&mut unclear, &late_before, 50.0);
        assert!(unclear.wrong.is_empty() && unclear.skipped.is_some(), "{unclear:?}");
        let mut unseen = judge(&jump, 6.0, &quiet);
        judge_ages(&mut unseen, &[], 50.0);
        assert_eq!((unseen.age_p99_ms, unseen.wrong.len()), (None, 0));
    }

    #[test]
    fn the_last_act_is_measured_from_the_plants_own_brake() {
        let act = last_act(3.0, &tape(3.55, true, 8.0)).unwrap();
        assert!((act.brake_after_s.unwrap() - 0.55).abs() < 0.01, "{act:?}");
        assert!(act.beyond_m.unwrap().abs() < 0.3, "{act:?}");
        assert!((act.stood_after_s.unwrap() - 1.0).abs() < 0.06, "{act:?}");
    }
}
