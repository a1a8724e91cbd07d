//! What is believed of each format: names, units, steering, pictures. docs/import.md has sources.

use caril_core::CameraSpec;

use crate::columns::{Columns, Field};
use crate::row::Table;
use crate::source::{Source, base};
use crate::table::{Spec, Time};
use crate::{ImportError, ImportOptions, donkey, table};

/// Wheel angle at steer 1 in a recording of ours: CARLA's.
const LOCK_DEG: f64 = 70.0;
/// The same of Udacity's car.
const UDACITY_LOCK_DEG: f64 = 25.0;
/// The same of a donkey car. No tub tells it; this is usual for radio-controlled cars.
const DONKEY_LOCK_DEG: f64 = 25.0;
/// Tables are read whole.
const TABLE_LIMIT: u64 = 1 << 30;

/// Foreign formats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// The paper's: control_commands.csv and front_rgb/.
    Caril,
    /// Udacity's simulator: driving_log.csv and IMG/.
    Udacity,
    /// donkeycar's tub, version 2: manifest.json, catalogs and images/.
    Donkey,
    /// Any table with a picture and a steer in each row.
    Csv,
}

impl Format {
    /// All formats.
    pub const ALL: [Self; 4] = [Self::Caril, Self::Udacity, Self::Donkey, Self::Csv];

    /// Its name on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Caril => "caril",
            Self::Udacity => "udacity",
            Self::Donkey => "donkey",
            Self::Csv => "csv",
        }
    }

    /// From its name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|f| f.name() == name)
    }

    /// CARLA steer of the format's steer 1.
    pub fn steer_scale(self) -> f64 {
        match self {
            Self::Caril | Self::Csv => 1.0,
            Self::Udacity => UDACITY_LOCK_DEG / LOCK_DEG,
            Self::Donkey => DONKEY_LOCK_DEG / LOCK_DEG,
        }
    }

    /// Frames per second where a recording does not tell the time. A tub always does.
    pub const fn rate_hz(self) -> f64 {
        10.0
    }

    /// Whether its camera is known; if not, the paper's mount and field of view are assumed.
    pub const fn knows_camera(self) -> bool {
        matches!(self, Self::Caril)
    }

    /// The camera, but for the size of its pictures.
    pub const fn camera(self) -> CameraSpec {
        CameraSpec::PAPER
    }

    /// Where pictures lie, relative to the table.
    pub(crate) const fn folders(self) -> &'static [&'static str] {
        match self {
            Self::Caril => &["front_rgb"],
            Self::Udacity => &["IMG"],
            Self::Donkey => &["images"],
            Self::Csv => &["images", "IMG", "img", "frames"],
        }
    }

    /// Whether pictures' names tell the time, so that a name alone finds its picture.
    pub(crate) const fn unique_names(self) -> bool {
        matches!(self, Self::Caril | Self::Udacity)
    }

    const fn table_name(self) -> &'static str {
        match self {
            Self::Caril => "control_commands.csv",
            Self::Udacity => "driving_log.csv",
            Self::Donkey => "manifest.json",
            Self::Csv => "one .csv file",
        }
    }

    fn owns(self, key: &str) -> bool {
        match self {
            Self::Csv => base(key).to_lowercase().ends_with(".csv"),
            _ => base(key).eq_ignore_ascii_case(self.table_name()),
        }
    }
}

/// Which of Udacity's three pictures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[allow(missing_docs)]
pub enum Side {
    Left,
    #[default]
    Center,
    Right,
}

/// Unit of a CSV's speed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[allow(missing_docs)]
pub enum SpeedUnit {
    #[default]
    Mps,
    Kmh,
    Mph,
}

impl SpeedUnit {
    /// Metres per second of one.
    pub const fn mps(self) -> f64 {
        match self {
            Self::Mps => 1.0,
            Self::Kmh => 1.0 / 3.6,
            Self::Mph => 0.447_04,
        }
    }
}

/// Unit of a CSV's time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[allow(missing_docs)]
pub enum TimeUnit {
    #[default]
    Seconds,
    Milliseconds,
    Microseconds,
    Nanoseconds,
}

impl TimeUnit {
    /// Nanoseconds of one.
    pub const fn ns(self) -> i64 {
        match self {
            Self::Seconds => 1_000_000_000,
            Self::Milliseconds => 1_000_000,
            Self::Microseconds => 1000,
            Self::Nanoseconds => 1,
        }
    }
}

