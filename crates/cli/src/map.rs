//! `caril map`: waypoints, routes and a drawing of a road network.

use std::fmt::Write as _;
use std::path::PathBuf;

use anyhow::Context as _;
use caril_road::Route;
use caril_sim::RouteSpec;
use caril_sim::plan::RoutePlan;
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
    /// A route and what the expert plans on it
    Route(RouteArgs),
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

/// Options of `map route`.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  caril map route town_blocks --route random --seed 3 --json > route.json"
)]
pub struct RouteArgs {
    /// Map name or OpenDRIVE file
    map: String,
    /// Route: `default`, `random`, or two points in metres
    #[arg(
        long,
        default_value = "default",
        value_name = "default|random|X,Y:X,Y",
        allow_hyphen_values = true
    )]
    route: String,
    /// Seed of a random route
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// One JSON object: every value of the points as a column
    #[arg(long)]
    json: bool,
}

/// A route in columns, one entry per point; `plan_…` is what the expert plans there.
#[derive(Serialize, Default)]
struct RouteTable {
    map: String,
    length_m: f64,
    spacing_m: f64,
    s_m: Vec<f64>,
    x_m: Vec<f64>,
    y_m: Vec<f64>,
    z_m: Vec<f64>,
    yaw_rad: Vec<f64>,
    pitch_rad: Vec<f64>,
    curvature_1pm: Vec<f64>,
    lane_width_m: Vec<f64>,
    nav: Vec<u8>,
    in_junction: Vec<bool>,
    speed_limit_mps: Vec<f64>,
    plan_speed_mps: Vec<f64>,
    plan_speed_slope_1ps: Vec<f64>,
    plan_curvature_1pm: Vec<f64>,
    plan_wheel_rad: Vec<f64>,
    plan_heading_rad: Vec<f64>,
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
            say!("{}", args.out.display());
            Ok(Exit::Ok)
        }
        MapCommand::Route(args) => route(args),
    }
}

fn route(args: &RouteArgs) -> anyhow::Result<Exit> {
    let map = scenario::load_map(&args.map)?;
    let spec = RouteSpec::parse(&args.route).ok_or_else(|| {
        usage(format!("--route {}: expected default, random or X,Y:X,Y", args.route))
    })?;
    let route = spec.plan(&map, args.seed)?;
    let plan = RoutePlan::new(&route);
    let mut t = RouteTable {
        map: map.name().to_owned(),
        length_m: route.length_m(),
        spacing_m: Route::SPACING_M,
        ..RouteTable::default()
    };
    for p in route.points() {
        let planned = plan.at(p.s_m);
        t.s_m.push(p.s_m);
        t.x_m.push(p.x_m);
        t.y_m.push(p.y_m);
        t.z_m.push(p.z_m);
        t.yaw_rad.push(p.yaw_rad);
        t.pitch_rad.push(p.pitch_rad);
        t.curvature_1pm.push(p.curvature_1pm);
        t.lane_width_m.push(p.lane_width_m);
        t.nav.push(p.nav as u8);
        t.in_junction.push(p.in_junction);
        t.speed_limit_mps.push(p.speed_limit_mps);
        t.plan_speed_mps.push(planned.speed_mps);
        t.plan_speed_slope_1ps.push(planned.speed_slope_1ps);
        t.plan_curvature_1pm.push(planned.curvature_1pm);
        t.plan_wheel_rad.push(planned.wheel_rad);
        t.plan_heading_rad.push(planned.heading_rad);
    }
    if args.json {
        output::print_json(&t)?;
        return Ok(Exit::Ok);
    }
    let mut text = String::from("       s          x          y   yaw_deg nav  plan_mps\n");
    for (i, p) in route.points().iter().enumerate().step_by(4) {
        let speed = t.plan_speed_mps.get(i).copied().unwrap_or(0.0);
        let (yaw, nav) = (p.yaw_rad.to_degrees(), p.nav as u8);
        let (s, x, y) = (p.s_m, p.x_m, p.y_m);
        writeln!(text, "{s:8.2} {x:10.3} {y:10.3} {yaw:9.3} {nav:3} {speed:9.2}")?;
    }
    output::print_text(&text)?;
    Ok(Exit::Ok)
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
