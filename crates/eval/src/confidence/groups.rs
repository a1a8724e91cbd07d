//! Steer errors, apart for straight, turns and bands of speed.

use std::collections::BTreeMap;

use crate::error::{Result, finite, same_length};

/// |expert steer| above which a frame is a turn, normalised scale; as in training.
pub const TURN_STEER: f64 = 0.2;
/// Edges of the speed bands, m/s: 0–3, 3–6, 6–9 and above.
pub const SPEED_EDGES_MPS: [f64; 3] = [3.0, 6.0, 9.0];

/// A kind of frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Group {
    /// Every frame.
    All,
    /// The expert drives straight on.
    Straight,
    /// The expert turns.
    Turn,
    /// The band of speed with this number, from the slowest: see [`SPEED_EDGES_MPS`].
    Speed(u8),
}

/// The groups that a frame belongs to.
///
/// * `steer_expert` – normalised scale
/// * `speed_mps` – in its band from the lower edge on
pub fn groups_of(steer_expert: f64, speed_mps: f64) -> [Group; 3] {
    let kind = if steer_expert.abs() > TURN_STEER { Group::Turn } else { Group::Straight };
    let band = SPEED_EDGES_MPS.iter().filter(|e| speed_mps >= **e).count();
    [Group::All, kind, Group::Speed(band as u8)]
}

/// How far steers are from the expert's, on the scale of the steers.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct SteerErrors {
    /// Frames.
    pub count: usize,
    /// Mean absolute error.
    pub mae: f64,
    /// Root of the mean squared error.
    pub rmse: f64,
    /// Mean of steer − expert: positive is too far right.
    pub bias: f64,
    /// Greatest absolute error.
    pub max: f64,
}

/// Errors of `steer` against `expert`, frame by frame.
///
/// # Errors
/// If the slices are empty or differ in length, or a value is not finite.
pub fn steer_errors(steer: &[f64], expert: &[f64]) -> Result<SteerErrors> {
    finite("steer", steer)?;
    finite("expert steer", expert)?;
    same_length("expert steer", steer.len(), expert.len())?;
    let mut sums = Sums::default();
    steer.iter().zip(expert).for_each(|(s, e)| sums.add(s - e));
    Ok(sums.errors())
}

/// [`steer_errors`] of every [`Group`] that occurs, by [`groups_of`].
///
/// * `steer`, `expert` – normalised scale
/// * `speed_mps` – of the vehicle at the frame
///
/// # Errors
/// As [`steer_errors`].
pub fn steer_errors_by_group(
    steer: &[f64],
    expert: &[f64],
    speed_mps: &[f64],
) -> Result<BTreeMap<Group, SteerErrors>> {
    finite("steer", steer)?;
    finite("expert steer", expert)?;
    finite("speed", speed_mps)?;
    same_length("expert steer", steer.len(), expert.len())?;
    same_length("speed", steer.len(), speed_mps.len())?;
    let mut of: BTreeMap<Group, Sums> = BTreeMap::new();
    for ((s, e), v) in steer.iter().zip(expert).zip(speed_mps) {
        for group in groups_of(*e, *v) {
            of.entry(group).or_default().add(s - e);
        }
    }
    Ok(of.into_iter().map(|(g, sums)| (g, sums.errors())).collect())
}

#[derive(Default)]
struct Sums {
    count: usize,
    sum: f64,
    absolute: f64,
    squared: f64,
    max: f64,
}

impl Sums {
    fn add(&mut self, error: f64) {
        self.count += 1;
        self.sum += error;
        self.absolute += error.abs();
        self.squared += error * error;
        self.max = self.max.max(error.abs());
    }

    fn errors(&self) -> SteerErrors {
        let n = self.count as f64;
        SteerErrors {
            count: self.count,
            mae: self.absolute / n,
            rmse: (self.squared / n).sqrt(),
            bias: self.sum / n,
            max: self.max,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Error;

    #[test]
    fn groups_by_hand() {
        assert_eq!(groups_of(0.2, 0.0), [Group::All, Group::Straight, Group::Speed(0)]);
        assert_eq!(groups_of(-0.21, 3.0), [Group::All, Group::Turn, Group::Speed(1)]);
        assert_eq!(groups_of(0.0, 40.0)[2], Group::Speed(3));
    }

    #[test]
    fn every_frame_is_in_its_groups() {
        let by = steer_errors_by_group(&[0.1, 0.5, 0.0], &[0.0, 0.8, 0.0], &[1.0, 4.0, 4.0]);
        let by = by.unwrap();
        assert_eq!((by[&Group::All].count, by[&Group::Straight].count), (3, 2));
        assert!((by[&Group::Turn].mae - 0.3).abs() < 1e-15);
        assert!((by[&Group::Turn].bias + 0.3).abs() < 1e-15);
        assert!((by[&Group::Straight].rmse - (0.01f64 / 2.0).sqrt()).abs() < 1e-15);
        assert!(!by.contains_key(&Group::Speed(3)));
        assert_eq!(steer_errors(&[0.1, 0.5, 0.0], &[0.0, 0.8, 0.0]), Ok(by[&Group::All]));
    }

    #[test]
    fn bad_input_is_told() {
        assert!(matches!(steer_errors(&[], &[]), Err(Error::Empty { .. })));
        let nan = steer_errors_by_group(&[0.0], &[0.0], &[f64::NAN]);
        assert!(matches!(nan, Err(Error::NotFinite { what: "speed", .. })));
        assert!(matches!(steer_errors(&[0.0], &[0.0, 1.0]), Err(Error::Length { .. })));
    }
}
