//! Times as tables and file names tell them, and the recording's own.

use crate::row::Row;

/// A longer pause begins a new drive, for training too.
const DRIVE_GAP_NS: i64 = 1_000_000_000;
/// The pause that is put between drives which follow each other in the recording.
const PAUSE_NS: i64 = 10_000_000_000;
/// A car is set elsewhere if it moves by more than this and twice its way at its speed, metres.
const JUMP_M: f64 = 10.0;

/// A number of a unit of `unit_ns` as nanoseconds; `None` if it is none or too large.
pub(crate) fn parse_ns(text: &str, unit_ns: i64) -> Option<i64> {
    // Nanoseconds since 1970 have more digits than an f64.
    if let Ok(whole) = text.parse::<i64>() {
        return whole.checked_mul(unit_ns);
    }
    let ns = text.parse::<f64>().ok()? * unit_ns as f64;
    (ns.abs() < 9.0e18).then(|| ns.round() as i64)
}

/// Time of a picture of Udacity's simulator, `center_2018_07_16_17_11_43_382.jpg`: nanoseconds
/// since 1970 by the clock on the wall.
pub(crate) fn of_udacity(name: &str) -> Option<i64> {
    let stem = name.rsplit(['/', '\\']).next()?.rsplit_once('.')?.0;
    let mut parts = stem.split('_');
    parts.next()?;
    let mut next = |max: i64| parts.next()?.parse::<i64>().ok().filter(|n| (0..=max).contains(n));
    let (year, month, day) = (next(9999)?, next(12)?, next(31)?);
    let (hour, minute, second, milli) = (next(23)?, next(59)?, next(60)?, next(999)?);
    if parts.next().is_some() || year < 1970 || month < 1 || day < 1 {
        return None;
    }
    // Days of the Gregorian calendar; a year begins in March, so that the leap day is its last.
    let (y, m) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1 - 719_468;
    let seconds = ((days * 24 + hour) * 60 + minute) * 60 + second;
    Some((seconds * 1000 + milli) * 1_000_000)
}

/// The simulator's frame in the name of one of the paper's pictures,
/// `image_2024-11-05-14-30_00001234.png`.
pub(crate) fn frame_of_caril(name: &str) -> Option<i64> {
    let stem = name.rsplit(['/', '\\']).next()?.rsplit_once('.')?.0;
    let digits = stem.strip_prefix("image_")?.rsplit_once('_')?.1;
    (digits.len() >= 8).then(|| digits.parse().ok()).flatten()
}

/// Times of a recording's frames.
#[derive(Debug, Default)]
pub(crate) struct Clock {
    /// From 0, rising.
    pub times_ns: Vec<u64>,
    pub drives: u64,
    /// One over the median of the periods inside drives; 0 if there is none.
    pub rate_hz: f32,
}

/// Times from 0 of rows that rise in time, each with its time by the assumed rate. Where the
/// format tells that another drive begins, or the car was set elsewhere, a pause is put.
pub(crate) fn clock<'a>(rows: impl Iterator<Item = (&'a Row, i64)>) -> Clock {
    let mut clock = Clock::default();
    let mut periods = Vec::new();
    let mut last: Option<(&Row, i64)> = None;
    let mut now = 0;
    for (row, by_rate) in rows {
        let t = row.time_ns.unwrap_or(by_rate);
        let mut period = last.map_or(0, |(_, before)| t.saturating_sub(before));
        if last.is_some_and(|(before, _)| before.drive != row.drive || jumped(before, row, period))
        {
            period = period.max(PAUSE_NS);
        }
        now += period.unsigned_abs();
        if last.is_none() || period > DRIVE_GAP_NS {
            clock.drives += 1;
        } else {
            periods.push(period);
        }
        clock.times_ns.push(now);
        last = Some((row, t));
    }
    periods.sort_unstable();
    clock.rate_hz = periods.get(periods.len() / 2).map_or(0.0, |p| (1e9 / *p as f64) as f32);
    clock
}

fn jumped(from: &Row, to: &Row, period_ns: i64) -> bool {
    let (Some([x0, y0, z0]), Some([x1, y1, z1])) = (from.position, to.position) else {
        return false;
    };
    let speed = from.speed_mps.unwrap_or(0.0).abs().max(to.speed_mps.unwrap_or(0.0).abs());
    let way = 2.0 * f64::from(speed) * period_ns as f64 * 1e-9;
    let distance2 = (x1 - x0) * (x1 - x0) + (y1 - y0) * (y1 - y0) + (z1 - z0) * (z1 - z0);
    distance2 > (JUMP_M + way) * (JUMP_M + way)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_keep_every_digit() {
        assert_eq!(parse_ns("1700000000123456789", 1), Some(1_700_000_000_123_456_789));
        assert_eq!(parse_ns("0.25", 1_000_000_000), Some(250_000_000));
        assert_eq!(parse_ns("-3", 1_000_000), Some(-3_000_000));
        for wrong in ["", "NaN", "inf", "1e30", "soon"] {
            assert_eq!(parse_ns(wrong, 1_000_000_000), None, "{wrong}");
        }
        assert_eq!(parse_ns("9223372036854775807", 1000), None, "too large");
    }

    #[test]
    fn file_names_tell_the_time() {
        let at = |name| of_udacity(name).unwrap() / 1_000_000;
        assert_eq!(at("center_1970_01_01_00_00_00_007.jpg"), 7);
        assert_eq!(at(r"C:\d\IMG\left_2018_07_16_17_11_43_382.jpg"), 1_531_761_103_382);
        let leap = at("center_2024_03_01_00_00_00_000.jpg");
        assert_eq!(leap - at("center_2024_02_28_00_00_00_000.jpg"), 2 * 86_400_000);
        for wrong in ["center.jpg", "center_2018_13_16_17_11_43_382.jpg", "a_1_2_3.jpg", ""] {
            assert_eq!(of_udacity(wrong), None, "{wrong}");
        }
        assert_eq!(frame_of_caril("image_2024-11-05-14-30_00001234.png"), Some(1234));
        assert_eq!(frame_of_caril("image_7.png"), None);
    }
}
