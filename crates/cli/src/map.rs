//! `caril map`: waypoints and a drawing of a road network.

use std::fmt::Write as _;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use serde::Serialize;

use crate::exit::{Exit, usage};
use crate::{output, scenario};

/// Look at road networks.
#[derive(Debug, Subcommand)]
pub enum MapCommand {
    /// Centre of every driving lane as points
    Waypoints(WaypointsArgs),
    /// The road network from above, as SVG
    Draw(DrawArgs),
}

/// Options of `map waypoints`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  caril map waypoints maps/town_blocks.xodr --spacing 2 --json")]
pub struct WaypointsArgs {
    /// Map name or OpenDRIVE file
    map: String,
    /// Metres between points
    #[arg(long, default_value_t = 2.0, value_name = "M")]
    spacing: f64,
    /// JSON Lines instead of a table
    #[arg(long)]
    json: bool,
}

/// Options of `map draw`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  caril map draw harbour_town --out harbour_town.svg")]
pub struct DrawArgs {
    /// Map name or OpenDRIVE file
    map: String,
    /// Where to write the SVG
    #[arg(long, value_name = "F.svg")]
    out: PathBuf,
}

#[derive(Serialize)]
struct Line {
    road: u32,
    section: u32,
    lane: i32,
    s: f64,
    x: f64,
    y: f64,
    z: f64,
    yaw_deg: f64,
}

/// Runs the command.
///
/// # Errors
/// If the map cannot be read or the output not written.
pub fn run(command: &MapCommand) -> anyhow::Result<Exit> {
    match command {
        MapCommand::Waypoints(args) => waypoints(args),
        MapCommand::Draw(args) => {
            let map = scenario::load_map(&args.map)?;
            std::fs::write(&args.out, caril_road::draw_svg(&map))
                .with_context(|| format!("cannot write {}", args.out.display()))?;
            eprintln!("{}", args.out.display());
            Ok(Exit::Ok)
        }
    }
}

fn waypoints(args: &WaypointsArgs) -> anyhow::Result<Exit> {
    if !(args.spacing.is_finite() && args.spacing >= 0.05) {
        return Err(usage(format!("--spacing must be at least 0.05 m, not {}", args.spacing)));
    }
    let map = scenario::load_map(&args.map)?;
    let mut text = String::new();
    if !args.json {
        text.push_str("  road section lane        s          x          y        z   yaw_deg\n");
    }
    for w in map.waypoints(args.spacing) {
        let yaw_deg = w.yaw_rad.to_degrees();
        if args.json {
            let line = Line {
                road: w.road_id,
                section: w.section,
                lane: w.lane,
                s: w.s_m,
                x: w.x_m,
                y: w.y_m,
                z: w.z_m,
                yaw_deg,
            };
            text.push_str(&serde_json::to_string(&line)?);
            text.push('\n');
        } else {
            writeln!(
                text,
                "{:6} {:7} {:4} {:8.2} {:10.3} {:10.3} {:8.3} {:9.3}",
                w.road_id, w.section, w.lane, w.s_m, w.x_m, w.y_m, w.z_m, yaw_deg
            )?;
        }
    }
    output::print_text(&text)?;
    Ok(Exit::Ok)
}
