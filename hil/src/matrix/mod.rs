//! `caril-hil matrix`: every fault of docs/safety.md's table in every mode, run with the real
//! controller in the embedded world and compared with the table.

mod cell;
mod print;

use caril_control::Class;
use caril_core::{Config, Mode};
use clap::Args;
use serde::Serialize;

use crate::exit::Exit;
use crate::plant::WorldArgs;
pub use cell::{Cell, Outcome, Question, Stop};

/// Options of `matrix`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  caril-hil matrix\n  caril-hil matrix --at 6 --at 20 --json\n  caril-hil matrix --map valley_road --markdown\n\nExit code 3 if a cell is not as the table says."
)]
pub struct MatrixArgs {
    #[command(flatten)]
    world: WorldArgs,
    /// When the fault comes, seconds after the start: where the car then is (repeatable) [default: 8]
    #[arg(long, value_name = "S")]
    at: Vec<f64>,
    /// One JSON object on stdout
    #[arg(long, conflicts_with = "markdown")]
    json: bool,
    /// The table of docs/safety.md on stdout
    #[arg(long)]
    markdown: bool,
}

/// All cells of one place.
#[derive(Debug)]
pub struct Matrix {
    /// When the fault came, seconds after the start.
    pub at_s: f64,
    /// Every cell.
    pub cells: Vec<Cell>,
}

impl Matrix {
    fn wrong(&self) -> usize {
        self.cells.iter().filter(|c| !c.wrong.is_empty()).count()
    }
}

#[derive(Serialize)]
struct Output {
    map: String,
    cells: usize,
    wrong: usize,
    passed: bool,
    places: Vec<print::PlaceJson>,
}

/// Runs the command.
///
/// # Errors
/// If the map or the route cannot be used, or stdout is closed.
pub fn run(args: &MatrixArgs) -> anyhow::Result<Exit> {
    let sim = args.world.sim()?;
    let at = if args.at.is_empty() { vec![8.0] } else { args.at.clone() };
    let mut matrices = Vec::new();
    for at_s in at {
        let clean = (at_s * 20.0).round().clamp(20.0, 20_000.0) as usize;
        let cells = cell::questions()
            .into_iter()
            .map(|question| cell::run(question, &sim, Config::default(), clean))
            .collect::<anyhow::Result<Vec<_>>>()?;
        matrices.push(Matrix { at_s, cells });
    }
    let cells = matrices.iter().map(|m| m.cells.len()).sum();
    let wrong: usize = matrices.iter().map(Matrix::wrong).sum();
    let map = sim.map.name().to_owned();
    if args.json {
        let places = matrices.iter().map(print::json).collect();
        let out = Output { map, cells, wrong, passed: wrong == 0, places };
        crate::say::json(&out)?;
    } else if args.markdown {
        crate::say::text(&print::markdown(&matrices, &map))?;
    } else {
        crate::say::text(&print::table(&matrices, &map))?;
    }
    crate::say::line(&format!("{cells} cells, {wrong} not as the table says"));
    Ok(if wrong == 0 { Exit::Ok } else { Exit::Degraded })
}

/// How a column is called.
fn column(question: Question) -> &'static str {
    match (question.mode, question.lasting) {
        (Mode::Nominal, false) => "nominal",
        (Mode::Degraded, false) => "degraded",
        (Mode::SafeStop, _) => "safe_stop",
        (Mode::Nominal, true) => "nominal, lasting",
        (Mode::Degraded, true) => "degraded, lasting",
    }
}

/// Whether the class's faults are also run for longer than is tolerated.
const fn has_lasting(class: Class) -> bool {
    matches!(class, Class::Latent)
}
