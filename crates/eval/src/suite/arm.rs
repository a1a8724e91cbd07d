//! An arm: who drives.

use serde::{Deserialize, Serialize};

/// What a network's arm makes of its prediction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// The regression head as it is.
    Off,
    /// The middle of the most probable class, whatever the regression says.
    Classification,
    /// The paper's rule.
    Paper,
    /// The calibrated correction.
    Calibrated,
    /// The expert's steer wherever the network is as unsure as calls for correction, else the
    /// regression: no driver, but the bound on what any correction with this trigger can reach.
    Oracle,
}

impl Mode {
    const NAMES: [(&'static str, Self); 5] = [
        ("off", Self::Off),
        ("classification", Self::Classification),
        ("paper", Self::Paper),
        ("calibrated", Self::Calibrated),
        ("oracle", Self::Oracle),
    ];

    fn of(name: &str) -> Option<Self> {
        Self::NAMES.into_iter().find(|(n, _)| *n == name).map(|(_, mode)| mode)
    }
}

/// Who drives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Driver {
    /// The world's own expert, which needs no camera.
    Expert,
    /// A network.
    Network {
        /// What is made of its prediction.
        mode: Mode,
        /// Its pack; without, that of the command line.
        pack: Option<String>,
    },
}

/// Who drives, under which name and configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Arm {
    /// Name in tables.
    pub name: String,
    /// Who.
    pub driver: Driver,
    /// Configuration file; without, that of the command line.
    pub config: Option<String>,
}

/// A text that is no arm.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "arm {got:?}: expected [NAME=]expert, [NAME=]MODE[:PACK][@CONFIG.toml] or [NAME=]PACK, with \
     MODE one of off, classification, paper, calibrated, oracle"
)]
pub struct ArmError {
    /// The text.
    pub got: String,
}

impl Arm {
    /// The arm that others are compared with.
    pub const BASELINE: &'static str = "off";

    /// From `[NAME=]expert`, `[NAME=]MODE[:PACK][@CONFIG.toml]` or `[NAME=]PACK`. A pack alone is
    /// driven with the calibrated correction.
    ///
    /// # Errors
    /// [`ArmError`] if a part is empty or the name cannot stand in a table.
    ///
    /// ```
    /// use caril_eval::suite::{Arm, Driver, Mode};
    /// let arm = Arm::parse("slow=calibrated:weights/mine@slow.toml")?;
    /// assert_eq!(arm.name, "slow");
    /// assert_eq!(arm.config.as_deref(), Some("slow.toml"));
    /// let pack = Some("weights/mine".to_owned());
    /// assert_eq!(arm.driver, Driver::Network { mode: Mode::Calibrated, pack });
    /// # Ok::<(), caril_eval::suite::ArmError>(())
    /// ```
    pub fn parse(text: &str) -> Result<Self, ArmError> {
        let wrong = || ArmError { got: text.to_owned() };
        let filled = |part: &str| if part.is_empty() { Err(wrong()) } else { Ok(part.to_owned()) };
        let (name, rest) = match text.split_once('=') {
            Some((name, rest)) => (filled(name)?, rest),
            None => (filled(text)?, text),
        };
        let (what, config) = match rest.split_once('@') {
            Some((what, config)) => (what, Some(filled(config)?)),
            None => (rest, None),
        };
        let (head, pack) = match what.split_once(':') {
            Some((head, pack)) => (head, Some(filled(pack)?)),
            None => (what, None),
        };
        let driver = match (head, Mode::of(head)) {
            ("expert", _) if pack.is_none() && config.is_none() => Driver::Expert,
            (_, Some(mode)) => Driver::Network { mode, pack },
            ("expert" | "", None) => return Err(wrong()),
            (_, None) if pack.is_some() => return Err(wrong()),
            (_, None) => Driver::Network { mode: Mode::Calibrated, pack: Some(filled(head)?) },
        };
        if name.chars().any(|c| c.is_control() || c == ',' || c == '"') {
            return Err(wrong());
        }
        Ok(Self { name, driver, config })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arms_are_parsed() {
        let of = |text: &str| Arm::parse(text).map(|a| (a.name, a.driver, a.config));
        let network =
            |mode, pack: Option<&str>| Driver::Network { mode, pack: pack.map(str::to_owned) };
        assert_eq!(of("expert").unwrap().1, Driver::Expert);
        assert_eq!(of("off").unwrap(), ("off".into(), network(Mode::Off, None), None));
        let mine = of("weights/mine").unwrap();
        assert_eq!(mine.1, network(Mode::Calibrated, Some("weights/mine")));
        assert_eq!(of("new=paper:p").unwrap().1, network(Mode::Paper, Some("p")));
        let slow = of("slow=calibrated@a/b.toml").unwrap();
        assert_eq!(slow.2.as_deref(), Some("a/b.toml"));
        for bad in ["", "=off", "off:", "x=", "off@", "expert:p", "some:p", "a,b=off", "@x"] {
            assert!(Arm::parse(bad).is_err(), "{bad}");
        }
    }
}
