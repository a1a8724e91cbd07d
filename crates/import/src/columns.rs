//! Which column of a table is what: given by name or number, or guessed.

use std::collections::BTreeMap;
use std::str::FromStr;

/// What a column can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Field {
    Image,
    Steer,
    Throttle,
    Brake,
    Speed,
    Time,
    Command,
    X,
    Y,
    Z,
}

impl Field {
    const ALL: [Self; 10] = [
        Self::Image,
        Self::Steer,
        Self::Throttle,
        Self::Brake,
        Self::Speed,
        Self::Time,
        Self::Command,
        Self::X,
        Self::Y,
        Self::Z,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::Steer => "steer",
            Self::Throttle => "throttle",
            Self::Brake => "brake",
            Self::Speed => "speed",
            Self::Time => "time",
            Self::Command => "command",
            Self::X => "x",
            Self::Y => "y",
            Self::Z => "z",
        }
    }

    /// What people call such a column, in lower case.
    const fn usual(self) -> &'static [&'static str] {
        match self {
            Self::Image => &[
                "image",
                "img",
                "image_path",
                "image_file",
                "image_fname",
                "filename",
                "file",
                "frame",
                "path",
                "center",
            ],
            Self::Steer => &["steer", "steering", "steering_angle", "angle"],
            Self::Throttle => &["throttle", "gas"],
            Self::Brake => &["brake"],
            Self::Speed => &["speed", "speed_mps", "velocity"],
            Self::Time => &["time", "time_s", "timestamp"],
            Self::Command => &["command", "nav"],
            Self::X => &["x", "x_m"],
            Self::Y => &["y", "y_m"],
            Self::Z => &["z", "z_m"],
        }
    }
}

/// Columns by name in the header, or by number from 1. As text: `image=frame,steer=angle,speed=3`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Columns(BTreeMap<Field, String>);

impl FromStr for Columns {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut columns = BTreeMap::new();
        for pair in text.split(',') {
            let known = || Field::ALL.map(Field::name).join(", ");
            let (what, column) = pair
                .split_once('=')
                .map(|(what, column)| (what.trim(), column.trim()))
                .filter(|(_, column)| !column.is_empty())
                .ok_or_else(|| format!("expected WHAT=COLUMN, got {pair:?}"))?;
            let field = Field::ALL
                .into_iter()
                .find(|f| f.name() == what)
                .ok_or_else(|| format!("expected one of {}, got {what:?}", known()))?;
            if columns.insert(field, column.to_owned()).is_some() {
                return Err(format!("{what} is given twice"));
            }
        }
        for field in [Field::Image, Field::Steer] {
            if !columns.contains_key(&field) {
                return Err(format!("{} is missing", field.name()));
            }
        }
        Ok(Self(columns))
    }
}

impl std::fmt::Display for Columns {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let pairs: Vec<String> =
            self.0.iter().map(|(field, column)| format!("{}={column}", field.name())).collect();
        f.write_str(&pairs.join(","))
    }
}

/// Columns of one table by index, and whether its first line is a header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    pub index: BTreeMap<Field, usize>,
    pub header: bool,
}

impl Columns {
    pub(crate) fn new(pairs: &[(Field, &str)]) -> Self {
        Self(pairs.iter().map(|(field, column)| (*field, (*column).to_owned())).collect())
    }

    /// Finds the columns, given the table's first line.
    pub(crate) fn find(&self, first: &[&str]) -> Result<Found, String> {
        let number = |column: &str| column.parse::<usize>().ok().filter(|n| *n > 0);
        let mut index = BTreeMap::new();
        let mut named = false;
        for (field, column) in &self.0 {
            let i = match number(column) {
                Some(n) if n <= first.len() => n - 1,
                Some(_) => return Err(format!("column {column} for {}", field.name())),
                None => {
                    named = true;
                    first
                        .iter()
                        .position(|name| name == column)
                        .or_else(|| first.iter().position(|n| n.eq_ignore_ascii_case(column)))
                        .ok_or_else(|| format!("a column {column:?} for {}", field.name()))?
                }
            };
            index.insert(*field, i);
        }
        let steer = index.get(&Field::Steer).and_then(|i| first.get(*i));
        let header = named || steer.is_some_and(|text| text.parse::<f64>().is_err());
        Ok(Found { index, header })
    }

    /// Guesses from the usual names, or takes a table of two columns as picture and steer.
    pub(crate) fn guess(first: &[&str]) -> Result<Found, String> {
        let usual = |field: Field| {
            let name = |n: &&str| first.iter().position(|have| have.eq_ignore_ascii_case(n));
            field.usual().iter().find_map(name)
        };
        let index: BTreeMap<Field, usize> =
            Field::ALL.into_iter().filter_map(|f| Some((f, usual(f)?))).collect();
        if index.contains_key(&Field::Image) && index.contains_key(&Field::Steer) {
            return Ok(Found { index, header: true });
        }
        if let [_, steer] = first
            && steer.parse::<f64>().is_ok()
        {
            return Ok(Found {
                index: [(Field::Image, 0), (Field::Steer, 1)].into(),
                header: false,
            });
        }
        Err("columns that can be guessed (name them: --columns image=…,steer=…)".into())
    }
}
