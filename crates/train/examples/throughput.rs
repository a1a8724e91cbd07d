//! Training throughput on made-up pictures: `throughput [steps]`.
#![allow(clippy::print_stdout, reason = "a program for the terminal")]

use burn::prelude::*;
use caril_core::{CameraSpec, PolicyCard};
use caril_policy::{Architecture, Net};
use caril_train::{TrainOptions, fit, synthetic};

fn main() -> anyhow::Result<()> {
    let steps: u64 = std::env::args().nth(1).map_or(Ok(30), |n| n.parse())?;
    let data = synthetic(Architecture::PilotNet.default_input(), 2, 64, 1);
    let out = std::env::temp_dir().join("caril-throughput");
    for threads in [1, 2] {
        for batch in [32, 64, 128] {
            let card = PolicyCard::new("throughput", Architecture::PilotNet, &CameraSpec::PAPER);
            let net = Net::new(Architecture::PilotNet, &data.input, 1, &Device::flex());
            let options = TrainOptions {
                out: out.clone(),
                steps: Some(steps * 32 / batch as u64),
                batch,
                threads,
                held_out_every: 2,
                ..TrainOptions::default()
            };
            let summary = fit(&data, card, net, &options, &mut |_| {})?;
            println!("{threads} threads, batch {batch}: {:.0} images/s", summary.images_per_second);
        }
    }
    std::fs::remove_dir_all(out)?;
    Ok(())
}
