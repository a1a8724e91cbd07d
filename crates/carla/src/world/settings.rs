//! CARLA's episode settings.

use rmpv::Value;

use crate::wire::{Fields, Trouble};

/// CARLA's episode settings.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Settings {
    /// Whether the world waits for ticks.
    pub synchronous: bool,
    /// Whether cameras stay silent.
    pub no_rendering: bool,
    /// Seconds of a tick.
    pub fixed_delta_s: Option<f64>,
    /// The other fields, kept and told.
    pub rest: [f64; 8],
}

impl Default for Settings {
    fn default() -> Self {
        let rest = [1.0, 0.01, 10.0, 0.0, 1.0, 3000.0, 2000.0, 1.0];
        Self { synchronous: false, no_rendering: false, fixed_delta_s: None, rest }
    }
}

impl Settings {
    /// Seconds of a tick without a fixed delta.
    pub const VARIABLE_S: f64 = 0.05;

    /// Reads them.
    ///
    /// # Errors
    /// If they are none, or the delta is not within 1 ms to 1 s.
    pub fn read(f: &Fields<'_>) -> Result<Self, Trouble> {
        let delta = f.fields(2)?;
        let fixed_delta_s = if delta.bool(0)? { Some(delta.f64(1)?) } else { None };
        // The client sends 0 for none.
        let fixed_delta_s = fixed_delta_s.filter(|d| *d > 0.0);
        if fixed_delta_s.is_some_and(|d| !(0.001..=1.0).contains(&d)) {
            return Err("fixed_delta_seconds: expected 0.001 to 1".into());
        }
        let flag = |i| f.bool(i).map(f64::from);
        Ok(Self {
            synchronous: f.bool(0)?,
            no_rendering: f.bool(1)?,
            fixed_delta_s,
            rest: [
                flag(3)?,
                f.f64(4)?,
                f64::from(f.i32(5)?),
                f.f64(6)?,
                flag(7)?,
                f.f64(8)?,
                f.f64(9)?,
                flag(10)?,
            ],
        })
    }

    /// As a value of the wire.
    pub fn value(&self) -> Value {
        let delta = match self.fixed_delta_s {
            Some(d) => Value::Array(vec![true.into(), d.into()]),
            None => Value::Array(vec![false.into()]),
        };
        let r = self.rest;
        Value::Array(vec![
            self.synchronous.into(),
            self.no_rendering.into(),
            delta,
            (r[0] != 0.0).into(),
            r[1].into(),
            (r[2] as i64).into(),
            (r[3] as f32).into(),
            (r[4] != 0.0).into(),
            (r[5] as f32).into(),
            (r[6] as f32).into(),
            (r[7] != 0.0).into(),
        ])
    }

    /// Seconds of a tick.
    pub fn delta_s(&self) -> f64 {
        self.fixed_delta_s.unwrap_or(Self::VARIABLE_S)
    }
}
