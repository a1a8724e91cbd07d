//! A row of a foreign recording, good or bad.

use caril_core::NavCommand;
use serde::Serialize;

/// What is wrong with a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum BadKind {
    /// Too few fields, or no JSON.
    Malformed,
    /// A number is missing, NaN, infinite or no number.
    NotANumber,
    /// A number is beyond what its unit allows.
    OutOfRange,
    /// Not the driver's label: the car drove itself.
    NotDriven,
    /// The picture is not there.
    MissingPicture,
    /// The picture cannot be read or decoded to its end.
    BrokenPicture,
    /// The picture has another size than the rest.
    WrongSize,
    /// Its time is not after the row's before, or jumps ahead of the row's after.
    TimeBack,
}

impl BadKind {
    /// Its name, as in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::NotANumber => "not_a_number",
            Self::OutOfRange => "out_of_range",
            Self::NotDriven => "not_driven",
            Self::MissingPicture => "missing_picture",
            Self::BrokenPicture => "broken_picture",
            Self::WrongSize => "wrong_size",
            Self::TimeBack => "time_back",
        }
    }
}

/// A row that was left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BadRow {
    /// Line of the table, from 1; of all catalogs in a tub.
    pub row: u64,
    /// What is wrong.
    pub kind: BadKind,
    /// In words.
    pub why: String,
    /// The picture as the row names it; empty if it does not.
    pub picture: String,
}

/// A row whose numbers are good.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Row {
    /// As [`BadRow::row`]; rises from row to row.
    pub row: u64,
    /// The picture as the row names it.
    pub picture: String,
    /// Any clock's nanoseconds; in a table all rows have it or none has.
    pub time_ns: Option<i64>,
    /// Number of its drive, where the format tells drives apart.
    pub drive: u64,
    /// CARLA scale.
    pub steer: f32,
    /// [0, 1].
    pub throttle: f32,
    /// [0, 1].
    pub brake: f32,
    /// Where the recording has it, in all rows or in none.
    pub speed_mps: Option<f32>,
    pub nav: NavCommand,
    /// CARLA axes, metres.
    pub position: Option<[f64; 3]>,
}

impl Row {
    pub fn bad(&self, kind: BadKind, why: impl Into<String>) -> BadRow {
        BadRow { row: self.row, kind, why: why.into(), picture: self.picture.clone() }
    }
}

/// A whole table, in its order.
#[derive(Debug, Default)]
pub(crate) struct Table {
    pub rows: Vec<Result<Row, BadRow>>,
    /// Rows that their owner marked as deleted.
    pub deleted: u64,
}
