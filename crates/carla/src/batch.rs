//! `apply_batch`: many commands in one call, each with a result of its own.

use rmpv::Value;

use crate::geometry::read_transform;
use crate::methods::{self, Context, DESTROY};
use crate::wire::{Fields, Trouble, list};
use crate::world::{Control, Simulation};

type Got<T> = Result<T, Trouble>;

/// Most commands of one batch.
const MAX_COMMANDS: usize = 5000;

/// Applies `[commands, do_tick]` and answers `[[[1, id]] | [[0, ["message"]]], …]`.
///
/// # Errors
/// If the arguments are no batch.
pub fn apply(
    world: &mut Simulation,
    args: &Fields<'_>,
    context: &mut Context<'_>,
) -> Result<Value, Trouble> {
    let commands = args.fields(0)?;
    if commands.len() > MAX_COMMANDS {
        return Err(format!("batch: at most {MAX_COMMANDS} commands").into());
    }
    let mut results = Vec::with_capacity(commands.len());
    for c in commands.iter() {
        let result = match command(world, c, None) {
            Ok(id) => Value::Array(vec![1.into(), id.into()]),
            Err(Trouble::Said(text)) => Value::Array(vec![0.into(), list([text])]),
            Err(Trouble::BadCast) => return Err(Trouble::BadCast),
        };
        results.push(result);
    }
    if args.bool(1)? && world.settings.synchronous {
        world.tick(context.out);
    }
    Ok(list(results.into_iter().map(|r| Value::Array(vec![r]))))
}

/// One command; `spawned` stands for the actor that it belongs to after a spawn.
fn command(world: &mut Simulation, c: &Value, spawned: Option<u32>) -> Got<u32> {
    // A variant [kind, [fields]], wrapped once more by the command itself.
    let outer = Fields::of(c)?;
    let variant = if outer.len() == 1 { outer.fields(0)? } else { outer };
    let (kind, f) = (variant.u32(0)?, variant.fields(1)?);
    if kind == 0 {
        return spawn(world, &f);
    }
    let id = match f.u32(0)? {
        0 => spawned.unwrap_or(0),
        id => id,
    };
    match kind {
        1 if world.destroy(id) => {}
        1 => return Err(DESTROY.into()),
        2 => {
            let control = Control::read(&f.fields(1)?)?;
            let car = world.car(id)?;
            (car.control, car.ackermann) = (control, None);
        }
        3 => {
            let a = methods::ackermann(&f.fields(1)?)?;
            world.car(id)?.ackermann = Some(a);
        }
        6 => {
            let at = read_transform(&f.fields(1)?)?;
            world.put(id, &at)?;
        }
        8 => {
            let v = f.vector(1)?;
            world.car(id)?.set_velocity(v);
        }
        9 => {
            let [_, _, yaw] = f.vector(1)?;
            world.car(id)?.set_yaw_rate(yaw.to_radians());
        }
        14 => {
            let on = f.bool(1)?;
            world.car(id)?.physics = on;
        }
        18 => {
            let lights = f.u32(1)?;
            world.car(id)?.lights = lights;
        }
        19 => methods::move_to(world, id, &f)?,
        // Physics, gravity, autopilot (which the client does itself), telemetry: nothing to do.
        5 | 15 | 16 | 17 => {
            world.car(id)?;
        }
        _ => return Err(format!("command {kind} is not supported by this server").into()),
    }
    Ok(id)
}

fn spawn(world: &mut Simulation, f: &Fields<'_>) -> Got<u32> {
    let at = read_transform(&f.fields(1)?)?;
    let parent = f.fields(2)?;
    let parent = if parent.bool(0)? { parent.u32(1)? } else { 0 };
    let id = world.spawn(&f.fields(0)?, &at, parent)?;
    if let Ok(after) = f.fields(5) {
        for c in after.iter() {
            // As in CARLA, what fails after the spawn does not undo it.
            match command(world, c, Some(id)) {
                Err(Trouble::BadCast) => return Err(Trouble::BadCast),
                Ok(_) | Err(Trouble::Said(_)) => {}
            }
        }
    }
    Ok(id)
}
