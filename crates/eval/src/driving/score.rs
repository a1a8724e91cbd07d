//! Route completion, driving score, infractions per kilometre, NoCrash success.

use crate::error::{Error, Result, is_finite, positive};

/// What counts against a drive, as in the CARLA leaderboard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
#[repr(usize)]
pub enum Infraction {
    /// Collision with a pedestrian.
    Pedestrian = 0,
    /// Collision with a vehicle.
    Vehicle = 1,
    /// Collision with anything else.
    Static = 2,
    /// Red light passed.
    RedLight = 3,
    /// Stop sign passed.
    Stop = 4,
    /// Scenario not finished in time; unknown to leaderboard 1.0.
    ScenarioTimeout = 5,
    /// No way given to an emergency vehicle; unknown to leaderboard 1.0.
    Yield = 6,
}

impl Infraction {
    /// Number of kinds.
    pub const COUNT: usize = 7;
    /// All kinds, in order.
    pub const ALL: [Self; Self::COUNT] = [
        Self::Pedestrian,
        Self::Vehicle,
        Self::Static,
        Self::RedLight,
        Self::Stop,
        Self::ScenarioTimeout,
        Self::Yield,
    ];

    /// The factor of version 1.0, or the weight of version 2.1.
    const fn coefficient(self, version: Leaderboard) -> f64 {
        match (version, self) {
            (Leaderboard::V1_0, Self::Pedestrian) => 0.50,
            (Leaderboard::V1_0, Self::Vehicle) => 0.60,
            (Leaderboard::V1_0, Self::Static) => 0.65,
            (Leaderboard::V1_0, Self::RedLight) => 0.70,
            (Leaderboard::V1_0, Self::Stop) => 0.80,
            (Leaderboard::V1_0, Self::ScenarioTimeout | Self::Yield) => 1.0,
            (Leaderboard::V2_1, Self::Pedestrian) => 1.0,
            (Leaderboard::V2_1, Self::Vehicle) => 0.7,
            (Leaderboard::V2_1, Self::Static) => 0.6,
            (Leaderboard::V2_1, Self::RedLight) => 0.4,
            (Leaderboard::V2_1, Self::Stop) => 0.25,
            (Leaderboard::V2_1, Self::ScenarioTimeout | Self::Yield) => 0.4,
        }
    }
}

/// Whose rules count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub enum Leaderboard {
    /// Penalty Π cⁿ · (1 − off-road share).
    #[serde(rename = "1.0")]
    V1_0,
    /// Penalty (1 − off-road share) / (1 + Σ c·n).
    #[serde(rename = "2.1")]
    V2_1,
}

/// How often each kind happened on one route, by [`Infraction`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
pub struct Infractions {
    /// Counts in the order of [`Infraction::ALL`].
    pub counts: [u32; Infraction::COUNT],
}

impl Infractions {
    /// How often `kind` happened.
    pub fn of(&self, kind: Infraction) -> u32 {
        self.counts.get(kind as usize).copied().unwrap_or(0)
    }

    /// Adds `count` of a kind.
    pub fn add(&mut self, kind: Infraction, count: u32) {
        if let Some(n) = self.counts.get_mut(kind as usize) {
            *n = n.saturating_add(count);
        }
    }

    /// All together.
    pub fn total(&self) -> u64 {
        self.counts.iter().map(|n| u64::from(*n)).sum()
    }
}

/// One driven route.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct RouteResult {
    /// Route completion, [0, 100].
    pub completion_pct: f64,
    /// Share of the driven distance that lay off the road, [0, 1].
    pub off_road_share: f64,
    /// Distance driven, km.
    pub driven_km: f64,
    /// What went wrong.
    pub infractions: Infractions,
}

