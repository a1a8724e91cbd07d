//! The CARLA server's requests as its port takes them: bytes that come in pieces, a world that
//! answers, ticks and draws. Input: one byte that says how the rest is cut, then that rest.
#![no_main]

use std::cell::RefCell;
use std::path::PathBuf;

use caril_carla::wire::{Skim, read_request, respond};
use caril_carla::{Context, Library, Limits, Simulation, Sink, answer};
use libfuzzer_sys::fuzz_target;
use rmpv::Value;

/// Number of the first actor of a fresh server, which the seeds were recorded with.
const FIRST_ID: u64 = 24;
const REQUESTS: usize = 64;

/// Wants everything and looks at it.
struct Looks;

impl Sink for Looks {
    fn wanted(&self, _stream: u32) -> bool {
        true
    }

    fn send(&mut self, _stream: u32, _frame: u64, message: Vec<u8>) {
        let length = message.first_chunk::<4>().map(|n| u32::from_le_bytes(*n) as usize);
        assert_eq!(length, Some(message.len() - 4));
    }
}

fn world() -> Simulation {
    let path = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/corpus/opendrive/ring.xodr"));
    let library = Library { maps: vec![("ring".to_owned(), path)] };
    let limits = Limits { actors: 12, image_side: 64, pixels: 2048 };
    let mut world = Simulation::new(library, "ring", 0, limits).unwrap();
    world.library.maps.clear();
    world
}

/// Ids go on from input to input: those of the input mean the actors of its own episode.
fn rename(value: &mut Value, first: u64) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|v| rename(v, first)),
        Value::Integer(i) => {
            if let Some(id) = i.as_u64().filter(|id| (FIRST_ID..FIRST_ID + 40).contains(id)) {
                *value = (id - FIRST_ID + first).into();
            }
        }
        _ => {}
    }
}

thread_local! {
    static WORLD: RefCell<Simulation> = RefCell::new(world());
}

fn serve(world: &mut Simulation, bytes: &[u8], cut: usize) {
    let first = u64::from(world.spectator);
    let (mut done, mut arrived) = (0, 0);
    let mut skim = Skim::default();
    for _ in 0..REQUESTS {
        let length = match skim.whole(&bytes[done..arrived]) {
            Err(_) => return,
            Ok(Some(length)) => length,
            Ok(None) if arrived == bytes.len() => return,
            Ok(None) => {
                arrived = (arrived + cut).min(bytes.len());
                continue;
            }
        };
        let Some(mut request) = read_request(&bytes[done..done + length]) else { return };
        request.args.iter_mut().for_each(|v| rename(v, first));
        let mut out = Vec::new();
        let result = answer(world, &request, &mut Context { out: &mut Looks, version: "0.9.16" });
        respond(request.id, result, &mut out);
        assert_eq!(Skim::default().whole(&out), Ok(Some(out.len())));
        done += length;
    }
}

fuzz_target!(|input: &[u8]| {
    let Some((&cut, bytes)) = input.split_first() else { return };
    WORLD.with_borrow_mut(|world| {
        let _ = world.load("", true);
        world.sent_map = None;
        world.traffic_managers.clear();
        serve(world, bytes, 16 * usize::from(cut) + 1);
        world.tick(&mut Looks);
        for (_, car) in world.cars() {
            let p = car.pose;
            assert!([p.x_m, p.y_m, p.z_m, p.yaw_rad].iter().all(|v| v.is_finite()), "{p:?}");
        }
    });
});
