//! Batch-1 latency of preprocessing and of each backbone: `latency [architecture] [n]`.
#![allow(clippy::print_stdout, reason = "a program for the terminal")]

use std::time::Instant;

use burn::prelude::*;
use caril_core::{CameraSpec, Frame, Policy as _, PolicyCard};
use caril_policy::{Architecture, BurnPolicy, Net, Pack, Preprocessor};

fn main() {
    let mut args = std::env::args().skip(1);
    let name = args.next().unwrap_or_else(|| "pilotnet".into());
    let n: usize = args.next().and_then(|n| n.parse().ok()).unwrap_or(500);
    let Some(architecture) = Architecture::from_name(&name) else {
        println!("no such architecture: {name}");
        return;
    };
    let card = PolicyCard::new(&name, architecture, &CameraSpec::PAPER);
    let net = Net::new(architecture, &card.input, 1, &Device::flex());
    println!("{name}: {} parameters", net.num_params());
    let frame = Frame::for_camera(&card.camera);
    let mut p = Preprocessor::for_card(&card);
    let mut out = vec![0.0; (3 * card.input.width * card.input.height) as usize];
    let mut policy = BurnPolicy::new(Pack { card, net }, Device::flex());
    measure("preprocess", n, || _ = p.input(&frame.image, &mut out));
    measure("infer", n, || _ = policy.infer(&frame));
}

fn measure(what: &str, n: usize, mut f: impl FnMut()) {
    let mut times: Vec<u128> = (0..n)
        .map(|_| {
            let start = Instant::now();
            f();
            start.elapsed().as_micros()
        })
        .collect();
    times.sort_unstable();
    println!("{what}: p50 {} µs, p99 {} µs", times[n / 2], times[n * 99 / 100]);
}
