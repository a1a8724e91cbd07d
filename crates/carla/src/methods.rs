//! The methods of the protocol: arguments in, the answer's bytes out. What is not here is answered
//! as rpclib answers for a name that nobody bound, and the client raises `RuntimeError`.

use rmpv::Value;

use crate::batch;
use crate::geometry::{self, read_location, read_transform};
use crate::wire::{EPISODE_STREAM, Fields, Request, Token, Trouble, list, nothing, said, value};
use crate::world::{
    Ackermann, Body, Control, NO_ACTOR, Settings, Simulation, Sink, blueprint, weather,
};

type Got<T> = Result<T, Trouble>;

/// What the answers need beside the world.
pub struct Context<'a> {
    /// Where a tick's messages go.
    pub out: &'a mut dyn Sink,
    /// The version that is told, if not the true one (fault injection).
    pub version: &'a str,
}

/// Answers a request.
///
/// # Errors
/// A transport error in rpclib's words: an unknown method, or an argument of the wrong type.
pub fn answer(
    world: &mut Simulation,
    request: &Request,
    context: &mut Context<'_>,
) -> Result<Value, String> {
    let name = request.method.as_str();
    let args = Fields::new(&request.args);
    let outcome = call(world, name, &args, context);
    let Some((result, kind)) = outcome else {
        return Err(format!(
            "rpclib: server could not find function '{name}' with argument count {}.",
            request.arg_count
        ));
    };
    match (result, kind) {
        (Ok(v), Kind::Value) => Ok(value(v)),
        (Ok(_), Kind::Void) => Ok(nothing()),
        (Ok(v), Kind::Bare) => Ok(v),
        (Err(Trouble::Said(text)), kind) => Ok(said(&text, kind == Kind::Void)),
        (Err(Trouble::BadCast), _) => Err(format!(
            "rpclib: function '{name}' (called with {} arg(s)) threw an exception. The exception \
             contained this information: std::bad_cast.",
            request.arg_count
        )),
    }
}

/// How a result is wrapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// `Response<T>`.
    Value,
    /// `Response<void>`.
    Void,
    /// As it is.
    Bare,
}

fn call(
    world: &mut Simulation,
    name: &str,
    args: &Fields<'_>,
    context: &mut Context<'_>,
) -> Option<(Got<Value>, Kind)> {
    if let Some(result) = questions(world, name, args, context) {
        return Some((result, Kind::Value));
    }
    if let Some(result) = orders(world, name, args) {
        return Some((result.map(|()| Value::Nil), Kind::Void));
    }
    (name == "apply_batch").then(|| (batch::apply(world, args, context), Kind::Bare))
}

/// Methods that answer with a value.
fn questions(
    world: &mut Simulation,
    name: &str,
    args: &Fields<'_>,
    context: &mut Context<'_>,
) -> Option<Got<Value>> {
    let none = || Ok(list::<Value>([]));
    Some(match name {
        "version" => Ok(context.version.into()),
        "get_episode_info" => {
            let token = token(world, EPISODE_STREAM);
            Ok(Value::Array(vec![world.episode.into(), token]))
        }
        "get_sensor_token" => args.u32(0).map(|stream| token(world, stream)),
        "get_episode_settings" => Ok(world.settings.value()),
        "set_episode_settings" => set_settings(world, args),
        "tick_cue" => {
            if world.settings.synchronous {
                world.tick(context.out);
            }
            Ok(world.frame.into())
        }
        "get_map_info" => Ok(map_info(world)),
        "get_map_data" => Ok(world.place.xodr.as_str().into()),
        // Nothing to download: the client then writes no cache.
        "get_required_files" => none(),
        "get_available_maps" => {
            let maps = world.library.maps.iter();
            Ok(list(maps.map(|m| format!("/Game/Carla/Maps/{}", m.0))))
        }
        "get_actor_definitions" => Ok(blueprint::definitions()),
        "spawn_actor" => spawn(world, args, false),
        "spawn_actor_with_parent" => spawn(world, args, true),
        "destroy_actor" => args
            .u32(0)
            .and_then(|id| if world.destroy(id) { Ok(true.into()) } else { Err(DESTROY.into()) }),
        "get_actors_by_id" => actors_by_id(world, args),
        "get_spectator" => actor(world, world.spectator),
        "get_actor_bounding_box" => args.u32(0).and_then(|id| {
            world.actors.get(&id).map(|a| world.box_value(a)).ok_or_else(|| NO_ACTOR.into())
        }),
        "get_weather_parameters" => Ok(list(world.weather)),
        "get_physics_control" => args.u32(0).and_then(|id| world.car(id).map(|_| physics())),
        "get_telemetry_data" => args.u32(0).and_then(|id| {
            let c = world.car(id)?;
            let (m, u) = (&c.model, &c.control);
            let v = [m.speed_mps, u.steer, u.throttle, u.brake, 0.0].map(Value::from);
            let mut v = v.to_vec();
            v.extend([1.into(), 0.0.into(), list::<Value>([])]);
            Ok(Value::Array(v))
        }),
        "get_wheel_steer_angle" => args.u32(0).and_then(|id| {
            let front = args.u32(1)? < 2;
            let angle = world.car(id)?.model.wheel_rad.to_degrees() as f32;
            Ok(if front { angle } else { 0.0 }.into())
        }),
        "get_vehicle_light_state" => {
            args.u32(0).and_then(|id| world.car(id).map(|c| list([c.lights])))
        }
        "get_vehicle_light_states" => Ok(list(world.cars().map(|(id, c)| list([id, c.lights])))),
        "is_traffic_manager_running" => {
            args.u32(0).map(|p| world.traffic_managers.contains_key(&(p as u16)).into())
        }
        "get_traffic_manager_running" => args.u32(0).map(|p| {
            let host = world.traffic_managers.get(&(p as u16));
            Value::Array(vec![host.map_or("", |h| h.as_str()).into(), p.into()])
        }),
        "add_traffic_manager_running" => add_manager(world, args),
        "destroy_traffic_manager" => {
            args.u32(0).map(|p| world.traffic_managers.remove(&(p as u16)).is_some().into())
        }
        "query_lights_state"
        | "get_all_level_BBs"
        | "get_environment_objects"
        | "get_group_traffic_lights"
        | "get_light_boxes" => none(),
        _ => return None,
    })
}