/// Finds the table: by the wanted format, or by what is there.
pub(crate) fn locate(
    source: &Source,
    wanted: Option<Format>,
) -> Result<(Format, String), ImportError> {
    let formats: Vec<Format> = wanted.map_or_else(|| Format::ALL.to_vec(), |f| vec![f]);
    let fail = |got: String| ImportError::NoTable {
        expected: formats.iter().map(|f| f.table_name()).collect::<Vec<_>>().join(" or "),
        got,
        path: source.path().to_path_buf(),
    };
    if let Some(key) = &source.table {
        let format = formats.iter().find(|f| f.owns(key)).ok_or_else(|| fail(key.clone()))?;
        return Ok((*format, key.clone()));
    }
    for format in &formats {
        let depth = |key: &str| key.matches('/').count();
        let all: Vec<&str> = source.keys().filter(|key| format.owns(key)).collect();
        let top = all.iter().map(|key| depth(key)).min().unwrap_or(0);
        let tables: Vec<&str> = all.into_iter().filter(|key| depth(key) == top).collect();
        match *tables.as_slice() {
            [] => {}
            [table] => return Ok((*format, table.to_owned())),
            _ => {
                let named: Vec<&str> = tables.iter().copied().take(5).collect();
                let (n, named) = (tables.len(), named.join(", "));
                return Err(fail(format!("{n} of them ({named}): name one folder or table")));
            }
        }
    }
    Err(fail("none of them".into()))
}

/// Reads the table.
pub(crate) fn read(
    source: &Source,
    format: Format,
    key: &str,
    options: &ImportOptions,
) -> Result<Table, ImportError> {
    let steer_scale = options.steer_scale.unwrap_or_else(|| format.steer_scale());
    if format == Format::Donkey {
        return donkey::read(source, key, steer_scale);
    }
    let path = source.path().join(key);
    let bytes =
        source.read(key, TABLE_LIMIT).map_err(ImportError::io("reading the table", &path))?;
    let text = String::from_utf8_lossy(&bytes);
    let first = table::first_line(&text, key)?;
    let first: Vec<&str> = first.iter().map(String::as_str).collect();
    let failed =
        |expected| ImportError::Column { expected, got: first.join(", "), path: key.to_owned() };
    let unit = options.speed_unit.unwrap_or(match format {
        Format::Caril => SpeedUnit::Kmh,
        Format::Udacity => SpeedUnit::Mph,
        _ => SpeedUnit::Mps,
    });
    let (columns, time) = match (&options.columns, format) {
        (Some(columns), _) => {
            (columns.find(&first).map_err(failed)?, Time::Column(options.time_unit.ns()))
        }
        (None, Format::Caril) => (caril().find(&first).map_err(failed)?, Time::CarilName),
        (None, Format::Udacity) => {
            (udacity(&first, options.side).find(&first).map_err(failed)?, Time::UdacityName)
        }
        (None, _) => {
            (Columns::guess(&first).map_err(failed)?, Time::Column(options.time_unit.ns()))
        }
    };
    let spec = Spec {
        columns,
        steer_scale,
        // Beyond it the recording has another unit than its format: degrees, for example.
        steer_max: if format == Format::Csv { f64::INFINITY } else { 1.0 },
        speed_mps: unit.mps(),
        time,
    };
    Ok(table::read(&text, &spec))
}

fn caril() -> Columns {
    Columns::new(&[
        (Field::Image, "Image_Fname"),
        (Field::Steer, "Steering"),
        (Field::Throttle, "Throttle"),
        (Field::Brake, "Brake"),
        (Field::Speed, "Speed"),
        (Field::X, "Waypoint_X"),
        (Field::Y, "Waypoint_Y"),
        (Field::Z, "Waypoint_Z"),
    ])
}

/// With a header by its names, without one by the order in which the simulator writes.
fn udacity(first: &[&str], side: Side) -> Columns {
    let header = first.iter().any(|name| name.eq_ignore_ascii_case("steering"));
    let pick = |name: &'static str, number: &'static str| if header { name } else { number };
    let image = match side {
        Side::Center => pick("center", "1"),
        Side::Left => pick("left", "2"),
        Side::Right => pick("right", "3"),
    };
    Columns::new(&[
        (Field::Image, image),
        (Field::Steer, pick("steering", "4")),
        (Field::Throttle, pick("throttle", "5")),
        (Field::Brake, pick("brake", "6")),
        (Field::Speed, pick("speed", "7")),
    ])
}
