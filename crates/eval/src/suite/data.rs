//! A suite as it stands in its file.

use serde::{Deserialize, Serialize};

/// Which drives are driven. Every list of [`Cells`] is one axis; their product are the cells.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Suite {
    /// Its name.
    pub name: String,
    /// What it shows, in a sentence or two.
    pub about: String,
    /// Seed of the first trial; trial k has this + k. Routes, traffic and faults follow from it.
    pub seed: u64,
    /// Trials a cell unless the command line says otherwise.
    pub trials: u32,
    /// Arms unless the command line says otherwise.
    pub arms: Vec<String>,
    /// When a drive ends beside the world's own reasons.
    #[serde(default)]
    pub ends: Ends,
    /// The cells.
    pub cells: Vec<Cells>,
}

/// When a drive ends, beside the world's own reasons (goal, more than ten collisions, standing for
/// 120 s, lost).
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Ends {
    /// After so long, s; without, the route at 5 km/h and 20 s more.
    pub time_limit_s: Option<f64>,
    /// So much further from the goal than the start is, m, beeline.
    pub beyond_start_m: Option<f64>,
}

/// A product of cells.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cells {
    /// Their name, and the group of tables that they share.
    pub name: String,
    /// Maps, taken in turn by the trials: not an axis.
    pub maps: Vec<String>,
    /// The routes.
    pub route: RouteRule,
    /// Axis: weathers by name.
    #[serde(default = "clear_noon")]
    pub weather: Vec<String>,
    /// Axis: faults of the camera, `none` or `NAME:SEVERITY`, several joined by `+`.
    #[serde(default = "none")]
    pub faults: Vec<String>,
    /// Axis: other cars.
    #[serde(default = "nobody")]
    pub traffic: Vec<u32>,
    /// Axis: frames by which commands come late, `N` or `LOW-HIGH` (drawn for every frame).
    #[serde(default = "zero")]
    pub delay: Vec<String>,
    /// Seed of textures, colours and surroundings.
    #[serde(default)]
    pub appearance: u64,
}

/// Which routes are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RouteRule {
    /// Least and greatest length, m.
    pub length_m: (f64, f64),
    /// Turns to the left or right at junctions; without, any number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub turns: Option<u32>,
}

fn clear_noon() -> Vec<String> {
    vec!["ClearNoon".into()]
}
fn none() -> Vec<String> {
    vec!["none".into()]
}
fn nobody() -> Vec<u32> {
    vec![0]
}
fn zero() -> Vec<String> {
    vec!["0".into()]
}

/// Why a suite cannot be driven.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SuiteError {
    /// A value makes no sense.
    #[error("suite {suite}: {field}: expected {expected}, got {got}")]
    Value {
        /// The suite's name.
        suite: String,
        /// Which value.
        field: String,
        /// What would make sense.
        expected: &'static str,
        /// What came.
        got: String,
    },
    /// Two cells have one name.
    #[error("suite {suite}: two cells are called {cell}")]
    Twice {
        /// The suite's name.
        suite: String,
        /// The cell's.
        cell: String,
    },
}

impl Suite {
    /// An error of this suite.
    pub(super) fn wrong(
        &self,
        field: impl Into<String>,
        expected: &'static str,
        got: impl core::fmt::Display,
    ) -> SuiteError {
        SuiteError::Value {
            suite: self.name.clone(),
            field: field.into(),
            expected,
            got: got.to_string(),
        }
    }

    /// Checks what the plan does not find out. Names of maps, weathers and faults are the world's
    /// to check.
    ///
    /// # Errors
    /// [`SuiteError`] naming the first value that makes no sense.
    pub fn validate(&self) -> Result<(), SuiteError> {
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        let name = |text: &str| !text.is_empty() && text.chars().all(plain);
        if !name(&self.name) {
            return Err(self.wrong("name", "letters, digits, _ and -", &self.name));
        }
        let positive = |v: Option<f64>| v.is_none_or(|v| v.is_finite() && v > 0.0);
        if !positive(self.ends.time_limit_s) || !positive(self.ends.beyond_start_m) {
            return Err(self.wrong("ends", "limits above 0", format!("{:?}", self.ends)));
        }
        if self.trials == 0 || self.cells.is_empty() {
            return Err(self.wrong("trials, cells", "at least one", "none"));
        }
        for cells in &self.cells {
            let at = |field: &str| format!("cells {}: {field}", cells.name);
            if !name(&cells.name) {
                return Err(self.wrong("cells: name", "letters, digits, _ and -", &cells.name));
            }
            let (low, high) = cells.route.length_m;
            if !(low > 0.0 && high >= low && high <= 20_000.0) {
                return Err(self.wrong(
                    at("route.length_m"),
                    "two rising lengths up to 20 km",
                    format!("{low}, {high}"),
                ));
            }
            let axes = [
                ("maps", cells.maps.len()),
                ("weather", cells.weather.len()),
                ("faults", cells.faults.len()),
                ("traffic", cells.traffic.len()),
                ("delay", cells.delay.len()),
            ];
            if let Some((field, _)) = axes.iter().find(|(_, n)| *n == 0) {
                return Err(self.wrong(at(field), "at least one", "none"));
            }
        }
        Ok(())
    }
}
