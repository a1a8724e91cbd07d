//! `caril eval trajectory`: how far is a driven path from a reference?

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use caril_eval::trajectory::{Point, SPACING_M, Similarity, arc_length, resample, similarity};
use caril_eval::trajectory::{area_between, cross_track, curve_length_measure};
use caril_eval::trajectory::{discrete_frechet, dtw};
use clap::Args;
use serde::Serialize;

use crate::exit::{Exit, usage};
use crate::output;

/// Discrete Fréchet distance, dynamic time warping, area between, curve-length measure and
/// cross-track error of a driven path against a reference.
#[derive(Debug, Args)]
#[command(
    after_help = "A curve is a CSV file of x and y in metres: columns x and y (or x_m and y_m, Waypoint_X and Waypoint_Y) where it has a header, else the first two. Both curves are resampled to equal spacing first, so that a slow car does not count more than a fast one; --spacing 0 takes the points as they are.\n\nExample:\n  caril eval trajectory expert.csv driven.csv --json"
)]
pub struct TrajectoryArgs {
    /// Reference path
    #[arg(value_name = "A.csv")]
    reference: PathBuf,
    /// Driven path
    #[arg(value_name = "B.csv")]
    driven: PathBuf,
    /// Distance between the points that are compared, metres; 0 takes them as they are
    #[arg(long, default_value_t = SPACING_M, value_name = "M", allow_negative_numbers = true)]
    spacing: f64,
    /// Names of the two columns, if they are others
    #[arg(long, value_name = "X,Y")]
    columns: Option<String>,
    /// One JSON object on stdout
    #[arg(long)]
    json: bool,
}

/// Lengths in metres, the area in m²; `curve_length` has no unit and is null where its formula
/// has no value.
#[derive(Serialize)]
struct Found {
    frechet: f64,
    dtw: f64,
    area: f64,
    curve_length: Option<f64>,
    cross_track_mean: f64,
    cross_track_rmse: f64,
    cross_track_p95: f64,
    cross_track_max: f64,
    cross_track_bias: f64,
    spacing: f64,
    length_reference: f64,
    length_driven: f64,
    points_reference: usize,
    points_driven: usize,
}

/// Runs the command.
///
/// # Errors
/// If a file is no curve or a measure is undefined for the two.
pub fn run(args: &TrajectoryArgs) -> anyhow::Result<Exit> {
    if !(args.spacing.is_finite() && args.spacing >= 0.0) {
        return Err(usage(format!("--spacing {}: expected metres from 0 on", args.spacing)));
    }
    let names = match args.columns.as_deref().map(|c| c.split(',').collect::<Vec<_>>()) {
        None => None,
        Some(names) => match names.as_slice() {
            [x, y] => Some([x.trim().to_owned(), y.trim().to_owned()]),
            _ => return Err(usage("--columns: expected two names, X,Y")),
        },
    };
    let reference = read_curve(&args.reference, names.as_ref())?;
    let driven = read_curve(&args.driven, names.as_ref())?;
    let found = measure(&reference, &driven, args.spacing).with_context(|| {
        format!("cannot compare {} with {}", args.driven.display(), args.reference.display())
    })?;
    if args.json {
        output::print_json(&found)?;
    } else {
        let value = serde_json::to_value(&found)?;
        let line = |(name, v): (&String, &serde_json::Value)| match v.as_f64() {
            Some(v) => format!("{name:18} {v:12.4}\n"),
            None => format!("{name:18} undefined\n"),
        };
        output::print_text(&value.as_object().into_iter().flatten().map(line).collect::<String>())?;
    }
    Ok(Exit::Ok)
}

fn measure(reference: &[Point], driven: &[Point], spacing: f64) -> anyhow::Result<Found> {
    let (s, points) = if spacing > 0.0 {
        let points = |curve: &[Point]| Ok::<_, caril_eval::Error>(resample(curve, spacing)?.len());
        (similarity(reference, driven, spacing)?, [points(reference)?, points(driven)?])
    } else {
        let s = Similarity {
            frechet_m: discrete_frechet(reference, driven)?,
            dtw_m: dtw(reference, driven)?,
            area_m2: area_between(reference, driven)?,
            curve_length: match curve_length_measure(reference, driven) {
                Err(caril_eval::Error::Undefined { .. }) => None,
                other => Some(other?),
            },
            cross_track: cross_track(reference, driven)?,
        };
        (s, [reference.len(), driven.len()])
    };
    let c = s.cross_track;
    let [points_reference, points_driven] = points;
    Ok(Found {
        frechet: s.frechet_m,
        dtw: s.dtw_m,
        area: s.area_m2,
        curve_length: s.curve_length,
        cross_track_mean: c.mean_m,
        cross_track_rmse: c.rmse_m,
        cross_track_p95: c.p95_m,
        cross_track_max: c.max_m,
        cross_track_bias: c.bias_m,
        spacing,
        length_reference: arc_length(reference)?,
        length_driven: arc_length(driven)?,
        points_reference,
        points_driven,
    })
}

