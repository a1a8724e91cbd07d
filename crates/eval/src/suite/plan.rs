//! From a suite to its episodes, in one fixed order.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::arm::Arm;
use super::data::{Cells, Ends, RouteRule, Suite, SuiteError};

/// One drive: everything that decides it, but for the pack behind the arm's name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Episode {
    /// The suite.
    pub suite: String,
    /// Group of tables.
    pub group: String,
    /// Cell of the suite.
    pub cell: String,
    /// Trial of the cell, from 0.
    pub trial: u32,
    /// Name of the arm.
    pub arm: String,
    /// Seed of route, traffic, faults and random numbers.
    pub seed: u64,
    /// The map.
    pub map: String,
    /// The route.
    pub route: RouteRule,
    /// Weather by name.
    pub weather: String,
    /// Faults of the camera, each `NAME:SEVERITY`.
    pub faults: Vec<String>,
    /// Other cars.
    pub traffic: u32,
    /// Least and greatest number of frames by which commands come late.
    pub delay: (u32, u32),
    /// Seed of textures, colours and surroundings.
    pub appearance: u64,
    /// When it ends.
    pub ends: Ends,
}

impl Episode {
    /// Its name: `suite/cell/trial@arm`.
    pub fn id(&self) -> String {
        format!("{}@{}", self.pair(), self.arm)
    }

    /// What it shares with the same drive of the other arms: `suite/cell/trial`.
    pub fn pair(&self) -> String {
        format!("{}/{}/{}", self.suite, self.cell, self.trial)
    }

    /// What it shares with other drives on the very same route: a cluster of the bootstrap.
    pub fn route_id(&self) -> u64 {
        let RouteRule { length_m: (low, high), turns } = self.route;
        fingerprint(&format!("{}/{}/{low}/{high}/{turns:?}", self.map, self.seed))
    }
}

/// FNV-1a: small, fixed for ever, and no secret.
fn fingerprint(text: &str) -> u64 {
    text.bytes().fold(0xCBF2_9CE4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3)
    })
}

/// Part `index` of `count`, counted from 1 as schedulers' job arrays are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shard {
    index: u32,
    count: u32,
}

impl Shard {
    /// All of it.
    pub const WHOLE: Self = Self { index: 1, count: 1 };

    /// From `I/N`, 1 ≤ I ≤ N. `None` if it is no such thing.
    pub fn parse(text: &str) -> Option<Self> {
        let (index, count) = text.split_once('/')?;
        let (index, count) = (index.trim().parse().ok()?, count.trim().parse().ok()?);
        (1..=count).contains(&index).then_some(Self { index, count })
    }

    /// Whether the pair with this number in the plan belongs to the shard.
    const fn has(self, pair: usize) -> bool {
        pair as u64 % self.count as u64 == self.index as u64 - 1
    }
}

/// All episodes: trial by trial, in each cell by cell, in each arm by arm. So an interrupted run has
/// whole trials of every cell, and the arms of one pair follow each other and share a shard.
///
/// # Errors
/// [`SuiteError`] if the suite makes no sense.
pub fn plan(
    suite: &Suite,
    arms: &[Arm],
    trials: u32,
    shard: Shard,
) -> Result<Vec<Episode>, SuiteError> {
    suite.validate()?;
    let mut cells = Vec::new();
    for product in &suite.cells {
        expand(suite, product, &mut cells)?;
    }
    let mut names = BTreeSet::new();
    if let Some(twice) = cells.iter().find(|c| !names.insert(c.cell.clone())) {
        return Err(SuiteError::Twice { suite: suite.name.clone(), cell: twice.cell.clone() });
    }
    let mut episodes = Vec::new();
    for trial in 0..trials {
        for (number, (cell, maps)) in cells.iter().map(|c| (&c.episode, &c.maps)).enumerate() {
            let pair = trial as usize * cells.len() + number;
            if !shard.has(pair) {
                continue;
            }
            let Some(map) = maps.get(trial as usize % maps.len().max(1)) else { continue };
            episodes.extend(arms.iter().map(|arm| Episode {
                trial,
                arm: arm.name.clone(),
                seed: suite.seed + u64::from(trial),
                map: map.clone(),
                ..cell.clone()
            }));
        }
    }
    Ok(episodes)
}

/// A cell: an episode but for trial, arm, seed and map.
struct Cell {
    cell: String,
    maps: Vec<String>,
    episode: Episode,
}

fn expand(suite: &Suite, from: &Cells, cells: &mut Vec<Cell>) -> Result<(), SuiteError> {
    for weather in &from.weather {
        for faults in &from.faults {
            for &traffic in &from.traffic {
                for delay in &from.delay {
                    let mut name = vec![from.name.clone()];
                    let mut part = |many: bool, text: String| name.extend(many.then_some(text));
                    part(from.weather.len() > 1, weather.clone());
                    part(from.faults.len() > 1, faults.clone());
                    part(from.traffic.len() > 1, format!("{traffic} cars"));
                    part(from.delay.len() > 1, format!("late {delay}"));
                    let cell = name.join(" ");
                    let Some(frames) = frames(delay) else {
                        let field = format!("cells {}: delay", from.name);
                        return Err(suite.wrong(field, "N or LOW-HIGH, at most 20 frames", delay));
                    };
                    let faults = faults.split('+').map(|f| f.trim().to_owned());
                    let episode = Episode {
                        suite: suite.name.clone(),
                        group: from.name.clone(),
                        cell: cell.clone(),
                        trial: 0,
                        arm: String::new(),
                        seed: 0,
                        map: String::new(),
                        route: from.route,
                        weather: weather.clone(),
                        faults: faults.filter(|f| f != "none").collect(),
                        traffic,
                        delay: frames,
                        appearance: from.appearance,
                        ends: suite.ends,
                    };
                    cells.push(Cell { cell, maps: from.maps.clone(), episode });
                }
            }
        }
    }
    Ok(())
}

/// `N` or `LOW-HIGH`.
fn frames(text: &str) -> Option<(u32, u32)> {
    let (low, high) = text.split_once('-').unwrap_or((text, text));
    let (low, high) = (low.trim().parse().ok()?, high.trim().parse().ok()?);
    (low <= high && high <= 20).then_some((low, high))
}

#[cfg(test)]
mod tests;
