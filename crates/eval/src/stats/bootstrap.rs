//! Percentile bootstrap intervals of means, of paired differences and of relative changes.

use caril_core::CounterRng;

use super::quantile::of_sorted;
use crate::error::{Error, Result, finite, same_length};

/// Resamples unless stated otherwise.
pub const RESAMPLES: usize = 10_000;

/// How to draw: all results follow from this and the data.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bootstrap {
    /// Seed of the draws.
    pub seed: u64,
    /// Number of resamples.
    pub resamples: usize,
    /// Share of resamples inside the interval, in (0, 1).
    pub level: f64,
}

impl Bootstrap {
    /// 95 % intervals from [`RESAMPLES`] resamples.
    pub const fn new(seed: u64) -> Self {
        Self { seed, resamples: RESAMPLES, level: 0.95 }
    }
}

/// An estimate and how far it may be off.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Interval {
    /// From all the data.
    pub estimate: f64,
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
    /// Values, or pairs.
    pub count: usize,
    /// Clusters that were drawn from; as many as values if they are not clustered.
    pub clusters: usize,
}

impl Interval {
    /// Whether zero lies outside: only then is a difference called a difference.
    pub fn excludes_zero(&self) -> bool {
        self.low > 0.0 || self.high < 0.0
    }
}

/// Mean of `values` with its interval, in their unit.
///
/// * `clusters` – for example the route of each value; `None` draws single values
///
/// # Errors
/// If `values` is empty or not finite, `clusters` differs in length, there are fewer than two
/// clusters, or `bootstrap` has no resamples or no level.
pub fn mean_interval(
    values: &[f64],
    clusters: Option<&[u64]>,
    bootstrap: &Bootstrap,
) -> Result<Interval> {
    finite("values", values)?;
    let sums = cluster_sums(values.iter().map(|v| [*v, 1.0]), values.len(), clusters)?;
    interval(&sums, values.len(), bootstrap, |[sum, n]| sum / n)
}

/// Mean of `arm − baseline` over pairs with its interval, in their unit.
///
/// * `baseline`, `arm` – the same route, seed, weather and faults at the same index
/// * `clusters` – for example the route of each pair; `None` draws single pairs
///
/// # Errors
/// As [`mean_interval`], or if the arms differ in length.
pub fn paired_difference(
    baseline: &[f64],
    arm: &[f64],
    clusters: Option<&[u64]>,
    bootstrap: &Bootstrap,
) -> Result<Interval> {
    check_pairs(baseline, arm)?;
    let differences: Vec<f64> = baseline.iter().zip(arm).map(|(b, a)| a - b).collect();
    mean_interval(&differences, clusters, bootstrap)
}

/// Relative change of the mean, mean(arm) / mean(baseline) − 1, with its interval: −0.3 is 30 %
/// less. Pairs are drawn together. A resample in which both means are 0 counts as no change.
///
/// # Errors
/// As [`paired_difference`]; undefined if the baseline's mean is 0, or is so often 0 among the
/// resamples that an end of the interval is infinite; or if a baseline is below 0, where a quotient
/// of means says nothing.
pub fn paired_change(
    baseline: &[f64],
    arm: &[f64],
    clusters: Option<&[u64]>,
    bootstrap: &Bootstrap,
) -> Result<Interval> {
    check_pairs(baseline, arm)?;
    if let Some((index, got)) = baseline.iter().enumerate().find(|(_, b)| **b < 0.0) {
        let expected = "at least 0";
        return Err(Error::OutOfRange { what: "baseline", expected, got: *got, index });
    }
    let pairs = baseline.iter().zip(arm).map(|(b, a)| [a - b, *b]);
    let sums = cluster_sums(pairs, baseline.len(), clusters)?;
    interval(
        &sums,
        baseline.len(),
        bootstrap,
        |[more, base]| {
            if more == 0.0 { 0.0 } else { more / base }
        },
    )
}

fn check_pairs(baseline: &[f64], arm: &[f64]) -> Result<()> {
    finite("baseline", baseline)?;
    finite("arm", arm)?;
    same_length("arm", baseline.len(), arm.len())
}

/// Sums of both components over each cluster, clusters in order of their number.
fn cluster_sums(
    values: impl Iterator<Item = [f64; 2]>,
    count: usize,
    clusters: Option<&[u64]>,
) -> Result<Vec<[f64; 2]>> {
    let sums: Vec<[f64; 2]> = match clusters {
        None => values.collect(),
        Some(clusters) => {
            same_length("clusters", count, clusters.len())?;
            let mut of = std::collections::BTreeMap::<u64, [f64; 2]>::new();
            for (value, cluster) in values.zip(clusters) {
                let sum = of.entry(*cluster).or_default();
                *sum = add(*sum, value);
            }
            of.into_values().collect()
        }
    };
    if sums.len() < 2 {
        let what = if clusters.is_some() { "clusters" } else { "values" };
        return Err(Error::TooFew { what, expected: 2, got: sums.len() });
    }
    Ok(sums)
}

fn add(a: [f64; 2], b: [f64; 2]) -> [f64; 2] {
    [a[0] + b[0], a[1] + b[1]]
}

