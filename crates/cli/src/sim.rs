//! `caril sim`: the embedded simulator as a plant, and single pictures.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context as _;
use caril_core::{CameraSpec, Config, Image, Mount, PixelOrder, Pose, World as _};
use caril_link::{PlantSocket, ServeEnd, ServeOptions};
use caril_sim::Scene;
use caril_sim::camera::{Camera, FAR_M, Tag, depth_m};
use caril_view::Shown;
use clap::{Args, Subcommand, ValueEnum};

use crate::args::{PacingArg, ScenarioArgs};
use crate::exit::{Exit, usage};
use crate::keys::LinkArgs;
use crate::view::{self, ViewArgs};
use crate::{output, scenario};

/// The embedded simulator.
#[derive(Debug, Subcommand)]
pub enum SimCommand {
    /// Wait at an endpoint for a controller and play the plant
    Serve(ServeArgs),
    /// Draw one camera picture
    Render(RenderArgs),
}

/// Options of `sim serve`.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  caril sim serve --endpoint tcp://127.0.0.1:5555 --map town_blocks &\n  caril drive --plant tcp://127.0.0.1:5555"
)]
pub struct ServeArgs {
    /// Where: tcp://ADDRESS:PORT (`*` takes a free port) or ipc://PATH
    #[arg(long, value_name = "E")]
    endpoint: String,
    #[command(flatten)]
    link: LinkArgs,
    #[command(flatten)]
    scenario: ScenarioArgs,
    /// Who waits for whom
    #[arg(long, value_enum, default_value_t = PacingArg::Lockstep)]
    pacing: PacingArg,
    /// Begin the same episode anew for every controller, until Ctrl-C
    #[arg(long)]
    again: bool,
    #[command(flatten)]
    view: ViewArgs,
}

/// What a picture shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum KindArg {
    /// Colours
    Rgb,
    /// Distance in logarithmic grey, white at 1000 m
    Depth,
    /// What things are, in Cityscapes' colours
    Semantic,
}

/// Options of `sim render`.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  caril sim render --map harbour_town --pose 20,30,90 --weather ClearSunset --out street.png"
)]
pub struct RenderArgs {
    /// Map name or OpenDRIVE file
    #[arg(long, default_value = "harbour_town")]
    map: String,
    /// Vehicle's x and y in metres and yaw in degrees, CARLA axes [default: the default route's start]
    #[arg(long, value_name = "X,Y,YAW_DEG", allow_hyphen_values = true)]
    pose: Option<String>,
    /// What to draw
    #[arg(long, value_enum, default_value_t = KindArg::Rgb)]
    kind: KindArg,
    /// Weather by CARLA's preset names; colours alone have one
    #[arg(long, default_value = "ClearNoon")]
    weather: String,
    /// Where to write the PNG
    #[arg(long, value_name = "F.png")]
    out: PathBuf,
    /// Width and height in pixels
    #[arg(long, default_value = "448x448", value_name = "WxH")]
    size: String,
    /// Horizontal field of view, degrees
    #[arg(long, default_value_t = 110.0)]
    fov: f32,
    /// Camera's place on the vehicle in metres, and its pitch in degrees
    #[arg(
        long,
        default_value = "1.5,0,2.4,0",
        value_name = "X,Y,Z,PITCH",
        allow_hyphen_values = true
    )]
    mount: String,
    /// Seed of textures, colours and surroundings
    #[arg(long, default_value_t = 0)]
    appearance: u64,
}

/// Runs the command.
///
/// # Errors
/// If the endpoint or the map cannot be used, or the picture not written.
pub fn run(command: &SimCommand) -> anyhow::Result<Exit> {
    match command {
        SimCommand::Serve(args) => serve(args),
        SimCommand::Render(args) => render(args),
    }
}