impl RouteResult {
    /// The infraction penalty P, [0, 1]: 1 is none.
    ///
    /// # Errors
    /// If the completion or the off-road share is not in its range.
    pub fn penalty(&self, version: Leaderboard) -> Result<f64> {
        let range = |what, expected, got: f64, most: f64| match got {
            v if (0.0..=most).contains(&v) => Ok(()),
            _ => Err(Error::OutOfRange { what, expected, got, index: 0 }),
        };
        range("route completion", "a percentage in [0, 100]", self.completion_pct, 100.0)?;
        range("off-road share", "a share in [0, 1]", self.off_road_share, 1.0)?;
        let each = Infraction::ALL
            .iter()
            .map(|kind| (kind.coefficient(version), f64::from(self.infractions.of(*kind))));
        let infractions = match version {
            Leaderboard::V1_0 => each.map(|(c, n)| libm::pow(c, n)).product::<f64>(),
            Leaderboard::V2_1 => 1.0 / (1.0 + each.map(|(c, n)| c * n).sum::<f64>()),
        };
        Ok((1.0 - self.off_road_share) * infractions)
    }
}

/// Share of the route driven, per cent, cut to [0, 100].
///
/// # Errors
/// If the progress is not finite or the length not above 0.
pub fn route_completion_pct(progress_m: f64, length_m: f64) -> Result<f64> {
    positive("route length", length_m)?;
    if !is_finite(progress_m) {
        return Err(Error::NotFinite { what: "progress", index: 0 });
    }
    Ok((100.0 * progress_m / length_m).clamp(0.0, 100.0))
}

/// Means over routes.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct DrivingScore {
    /// Driving score, [0, 100]: the mean over routes of completion × penalty (which is not the
    /// product of the two means below).
    pub score: f64,
    /// Mean route completion, [0, 100].
    pub completion_pct: f64,
    /// Mean infraction penalty, [0, 1].
    pub penalty: f64,
}

/// The driving score of the CARLA leaderboard over routes.
///
/// # Errors
/// If there are no routes, or as [`RouteResult::penalty`].
pub fn driving_score(routes: &[RouteResult], version: Leaderboard) -> Result<DrivingScore> {
    if routes.is_empty() {
        return Err(Error::Empty { what: "routes" });
    }
    let (mut score, mut completion, mut penalty) = (0.0, 0.0, 0.0);
    for route in routes {
        let p = route.penalty(version)?;
        score += (route.completion_pct * p).max(0.0);
        completion += route.completion_pct;
        penalty += p;
    }
    let n = routes.len() as f64;
    Ok(DrivingScore { score: score / n, completion_pct: completion / n, penalty: penalty / n })
}

/// Infractions per kilometre over routes: Σ count / Σ km, not the mean of the routes' ratios.
///
/// * `kind` – one kind, or `None` for all together
///
/// # Errors
/// If there are no routes, or a distance is negative or not finite; undefined if nothing was
/// driven.
pub fn infractions_per_km(routes: &[RouteResult], kind: Option<Infraction>) -> Result<f64> {
    if routes.is_empty() {
        return Err(Error::Empty { what: "routes" });
    }
    let (mut count, mut km) = (0, 0.0);
    for (index, route) in routes.iter().enumerate() {
        if !(is_finite(route.driven_km) && route.driven_km >= 0.0) {
            let (what, expected) = ("driven distance", "finite km from 0 on");
            return Err(Error::OutOfRange { what, expected, got: route.driven_km, index });
        }
        let all = &route.infractions;
        count += kind.map_or_else(|| all.total(), |k| u64::from(all.of(k)));
        km += route.driven_km;
    }
    if km == 0.0 {
        return Err(Error::Undefined { what: "infractions per km", why: "nothing was driven" });
    }
    Ok(count as f64 / km)
}

/// Time that NoCrash allows for a path, s: 5 km/h on the way and 20 s more (Codevilla et al.
/// 2019).
///
/// # Errors
/// If the length is not above 0.
pub fn nocrash_time_limit_s(path_km: f64) -> Result<f64> {
    positive("path length", path_km)?;
    Ok(path_km / 5.0 * 3600.0 + 20.0)
}

