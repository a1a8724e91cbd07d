//! Where a drive of its own begins in a recording of several, and under what it was driven.

use std::collections::BTreeMap;

/// Facts of one episode of a recording: those of the steps that follow. The header's are the first
/// episode's only.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize)]
pub struct Episode {
    /// Number, over all runs of the command that collected.
    pub number: u64,
    /// Map.
    pub map: String,
    /// Weather by its preset's name.
    pub weather: String,
    /// Faults of the camera, `NAME:SEVERITY`.
    pub faults: Vec<String>,
    /// Seed of the surroundings, if the plant is the embedded world.
    pub appearance: Option<u64>,
    /// Seed of route, start and noise.
    pub seed: u64,
}

impl Episode {
    /// As MCAP's metadata record: readable without decoding a message.
    pub(crate) fn facts(&self) -> BTreeMap<String, String> {
        let Self { number, map, weather, faults, appearance, seed } = self;
        let mut facts: BTreeMap<String, String> = [
            ("number", number.to_string()),
            ("map", map.clone()),
            ("weather", weather.clone()),
            ("faults", faults.join(" ")),
            ("seed", seed.to_string()),
        ]
        .map(|(key, value)| (key.to_owned(), value))
        .into();
        if let Some(appearance) = appearance {
            facts.insert("appearance".into(), appearance.to_string());
        }
        facts
    }

    /// What is missing or no number is as by default: it is no reason to lose the steps.
    pub(crate) fn from_facts(facts: &BTreeMap<String, String>) -> Self {
        let text = |key: &str| facts.get(key).cloned().unwrap_or_default();
        let number = |key: &str| facts.get(key)?.parse().ok();
        Self {
            number: number("number").unwrap_or_default(),
            map: text("map"),
            weather: text("weather"),
            faults: text("faults").split_whitespace().map(str::to_owned).collect(),
            appearance: number("appearance"),
            seed: number("seed").unwrap_or_default(),
        }
    }
}