/// Methods that answer with nothing. Those of them that change nothing here are said in
/// docs/carla.md.
fn orders(world: &mut Simulation, name: &str, args: &Fields<'_>) -> Option<Got<()>> {
    let id = || args.u32(0);
    Some(match name {
        "load_new_episode" => args.text(0).and_then(|name| world.load(name, args.bool(1)?)),
        "copy_opendrive_to_file" => args.text(0).map(|t| world.sent_map = Some(t.to_owned())),
        "apply_control_to_vehicle" => id().and_then(|id| {
            let control = Control::read(&args.fields(1)?)?;
            let car = world.car(id)?;
            (car.control, car.ackermann) = (control, None);
            Ok(())
        }),
        "apply_ackermann_control_to_vehicle" => id().and_then(|id| {
            let a = ackermann(&args.fields(1)?)?;
            world.car(id)?.ackermann = Some(a);
            Ok(())
        }),
        "set_actor_transform" => {
            id().and_then(|id| read_transform(&args.fields(1)?).and_then(|at| world.put(id, &at)))
        }
        "set_actor_location" => id().and_then(|id| move_to(world, id, args)),
        "set_actor_target_velocity" => id().and_then(|id| {
            let v = args.vector(1)?;
            world.car(id)?.set_velocity(v);
            Ok(())
        }),
        "set_actor_target_angular_velocity" => id().and_then(|id| {
            let [_, _, yaw] = args.vector(1)?;
            world.car(id)?.set_yaw_rate(yaw.to_radians());
            Ok(())
        }),
        "set_actor_simulate_physics" => id().and_then(|id| {
            let on = args.bool(1)?;
            world.car(id)?.physics = on;
            Ok(())
        }),
        "set_vehicle_light_state" => id().and_then(|id| {
            // The flags come alone or as a struct of one.
            let v = args.at(1)?;
            let bits = match v.as_array().and_then(|a| a.first()) {
                Some(inner) => inner.as_u64(),
                None => v.as_u64(),
            };
            world.car(id)?.lights = bits.ok_or(Trouble::BadCast)? as u32;
            Ok(())
        }),
        "set_weather_parameters" => {
            args.fields(0).and_then(|f| weather::read(&f)).map(|p| world.set_weather(p))
        }
        "apply_physics_control"
        | "set_actor_enable_gravity"
        | "set_actor_collisions"
        | "set_actor_autopilot"
        | "reset_all_traffic_lights"
        | "freeze_all_traffic_lights"
        | "update_lights_state"
        | "draw_debug_shape"
        | "set_replayer_ignore_hero"
        | "set_replayer_ignore_spectator" => Ok(()),
        _ => return None,
    })
}

/// What CARLA says when there is nothing to destroy.
pub const DESTROY: &str = "unable to destroy actor: not found";

