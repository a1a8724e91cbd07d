//! Batch-1 latency, camera frame to prediction, of the executor and of Burn in one run, call by
//! call in turn: `cpu_latency [architecture] [n] [isa]`. Without an architecture: the default pack.
#![allow(clippy::print_stdout, reason = "a program for the terminal")]

use std::path::PathBuf;
use std::time::Instant;

use burn::prelude::Device;
use caril_core::{CameraSpec, CounterRng, Frame, Policy, PolicyCard, Preprocessor};
use caril_infer::{CpuPolicy, Isa, Options};
use caril_policy::{Architecture, Backend, BurnPolicy, Net, Pack};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let arg = |i: usize| args.get(i).map(String::as_str);
    let n: usize = arg(1).map_or(Ok(500), str::parse)?;
    let isa = Isa::ALL.into_iter().find(|isa| arg(2) == Some(isa.name())).unwrap_or(Isa::best());
    let folder = tempfile::tempdir()?;
    let dir = match arg(0).and_then(Architecture::from_name) {
        None => PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../weights/default")),
        Some(architecture) => {
            let card = PolicyCard::new("latency", architecture, &CameraSpec::PAPER);
            let net = Net::new(architecture, &card.input, 1, &Device::flex());
            Pack { card, net }.save(folder.path())?;
            folder.path().to_owned()
        }
    };
    let start = Instant::now();
    let mut one = CpuPolicy::load(&dir, Options { threads: 1, isa })?;
    let load_ms = start.elapsed().as_secs_f64() * 1e3;
    let mut two = CpuPolicy::load(&dir, Options { threads: 2, isa })?;
    let mut burn = BurnPolicy::load(&dir, Backend::Flex)?;
    let card = one.card().clone();
    let mut preprocessor = Preprocessor::for_card(&card);
    let mut frame = Frame::for_camera(&card.camera);
    let mut rng = CounterRng::new(1, 1);
    let mut times: [Vec<u64>; 4] = Default::default();
    for _ in 0..n + 10 {
        for byte in frame.image.data.chunks_exact_mut(64) {
            byte.fill(rng.below(256) as u8);
        }
        let mut each = [
            measure(|| _ = preprocessor.rgb(&frame.image)),
            measure(|| _ = one.infer(&frame)),
            measure(|| _ = two.infer(&frame)),
            measure(|| _ = burn.infer(&frame)),
        ];
        times.iter_mut().zip(&mut each).for_each(|(all, one)| all.push(*one));
    }
    println!(
        "{}, {} kernels, {:.1} M multiply-adds, loaded in {load_ms:.0} ms, {n} frames",
        card.architecture,
        one.isa().name(),
        one.macs() as f64 * 1e-6
    );
    let names = ["preprocessing (core)", "cpu, 1 thread", "cpu, 2 threads", "burn flex"];
    for (name, mut times) in names.into_iter().zip(times) {
        times.drain(..10);
        times.sort_unstable();
        let at = |q: usize| times[(times.len() - 1) * q / 100] as f64 * 1e-6;
        println!("{name:22} p50 {:.3} ms  p99 {:.3} ms  min {:.3} ms", at(50), at(99), at(0));
    }
    let mut best = one.profile(&frame);
    for _ in 0..n.min(200) {
        let again = one.profile(&frame);
        best.iter_mut().zip(again).for_each(|(best, now)| best.ns = best.ns.min(now.ns));
    }
    println!("fastest of each stage, 1 thread:");
    for stage in best {
        let rate = stage.macs as f64 / stage.ns.max(1) as f64;
        let us = stage.ns as f64 * 1e-3;
        println!("  {:10} {us:8.1} µs  {rate:6.1} G multiply-adds/s", stage.name);
    }
    Ok(())
}

fn measure(f: impl FnOnce()) -> u64 {
    let start = Instant::now();
    f();
    start.elapsed().as_nanos() as u64
}