fn interval(
    sums: &[[f64; 2]],
    count: usize,
    bootstrap: &Bootstrap,
    quotient: impl Fn([f64; 2]) -> f64,
) -> Result<Interval> {
    let Bootstrap { seed, resamples, level } = *bootstrap;
    if resamples == 0 {
        return Err(Error::Empty { what: "resamples" });
    }
    if !(level > 0.0 && level < 1.0) {
        let expected = "a share in (0, 1)";
        return Err(Error::OutOfRange { what: "level", expected, got: level, index: 0 });
    }
    let undefined = Err(Error::Undefined { what: "interval", why: "a mean is 0 or not finite" });
    let estimate = quotient(sums.iter().copied().fold([0.0; 2], add));
    let mut drawn: Vec<f64> = (0..resamples as u64)
        .map(|resample| {
            // A stream a resample: more resamples begin with the same ones.
            let mut rng = CounterRng::new(seed, resample);
            let draw = |_| sums.get(rng.below(sums.len() as u64) as usize).copied();
            quotient((0..sums.len()).filter_map(draw).fold([0.0; 2], add))
        })
        .collect();
    drawn.sort_by(f64::total_cmp);
    let low = of_sorted(&drawn, 0.5 * (1.0 - level))?;
    let high = of_sorted(&drawn, 0.5 * (1.0 + level))?;
    if !(estimate.is_finite() && low.is_finite() && high.is_finite()) {
        return undefined;
    }
    Ok(Interval { estimate, low, high, count, clusters: sums.len() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn normal(seed: u64, n: usize) -> Vec<f64> {
        let mut rng = CounterRng::new(seed, 0);
        (0..n).map(|_| rng.normal()).collect()
    }

    #[test]
    fn a_mean_is_as_sure_as_theory_says() {
        let values = normal(1, 400);
        let i = mean_interval(&values, None, &Bootstrap::new(9)).unwrap();
        // ±1.96 / √400 about the mean.
        let half = 0.5 * (i.high - i.low);
        assert!((half - 0.098).abs() < 0.01, "{i:?}");
        assert!(i.low < i.estimate && i.estimate < i.high && (i.count, i.clusters) == (400, 400));
    }

    #[test]
    fn intervals_cover_as_often_as_they_promise() {
        let few = Bootstrap { resamples: 400, ..Bootstrap::new(4) };
        let covered = (0..300)
            .filter(|s| {
                let i = mean_interval(&normal(1000 + s, 50), None, &few).unwrap();
                i.low <= 0.0 && 0.0 <= i.high
            })
            .count();
        assert!((273..=297).contains(&covered), "{covered} of 300");
    }

    #[test]
    fn clusters_that_only_repeat_themselves_add_nothing() {
        let routes = normal(2, 20);
        let values: Vec<f64> = routes.iter().flat_map(|v| [*v; 50]).collect();
        let clusters: Vec<u64> = (0..1000).map(|i| i / 50).collect();
        let b = Bootstrap::new(3);
        let single = mean_interval(&values, None, &b).unwrap();
        let clustered = mean_interval(&values, Some(&clusters), &b).unwrap();
        let routes = mean_interval(&routes, None, &b).unwrap();
        assert_eq!(clustered.clusters, 20);
        assert!((clustered.high - routes.high).abs() < 1e-9);
        assert!(clustered.high - clustered.low > 5.0 * (single.high - single.low));
    }

    #[test]
    fn pairing_finds_what_the_spread_of_routes_hides() {
        // Routes differ by metres, the arm is 0.1 m better on each, give or take.
        let noise = normal(6, 60);
        let baseline: Vec<f64> = normal(5, 60).iter().map(|v| 10.0 + 3.0 * v).collect();
        let arm: Vec<f64> = baseline.iter().zip(&noise).map(|(b, n)| b - 0.1 + 0.1 * n).collect();
        let b = Bootstrap::new(8);
        let d = paired_difference(&baseline, &arm, None, &b).unwrap();
        assert!(d.excludes_zero() && d.high < 0.0, "{d:?}");
        let c = paired_change(&baseline, &arm, None, &b).unwrap();
        assert!((c.estimate - d.estimate / 10.0).abs() < 0.002 && c.excludes_zero(), "{c:?}");
        let same = paired_difference(&baseline, &baseline, None, &b).unwrap();
        assert!(!same.excludes_zero() && same.low == 0.0);
    }

    #[test]
    fn the_seed_decides_all() {
        let values = normal(1, 50);
        let of = |seed| mean_interval(&values, None, &Bootstrap::new(seed)).unwrap();
        assert_eq!(of(1), of(1));
        assert_ne!(of(1), of(2));
    }

    #[test]
    fn rare_failures_and_bad_input() {
        let b = Bootstrap::new(1);
        let zero = paired_change(&[0.0; 3], &[1.0; 3], None, &b);
        assert!(matches!(zero, Err(Error::Undefined { .. })), "{zero:?}");
        let one = [1.0, 0.0, 0.0, 0.0];
        let often = paired_change(&one, &[0.0, 1.0, 1.0, 1.0], None, &b);
        assert!(matches!(often, Err(Error::Undefined { .. })), "{often:?}");
        assert!(paired_change(&one, &[0.0; 4], None, &b).is_ok());
        assert!(matches!(mean_interval(&[1.0], None, &b), Err(Error::TooFew { .. })));
        assert!(matches!(mean_interval(&[], None, &b), Err(Error::Empty { .. })));
        let clusters = mean_interval(&[1.0, 2.0], Some(&[7, 7]), &b);
        assert!(matches!(clusters, Err(Error::TooFew { what: "clusters", .. })));
        let nan = paired_difference(&[1.0, f64::NAN], &[1.0, 1.0], None, &b);
        assert!(matches!(nan, Err(Error::NotFinite { index: 1, .. })));
        let none = Bootstrap { resamples: 0, ..b };
        assert!(matches!(mean_interval(&[1.0, 2.0], None, &none), Err(Error::Empty { .. })));
        let level = Bootstrap { level: f64::NAN, ..b };
        assert!(matches!(mean_interval(&[1.0, 2.0], None, &level), Err(Error::OutOfRange { .. })));
    }
}
