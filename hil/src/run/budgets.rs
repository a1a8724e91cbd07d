//! The budgets: limits by figure, and the verdicts.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::figures::Figures;
use crate::exit::usage;

/// `hil/budgets.toml`: a limit each, or `None` if the figure is only reported.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Budgets {
    /// Frames sent a second, least share of the rate asked for.
    pub rate_share_min: Option<f64>,
    /// |Interval between frames less the period|, 99th percentile, ms.
    pub period_deviation_p99_ms: Option<f64>,
    /// Age of the answer, median, ms.
    pub age_p50_ms: Option<f64>,
    /// 99th percentile, ms.
    pub age_p99_ms: Option<f64>,
    /// 99.9th percentile, ms.
    pub age_p999_ms: Option<f64>,
    /// Maximum, ms.
    pub age_max_ms: Option<f64>,
    /// Answers older than one period, share.
    pub deadline_miss_share_max: Option<f64>,
    /// Frames never sent, share.
    pub dropped_share_max: Option<f64>,
    /// Processor time of the controller, share of one core.
    pub cpu_share_max: Option<f64>,
    /// Growth of its memory, MiB.
    pub memory_growth_mib_max: Option<f64>,
    /// From the controller's silence to the plant's own full brake, s.
    pub time_to_safe_stop_s_max: Option<f64>,
    /// Distance to standstill beyond v²/2a of full brake, m.
    pub distance_beyond_m_max: Option<f64>,
    /// Age of the answer while viewers look on, 99th percentile, beyond that while nobody does, ms.
    pub watched_age_p99_ms_max: Option<f64>,
    /// Collisions.
    pub collisions_max: Option<f64>,
}

/// One figure against its limit.
#[derive(Debug, Clone, Serialize)]
pub struct Verdict {
    /// What.
    pub name: &'static str,
    /// Its unit.
    pub unit: &'static str,
    /// What was measured; `None` if it could not be.
    pub got: Option<f64>,
    /// `≤` or `≥`.
    pub sign: &'static str,
    /// The limit, if there is one.
    pub limit: Option<f64>,
    /// Whether it is kept; true where there is no limit or nothing to measure.
    pub passed: bool,
}

impl Budgets {
    /// Reads the file.
    ///
    /// # Errors
    /// A usage error if it cannot be read or is none.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(path)
            .map_err(|e| usage(format!("cannot read the budgets ({e}): {}", path.display())))?;
        toml::from_str(&text).map_err(|e| usage(format!("budgets {}:\n{e}", path.display())))
    }

    /// Every figure against its limit.
    pub fn judge(&self, f: &Figures) -> Vec<Verdict> {
        let at_most = |name, unit, got: Option<f64>, limit: Option<f64>| {
            let passed = match (got, limit) {
                // A NaN passes no limit.
                (Some(got), Some(limit)) => got <= limit,
                _ => true,
            };
            Verdict { name, unit, got, sign: "≤", limit, passed }
        };
        let rate = Verdict {
            name: "rate, share of what was asked for",
            unit: "",
            got: Some(f.rate_share),
            sign: "≥",
            limit: self.rate_share_min,
            passed: self.rate_share_min.is_none_or(|min| f.rate_share >= min),
        };
        let age = |name, got, limit| at_most(name, "ms", Some(got), limit);
        vec![
            rate,
            at_most(
                "period deviation p99",
                "ms",
                Some(f.period_deviation_ms.p99),
                self.period_deviation_p99_ms,
            ),
            age("age p50", f.age_ms.p50, self.age_p50_ms),
            age("age p99", f.age_ms.p99, self.age_p99_ms),
            age("age p99.9", f.age_ms.p999, self.age_p999_ms),
            age("age max", f.age_ms.max, self.age_max_ms),
            at_most(
                "deadline misses, share",
                "",
                Some(f.deadline_miss_share),
                self.deadline_miss_share_max,
            ),
            at_most("dropped frames, share", "", Some(f.dropped_share), self.dropped_share_max),
            at_most("controller's CPU, share of a core", "", f.cpu_share, self.cpu_share_max),
            at_most(
                "controller's memory growth",
                "MiB",
                f.memory_growth_mib,
                self.memory_growth_mib_max,
            ),
            at_most(
                "silence to the plant's own brake",
                "s",
                f.time_to_safe_stop_s,
                self.time_to_safe_stop_s_max,
            ),
            at_most(
                "standstill beyond v²/2a",
                "m",
                f.distance_beyond_m,
                self.distance_beyond_m_max,
            ),
            at_most(
                "age p99 with viewers, beyond without",
                "ms",
                f.looked_on.as_ref().map(|l| l.watched_ms.p99 - l.alone_ms.p99),
                self.watched_age_p99_ms_max,
            ),
            at_most("collisions", "", Some(f64::from(f.collisions)), self.collisions_max),
        ]
    }
}
