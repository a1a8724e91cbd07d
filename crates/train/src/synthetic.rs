//! Made-up drives with a rule that can be learned: for tests and for measuring throughput.

use caril_core::{CounterRng, InputSpec, NavCommand};

use crate::dataset::{Dataset, Drive, Sample};

/// Drives of a bright line on dark noise; the steer follows from where the line is and, at
/// commands, from the command. Depends on nothing but the arguments.
pub fn synthetic(input: InputSpec, drives: usize, frames: usize, seed: u64) -> Dataset {
    let drive = |d: usize| Drive {
        samples: (0..frames).map(|f| sample(&input, seed, (d * frames + f) as u64)).collect(),
    };
    Dataset { input, drives: (0..drives).map(drive).collect() }
}

fn sample(input: &InputSpec, seed: u64, index: u64) -> Sample {
    let mut rng = CounterRng::new(seed, index);
    let (width, height) = (input.width as usize, input.height as usize);
    let at = rng.range(-0.8, 0.8);
    let nav = NavCommand::ALL[rng.below(4) as usize];
    let mut rgb = vec![0u8; width * height * 3];
    rgb.iter_mut().for_each(|b| *b = rng.below(60) as u8);
    let column = ((at * 0.5 + 0.5) * width as f64) as usize;
    for row in rgb.chunks_exact_mut(width * 3) {
        row.iter_mut().skip(column.saturating_sub(1) * 3).take(9).for_each(|b| *b = 220);
    }
    let steer = at as f32 * 0.6
        + match nav {
            NavCommand::Left => -0.4,
            NavCommand::Right => 0.4,
            _ => 0.0,
        };
    Sample { rgb: rgb.into(), speed_mps: rng.range(0.0, 12.0) as f32, nav, steer }
}