/// NoCrash's rule: the goal was reached in time and without a collision.
///
/// * `time_s` – of the drive
/// * `collisions` – with anything
///
/// # Errors
/// If the length is not above 0 or the time is not finite.
pub fn nocrash_success(path_km: f64, time_s: f64, at_goal: bool, collisions: u32) -> Result<bool> {
    if !time_s.is_finite() {
        return Err(Error::NotFinite { what: "time", index: 0 });
    }
    Ok(at_goal && collisions == 0 && time_s <= nocrash_time_limit_s(path_km)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(completion_pct: f64, off_road_share: f64, kinds: &[Infraction]) -> RouteResult {
        let mut infractions = Infractions::default();
        kinds.iter().for_each(|k| infractions.add(*k, 1));
        RouteResult { completion_pct, off_road_share, driven_km: 0.5, infractions }
    }

    #[test]
    fn penalties_by_hand() {
        use Infraction::{Pedestrian, RedLight, ScenarioTimeout, Stop, Vehicle};
        let close = |r: &RouteResult, version, expected: f64| {
            let got = r.penalty(version).unwrap();
            assert!((got - expected).abs() < 1e-12, "{got} {expected}");
        };
        let r = route(100.0, 0.1, &[Pedestrian, Vehicle, Vehicle, RedLight, Stop]);
        close(&r, Leaderboard::V1_0, 0.5 * 0.6 * 0.6 * 0.7 * 0.8 * 0.9);
        close(&r, Leaderboard::V2_1, 0.9 / (1.0 + 1.0 + 1.4 + 0.4 + 0.25));
        let late = route(100.0, 0.0, &[ScenarioTimeout]);
        close(&late, Leaderboard::V1_0, 1.0);
        close(&late, Leaderboard::V2_1, 1.0 / 1.4);
    }

    #[test]
    fn the_score_is_a_mean_of_products() {
        let routes = [route(100.0, 0.0, &[Infraction::Vehicle]), route(50.0, 0.0, &[])];
        let s = driving_score(&routes, Leaderboard::V1_0).unwrap();
        assert!((s.score - 55.0).abs() < 1e-12, "{s:?}");
        assert!((s.completion_pct - 75.0).abs() < 1e-12 && (s.penalty - 0.8).abs() < 1e-12);
        assert!(matches!(driving_score(&[], Leaderboard::V2_1), Err(Error::Empty { .. })));
        let bad = [route(f64::NAN, 0.0, &[])];
        assert!(matches!(driving_score(&bad, Leaderboard::V2_1), Err(Error::OutOfRange { .. })));
    }

    #[test]
    fn infractions_are_summed_before_they_are_divided() {
        let mut short = route(100.0, 0.0, &[Infraction::Static]);
        short.driven_km = 0.1;
        let routes = [short, RouteResult { driven_km: 1.9, ..route(100.0, 0.0, &[]) }];
        assert_eq!(infractions_per_km(&routes, None), Ok(0.5));
        assert_eq!(infractions_per_km(&routes, Some(Infraction::Stop)), Ok(0.0));
        short.driven_km = 0.0;
        assert!(matches!(infractions_per_km(&[short], None), Err(Error::Undefined { .. })));
    }

    #[test]
    fn nocrash_at_the_limit() {
        assert_eq!(nocrash_time_limit_s(1.0), Ok(740.0));
        assert_eq!(nocrash_success(1.0, 740.0, true, 0), Ok(true));
        assert_eq!(nocrash_success(1.0, 740.1, true, 0), Ok(false));
        assert_eq!(nocrash_success(1.0, 700.0, true, 1), Ok(false));
        assert_eq!(nocrash_success(1.0, 700.0, false, 0), Ok(false));
        assert!(nocrash_success(0.0, 700.0, true, 0).is_err());
        assert!(nocrash_success(1.0, f64::NAN, true, 0).is_err());
        assert_eq!(route_completion_pct(120.0, 100.0), Ok(100.0));
        assert!(route_completion_pct(f64::NAN, 100.0).is_err());
    }
}
