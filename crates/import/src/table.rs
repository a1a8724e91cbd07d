//! Tables of comma-separated values, row by row; a bad row is no reason to lose the rest.

use caril_core::NavCommand;

use crate::columns::{Field, Found};
use crate::records::{Record, Records};
use crate::row::{BadKind, BadRow, Row, Table};
use crate::{ImportError, times};

/// Faster is not a car's speed but another unit's number, m/s.
pub(crate) const SPEED_MAX_MPS: f64 = 150.0;
/// What rounding may add to a steer or pedal of 1.
const ROUNDING: f64 = 1e-3;

/// Where a row's time comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Time {
    /// The column [`Field::Time`], if there is one, in units of so many nanoseconds.
    Column(i64),
    /// The picture's name, as Udacity's simulator writes it.
    UdacityName,
    /// The simulator's frame in the picture's name, as the paper's script writes it: 0.1 s each.
    CarilName,
}

/// How a table is read.
pub(crate) struct Spec {
    pub columns: Found,
    /// CARLA steer of the table's steer 1.
    pub steer_scale: f64,
    /// The table's steer is at most this.
    pub steer_max: f64,
    /// m/s of the table's speed 1.
    pub speed_mps: f64,
    pub time: Time,
}

/// The fields of the first line that is not empty.
pub(crate) fn first_line(text: &str, key: &str) -> Result<Vec<String>, ImportError> {
    let empty = || ImportError::Table { why: "the table is empty".into(), path: key.to_owned() };
    Records::new(text).next().map(|record| record.fields).ok_or_else(empty)
}

/// All rows in order.
pub(crate) fn read(text: &str, spec: &Spec) -> Table {
    let time = told(text, spec);
    let records = Records::new(text).skip(usize::from(spec.columns.header));
    Table { rows: records.map(|record| row(&record, spec, time)).collect(), deleted: 0 }
}

/// If most pictures' names do not tell the time, none is expected to.
fn told(text: &str, spec: &Spec) -> Time {
    let tells = |name: &str| match spec.time {
        Time::Column(_) => true,
        Time::UdacityName => times::of_udacity(name).is_some(),
        Time::CarilName => times::frame_of_caril(name).is_some(),
    };
    let (mut told, mut all) = (0u64, 0u64);
    for record in Records::new(text) {
        let name = spec.columns.index.get(&Field::Image).and_then(|i| record.get(*i));
        told += u64::from(name.is_some_and(tells));
        all += 1;
    }
    if 2 * told >= all { spec.time } else { Time::Column(1) }
}

