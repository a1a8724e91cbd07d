//! The weather, faults and surroundings that `caril collect` goes through, episode by episode.

use caril_sim::{CameraFault, FaultSpec, Weather};

use super::CollectArgs;
use crate::exit::usage;
use crate::scenario;

/// What the episodes' pictures are taken under.
#[derive(Debug)]
pub struct Conditions {
    /// Empty: random.
    weathers: Vec<Weather>,
    /// Of every `--fault`, what is taken in turn.
    faults: Vec<Vec<Option<FaultSpec>>>,
    /// Seeds of the surroundings; empty: random.
    appearances: Vec<u64>,
}

/// What is not random of one episode.
#[derive(Debug)]
pub struct Episode {
    pub weather: Option<Weather>,
    pub faults: Vec<FaultSpec>,
    pub appearance: Option<u64>,
}

impl Conditions {
    /// Of the command line's lists.
    ///
    /// # Errors
    /// If something in a list is not known.
    pub fn of(args: &CollectArgs) -> anyhow::Result<Self> {
        let weathers = match args.weather.as_str() {
            "random" => Vec::new(),
            names => names.split(',').map(scenario::weather).collect::<anyhow::Result<_>>()?,
        };
        let list = |list: &String| list.split(',').map(fault).collect::<anyhow::Result<Vec<_>>>();
        let faults = args.faults.iter().map(list).collect::<anyhow::Result<_>>()?;
        let seed = |seed: &str| {
            seed.parse().map_err(|_| {
                usage(format!("--appearance must be random or numbers, found {seed:?}"))
            })
        };
        let appearances = match args.appearance.as_str() {
            "random" => Vec::new(),
            seeds => seeds.split(',').map(seed).collect::<anyhow::Result<_>>()?,
        };
        Ok(Self { weathers, faults, appearances })
    }

    /// Every combination in turn, the weather changing fastest.
    pub fn episode(&self, number: u64) -> Episode {
        let mut rest = number as usize;
        let mut next = |len: usize| {
            let len = len.max(1);
            let i = rest % len;
            rest /= len;
            i
        };
        let weather = self.weathers.get(next(self.weathers.len())).copied();
        let faults =
            self.faults.iter().filter_map(|l| l.get(next(l.len())).copied().flatten()).collect();
        let appearance = self.appearances.get(next(self.appearances.len())).copied();
        Episode { weather, faults, appearance }
    }
}

/// A fault of the pictures, or `none`.
fn fault(text: &str) -> anyhow::Result<Option<FaultSpec>> {
    if text.trim() == "none" {
        return Ok(None);
    }
    let spec = scenario::fault(text)?;
    // They say nothing of the picture, and a label would belong to another frame.
    if matches!(spec.fault, CameraFault::Drop | CameraFault::Delay | CameraFault::Duplicate) {
        return Err(usage(format!(
            "--fault {text}: frames that are lost, late or there twice are no pictures to learn from; `caril drive --fault` has them"
        )));
    }
    Ok(Some(spec))
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        args: CollectArgs,
    }

    fn conditions(more: &[&str]) -> anyhow::Result<Conditions> {
        let line = [&["collect", "--out", "x.mcap"], more].concat();
        Conditions::of(&Line::parse_from(line).args)
    }

    #[test]
    fn every_combination_comes_in_turn() {
        let c = conditions(&[
            "--weather=FoggyNoon,ClearNight",
            "--fault=blur:0.3,none,blur:1",
            "--fault=noise:0.2",
            "--appearance=7,8",
        ])
        .unwrap();
        let said = |number| {
            let e = c.episode(number);
            let faults: Vec<String> =
                e.faults.iter().map(|f| format!("{}:{}", f.fault.name(), f.severity)).collect();
            format!("{} {} {:?}", e.weather.unwrap().name, faults.join("+"), e.appearance.unwrap())
        };
        assert_eq!(said(0), "FoggyNoon blur:0.3+noise:0.2 7");
        assert_eq!(said(1), "ClearNight blur:0.3+noise:0.2 7");
        assert_eq!(said(2), "FoggyNoon noise:0.2 7");
        assert_eq!(said(11), "ClearNight blur:1+noise:0.2 8");
        assert_eq!(said(12), said(0));
        let all: std::collections::BTreeSet<String> = (0..12).map(said).collect();
        assert_eq!(all.len(), 12);
        // After an interruption, far on.
        assert_eq!(said(12_000_001), said(1));
    }

    #[test]
    fn without_lists_nothing_but_the_weather_is_fixed() {
        let e = conditions(&[]).unwrap().episode(3);
        assert_eq!(e.weather.map(|w| w.name), Some("ClearNoon"));
        assert!(e.faults.is_empty() && e.appearance.is_none());
        assert!(conditions(&["--weather=random"]).unwrap().episode(3).weather.is_none());
    }

    #[test]
    fn what_cannot_be_is_named() {
        for (bad, expected) in [
            ("--fault=blur:0.3,snow", "expected one of"),
            ("--fault=blur:7", "from 0 to 1"),
            ("--fault=delay:0.5", "no pictures to learn from"),
            ("--weather=ClearNoon,Hail", "no weather Hail"),
            ("--appearance=1,x", "found \"x\""),
        ] {
            let error = conditions(&[bad]).unwrap_err().to_string();
            assert!(error.contains(expected), "{bad}: {error}");
        }
    }
}