/// Names of the columns that are looked for, if none are given.
const COLUMNS: [[&str; 2]; 3] = [["x", "y"], ["x_m", "y_m"], ["waypoint_x", "waypoint_y"]];

fn read_curve(path: &Path, names: Option<&[String; 2]>) -> anyhow::Result<Vec<Point>> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("cannot read the curve {}", path.display()))?;
    parse_curve(&text, names).with_context(|| format!("no curve in {}", path.display()))
}

fn parse_curve(text: &str, names: Option<&[String; 2]>) -> anyhow::Result<Vec<Point>> {
    let mut lines = text
        .trim_start_matches('\u{feff}')
        .lines()
        .enumerate()
        .filter(|(_, l)| !l.trim().is_empty() && !l.trim_start().starts_with('#'))
        .peekable();
    let Some((_, first)) = lines.peek() else { bail!("the file is empty") };
    let separator = [',', ';', '\t'].into_iter().find(|s| first.contains(*s)).unwrap_or(' ');
    let cells = |line: &str| -> Vec<String> {
        let trim = |c: &str| c.trim().trim_matches('"').to_owned();
        match separator {
            ' ' => line.split_whitespace().map(trim).collect(),
            s => line.split(s).map(trim).collect(),
        }
    };
    let head = cells(first);
    let has_header = head.iter().take(2).any(|c| c.parse::<f64>().is_err());
    let at = |name: &str| head.iter().position(|c| c.eq_ignore_ascii_case(name));
    let columns = match names {
        Some([x, y]) => at(x).zip(at(y)),
        None if has_header => COLUMNS.iter().find_map(|[x, y]| at(x).zip(at(y))),
        None => Some((0, 1)),
    };
    let Some((x, y)) = columns else {
        let wanted = names.map_or("x and y".to_owned(), |[x, y]| format!("{x} and {y}"));
        bail!("expected the columns {wanted}, found {}", head.join(", "));
    };
    if has_header {
        lines.next();
    }
    let mut curve = Vec::new();
    for (number, line) in lines {
        let cells = cells(line);
        let value = |column: usize| -> anyhow::Result<f64> {
            let cell = cells.get(column).map_or("", String::as_str);
            let value = cell.parse().ok().filter(|v: &f64| v.is_finite());
            value.with_context(|| format!("line {}: expected a number, found {cell:?}", number + 1))
        };
        curve.push([value(x)?, value(y)?]);
    }
    if curve.len() < 2 {
        bail!("expected two points at least, found {}", curve.len());
    }
    Ok(curve)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn curves_with_and_without_header() {
        let expected = [[1.0, 2.0], [3.0, -4.5]];
        for text in [
            "1,2\n3,-4.5\n",
            "x,y\n1,2\n\n3,-4.5",
            "\u{feff}t;Y;X\n0;2;1\n1;-4.5;3\n",
            "# made by hand\n1 2 9\n3 -4.5 9\n",
            "Image,Waypoint_X,Waypoint_Y\na.png,1,2\nb.png,3,-4.5\n",
        ] {
            assert_eq!(parse_curve(text, None).unwrap(), expected, "{text}");
        }
        let names = ["east".to_owned(), "south".to_owned()];
        assert_eq!(parse_curve("south,east\n2,1\n-4.5,3", Some(&names)).unwrap(), expected);
    }

    #[test]
    fn what_is_no_curve_is_told() {
        let told = |text: &str| format!("{:#}", parse_curve(text, None).unwrap_err());
        assert!(told("").contains("empty"));
        assert!(told("1,2\n").contains("two points"));
        assert!(told("a,b\n1,2\n3,4").contains("found a, b"));
        assert!(told("1,2\n3,nan\n").contains("line 2"));
        assert!(told("1,2\n3\n").contains("line 2"));
    }

    #[test]
    fn a_parallel_line_is_its_distance_away() {
        let line = |y: f64| (0..11).map(|i| [f64::from(i) + 1.0, y]).collect::<Vec<_>>();
        for spacing in [0.0, 0.5] {
            let f = measure(&line(5.0), &line(7.0), spacing).unwrap();
            assert!((f.frechet - 2.0).abs() < 1e-12 && (f.area - 20.0).abs() < 1e-9);
            assert!((f.cross_track_mean - 2.0).abs() < 1e-12 && f.cross_track_bias > 0.0);
            assert_eq!(f.points_driven, if spacing > 0.0 { 21 } else { 11 });
        }
    }
}