fn row(record: &Record, spec: &Spec, time: Time) -> Result<Row, BadRow> {
    let text = |field: Field| spec.columns.index.get(&field).map(|i| (*i, record.get(*i)));
    let mut row = Row {
        row: record.line,
        picture: text(Field::Image).and_then(|(_, t)| t).unwrap_or("").to_owned(),
        time_ns: None,
        drive: 0,
        steer: 0.0,
        throttle: 0.0,
        brake: 0.0,
        speed_mps: None,
        nav: NavCommand::Follow,
        position: None,
    };
    let lacks = |i: usize| {
        let why = format!("{} fields, column {} is wanted", record.fields.len(), i + 1);
        row.bad(BadKind::Malformed, why)
    };
    if let Some((i, None)) = text(Field::Image) {
        return Err(lacks(i));
    }
    let number = |field: Field| -> Result<Option<f64>, BadRow> {
        let Some((i, value)) = text(field) else { return Ok(None) };
        let value = value.ok_or_else(|| lacks(i))?;
        match value.parse::<f64>() {
            Ok(x) if x.is_finite() => Ok(Some(x)),
            _ => Err(row.bad(BadKind::NotANumber, format!("{} is {value:?}", field.name()))),
        }
    };
    let steer = number(Field::Steer)?.unwrap_or(0.0);
    let (throttle, brake) = (number(Field::Throttle)?, number(Field::Brake)?);
    let speed = number(Field::Speed)?.map(|v| v * spec.speed_mps);
    let position = match (number(Field::X)?, number(Field::Y)?, number(Field::Z)?) {
        (Some(x), Some(y), z) => Some([x, y, z.unwrap_or(0.0)]),
        _ => None,
    };
    let time_ns = match time {
        Time::Column(unit) => match text(Field::Time) {
            None => None,
            Some((i, value)) => {
                let value = value.ok_or_else(|| lacks(i))?;
                let why = || row.bad(BadKind::NotANumber, format!("time is {value:?}"));
                Some(times::parse_ns(value, unit).ok_or_else(why)?)
            }
        },
        Time::UdacityName | Time::CarilName => {
            let ns = match time {
                Time::UdacityName => times::of_udacity(&row.picture),
                _ => times::frame_of_caril(&row.picture).and_then(|n| n.checked_mul(100_000_000)),
            };
            let why = || row.bad(BadKind::NotANumber, "the picture's name tells no time");
            Some(ns.ok_or_else(why)?)
        }
    };
    if let Some((i, value)) = text(Field::Command) {
        let value = value.ok_or_else(|| lacks(i))?;
        let why = || row.bad(BadKind::Malformed, format!("command is {value:?}"));
        let nav = nav(value).ok_or_else(why)?;
        row.nav = nav;
    }
    row.time_ns = time_ns;
    row.position = position;
    labels(&mut row, steer, spec.steer_scale, spec.steer_max)?;
    pedals(&mut row, throttle.unwrap_or(0.0), brake.unwrap_or(0.0))?;
    if let Some(v) = speed {
        row.speed_mps = Some(speed_mps(&row, v)?);
    }
    Ok(row)
}

/// Sets the steer, given on the format's scale.
pub(crate) fn labels(row: &mut Row, steer: f64, scale: f64, max: f64) -> Result<(), BadRow> {
    let scaled = steer * scale;
    if steer.abs() > max + ROUNDING || scaled.abs() > 1.0 + ROUNDING {
        let why = if steer.abs() > max + ROUNDING {
            format!("steer is {steer}, at most ±{max} is possible")
        } else {
            format!("steer {steer} · {scale} is beyond ±1 (--steer-scale)")
        };
        return Err(row.bad(BadKind::OutOfRange, why));
    }
    // No −0.
    row.steer = (scaled.clamp(-1.0, 1.0) + 0.0) as f32;
    Ok(())
}

/// Sets the pedals. Throttle backwards, as of a donkey car, is a brake.
pub(crate) fn pedals(row: &mut Row, throttle: f64, brake: f64) -> Result<(), BadRow> {
    let allowed = 1.0 + ROUNDING;
    if throttle.abs() > allowed || !(-ROUNDING..=allowed).contains(&brake) {
        let why = format!("throttle {throttle}, brake {brake}: at most 1 is possible");
        return Err(row.bad(BadKind::OutOfRange, why));
    }
    row.throttle = throttle.clamp(0.0, 1.0) as f32;
    row.brake = brake.max(-throttle).clamp(0.0, 1.0) as f32;
    Ok(())
}

/// Checks a speed in m/s.
pub(crate) fn speed_mps(row: &Row, speed: f64) -> Result<f32, BadRow> {
    if speed.abs() > SPEED_MAX_MPS {
        let why = format!("speed is {speed} m/s, at most {SPEED_MAX_MPS} is believed");
        return Err(row.bad(BadKind::OutOfRange, why));
    }
    Ok(speed as f32)
}

/// A command by our name, or by the number of CARLA's `RoadOption`.
fn nav(text: &str) -> Option<NavCommand> {
    Some(match text.to_lowercase().as_str() {
        "left" | "1" => NavCommand::Left,
        "right" | "2" => NavCommand::Right,
        "straight" | "3" => NavCommand::Straight,
        "follow" | "lanefollow" | "lane_follow" | "4" | "void" | "-1" => NavCommand::Follow,
        "change_left" | "changelaneleft" | "5" => NavCommand::ChangeLeft,
        "change_right" | "changelaneright" | "6" => NavCommand::ChangeRight,
        _ => return None,
    })
}