fn serve(args: &ServeArgs) -> anyhow::Result<Exit> {
    if scenario::lists(&args.scenario)? {
        return Ok(Exit::Ok);
    }
    let mut config = Config::default();
    config.drive_loop.pacing = args.pacing.into();
    if let Some(seed) = args.scenario.seed {
        config.drive_loop.seed = seed;
    }
    if let Some(rate) = args.scenario.rate {
        config.drive_loop.rate_hz = rate;
    }
    config.validate().map_err(|e| usage(e.to_string()))?;
    let sim = scenario::sim_config(&args.scenario, &config, CameraSpec::PAPER)?;
    let stop = output::stop_on_ctrl_c_saying("closing the endpoint")?;
    let halt = Arc::new(AtomicBool::new(false));
    // The link knows a plain flag; ours counts. One thread turns the one into the other.
    let watcher = {
        let halt = Arc::clone(&halt);
        let stop = Arc::clone(&stop);
        std::thread::spawn(move || {
            while !stop.asked() && !halt.load(Ordering::Relaxed) {
                std::thread::sleep(std::time::Duration::from_millis(20));
            }
            halt.store(true, Ordering::Relaxed);
        })
    };
    let options = ServeOptions {
        pacing: sim.pacing,
        rate_hz: sim.rate_hz,
        once: args.again,
        keys: args.link.keys(&args.endpoint)?.0,
        ..ServeOptions::default()
    };
    let mut socket = PlantSocket::bind(&args.endpoint, options)?;
    say!("plant at {} ({}, {})", socket.endpoint(), sim.map.name(), sim.weather.name);
    let mut degraded = false;
    let mut view = None;
    loop {
        let world = scenario::served_world(sim.clone())?;
        if args.view.view.is_some() && view.is_none() {
            view = args.view.start(&sim.camera, &view::about("plant", world.info()))?.map(Arc::new);
        }
        let mut world = Shown::new(world, view.clone());
        let report = socket.serve(&mut world, &halt);
        let t = world.world().truth();
        say!(
            "episode over ({:?}): {:.0} % of {:.0} m, {} collisions; {} frames, {} commands, {} malformed, {} refused",
            report.end,
            t.route_completion,
            t.route_length_m,
            t.collisions,
            report.stats.frames,
            report.stats.commands,
            report.stats.malformed,
            report.stats.refused
        );
        degraded |= !matches!(
            report.end,
            ServeEnd::Ended(_) | ServeEnd::Stopped | ServeEnd::ControllerLeft
        );
        if !args.again || stop.asked() {
            break;
        }
    }
    halt.store(true, Ordering::Relaxed);
    let _ = watcher.join();
    Ok(if degraded { Exit::Degraded } else { Exit::Ok })
}

/// `a,b,c` as numbers.
fn numbers<const N: usize>(option: &str, text: &str, separator: char) -> anyhow::Result<[f64; N]> {
    let parsed: Vec<f64> = text
        .split(separator)
        .filter_map(|t| t.trim().parse().ok())
        .filter(|v: &f64| v.is_finite())
        .collect();
    parsed.try_into().map_err(|_| {
        usage(format!("{option} {text}: expected {N} numbers separated by `{separator}`"))
    })
}

/// Other colours for the pixels of an RGB picture.
fn repaint(image: &mut Image, color: impl Fn([u8; 3]) -> [u8; 3]) {
    for p in image.data.as_chunks_mut().0 {
        *p = color(*p);
    }
}

/// A distance as grey, as CARLA's `LogarithmicDepth` has it: 3.3 m is black, 1000 m white.
fn log_grey(z_m: f32) -> u8 {
    let share = 1.0 + (z_m / FAR_M).ln() / 5.70378;
    (share.clamp(0.0, 1.0) * 255.0) as u8
}

fn render(args: &RenderArgs) -> anyhow::Result<Exit> {
    let map = Arc::new(scenario::load_map(&args.map)?);
    let weather = scenario::weather(&args.weather)?;
    let [width, height] = numbers("--size", &args.size, 'x')?;
    let [x, y, z, pitch] = numbers("--mount", &args.mount, ',')?;
    let mount = Mount {
        x_m: x as f32,
        y_m: y as f32,
        z_m: z as f32,
        pitch_deg: pitch as f32,
        yaw_deg: 0.0,
    };
    let spec = CameraSpec {
        width: width as u32,
        height: height as u32,
        fov_deg: args.fov,
        mount,
        order: PixelOrder::Rgb,
    };
    if !spec.is_valid() {
        return Err(usage("the camera must have 1 to 4096 pixels a side and 1–170° field of view"));
    }
    let pose = match &args.pose {
        Some(text) => {
            let [x_m, y_m, yaw_deg] = numbers("--pose", text, ',')?;
            let ground = map.surface(x_m, y_m, 0.0);
            let mut pose = Pose { x_m, y_m, yaw_rad: yaw_deg.to_radians(), ..Pose::default() };
            if let Some(s) = ground {
                pose.z_m = s.z_m;
            }
            if let Some((lane, along, _)) = map.nearest_lane(x_m, y_m, pose.z_m) {
                pose.pitch_rad = map.lane_pose(lane, along).pitch_rad;
            }
            pose
        }
        None => {
            let route = caril_sim::RouteSpec::default().plan(&map, 0)?;
            route.at(0.0).pose()
        }
    };
    let scene = Scene::build(&map, args.appearance);
    let mut image = Image::for_camera(&spec);
    let mut camera = Camera::new(spec);
    match args.kind {
        KindArg::Rgb => camera.render(&scene, &weather, &pose, &[], 0.0, &mut image),
        KindArg::Depth => {
            camera.depth(&scene, &pose, &[], &mut image);
            repaint(&mut image, |p| [log_grey(depth_m(p)); 3]);
        }
        KindArg::Semantic => {
            camera.semantic(&scene, &pose, &[], &mut image);
            repaint(&mut image, |[number, ..]| {
                let tag = Tag::ALL.into_iter().find(|t| *t as u8 == number);
                tag.map_or([0; 3], Tag::color)
            });
        }
    }
    image::save_buffer(&args.out, &image.data, image.width, image.height, image::ColorType::Rgb8)
        .with_context(|| format!("cannot write {}", args.out.display()))?;
    say!("{}", args.out.display());
    Ok(Exit::Ok)
}