fn token(world: &Simulation, stream: u32) -> Value {
    Value::Array(vec![Value::Binary(Token { stream, port: world.stream_port }.bytes())])
}

fn set_settings(world: &mut Simulation, args: &Fields<'_>) -> Got<Value> {
    world.settings = Settings::read(&args.fields(0)?)?;
    // The frame that was broadcast last: the client waits until it has seen it.
    Ok(world.frame.into())
}

fn map_info(world: &Simulation) -> Value {
    let points = world.place.spawn_points.iter().map(geometry::transform_value);
    Value::Array(vec![format!("Carla/Maps/{}", world.place.name).into(), list(points)])
}

fn actor(world: &Simulation, id: u32) -> Got<Value> {
    world.actors.get(&id).map(|a| world.actor_value(a)).ok_or_else(|| NO_ACTOR.into())
}

fn spawn(world: &mut Simulation, args: &Fields<'_>, with_parent: bool) -> Got<Value> {
    let at = read_transform(&args.fields(1)?)?;
    let parent = if with_parent { args.u32(2)? } else { 0 };
    let id = world.spawn(&args.fields(0)?, &at, parent)?;
    actor(world, id)
}

fn actors_by_id(world: &Simulation, args: &Fields<'_>) -> Got<Value> {
    let mut found = Vec::new();
    for id in args.fields(0)?.iter() {
        let id = id.as_u64().ok_or(Trouble::BadCast)?;
        if let Some(a) = u32::try_from(id).ok().and_then(|id| world.actors.get(&id)) {
            found.push(world.actor_value(a));
        }
    }
    Ok(Value::Array(found))
}

/// Reads a `VehicleAckermannControl`.
///
/// # Errors
/// If it is none.
pub fn ackermann(f: &Fields<'_>) -> Got<Ackermann> {
    Ok(Ackermann { steer_rad: f.f64(0)?, speed_mps: f.f64(2)?, accel_mps2: f.f64(3)? })
}

/// Puts an actor to a place, turned as it is.
///
/// # Errors
/// If there is no such actor.
pub fn move_to(world: &mut Simulation, id: u32, args: &Fields<'_>) -> Got<()> {
    let [x_m, y_m, z_m] = read_location(args, 1)?;
    let Some(actor) = world.actors.get(&id) else { return Err(NO_ACTOR.into()) };
    let was = match &actor.body {
        Body::Sensor(s) => s.relative,
        _ => world.pose(actor),
    };
    world.put(id, &caril_core::Pose { x_m, y_m, z_m, ..was })
}

fn add_manager(world: &mut Simulation, args: &Fields<'_>) -> Got<Value> {
    let f = args.fields(0)?;
    let port = f.u32(1)? as u16;
    let (host, free) = (f.text(0)?, !world.traffic_managers.contains_key(&port));
    if free && world.traffic_managers.len() < 64 && host.len() < 256 {
        world.traffic_managers.insert(port, host.to_owned());
        return Ok(true.into());
    }
    Ok(false.into())
}

/// CARLA's `VehiclePhysicsControl` of the one vehicle there is: mass, wheels and steering are
/// those of the model, the engine's fields are CARLA's defaults, which the model does not have.
fn physics() -> Value {
    use caril_sim::vehicle::{MASS_KG, TRACK_M, WHEEL_ANGLE_MAX_RAD, WHEELBASE_M};
    let pair = |a: f64, b: f64| list([a, b]);
    let wheel = |x: f64, y: f64, steer: f64| {
        let mut v: Vec<Value> =
            [3.5, 0.25, steer, 33.0, 1500.0, 3000.0, 2.0, 17.0, 1000.0].map(Value::from).to_vec();
        v.push(list([100.0 * x, 100.0 * y, 33.0]));
        Value::Array(v)
    };
    let (x, y) = (WHEELBASE_M / 2.0, TRACK_M / 2.0);
    let steer = WHEEL_ANGLE_MAX_RAD.to_degrees();
    Value::Array(vec![
        list([pair(0.0, 500.0), pair(5000.0, 500.0)]),
        5000.0.into(),
        1.0.into(),
        0.15.into(),
        2.0.into(),
        0.35.into(),
        true.into(),
        0.5.into(),
        10.0.into(),
        4.0.into(),
        list([list([3.0, 0.5, 0.65])]),
        MASS_KG.into(),
        0.3.into(),
        list([0.0, 0.0, -0.2]),
        list([pair(0.0, 1.0), pair(120.0, 1.0)]),
        list([wheel(x, -y, steer), wheel(x, y, steer), wheel(-x, -y, 0.0), wheel(-x, y, 0.0)]),
        false.into(),
    ])
}
