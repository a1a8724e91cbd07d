//! Mode `paper` of the built program against the published rule, written a second time here from
//! the paper's words alone: own edges, own entropy, own random numbers.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

const SEED: u64 = 11;
const CLASSES: usize = 11;

/// SplitMix64's finaliser.
fn mix(z: u64) -> u64 {
    let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;

/// Uniform numbers in [0, 1) of (seed, frame id).
struct Uniform(u64, u64);

impl Uniform {
    fn new(seed: u64, frame_id: u64) -> Self {
        Self(mix(mix(seed ^ GOLDEN).wrapping_add(frame_id)), 0)
    }
    fn next(&mut self) -> f64 {
        self.1 += 1;
        (mix(self.0.wrapping_add(self.1.wrapping_mul(GOLDEN))) >> 11) as f64 / 2f64.powi(53)
    }
    fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.next()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.next()).cos()
    }
}

/// The published rule in f64: corrected steer and its regime.
fn paper(r: f64, p: &[f64; CLASSES], frame_id: u64) -> (f64, &'static str) {
    let mut random = Uniform::new(SEED, frame_id);
    let m = p.iter().copied().fold(0.0, f64::max);
    let k = p.iter().position(|v| *v == m).expect("eleven") as i64;
    let entropy: f64 = p.iter().map(|p| -p * (p + 1e-8).ln()).sum();
    let edge = |i: i64| -1.0 + 2.0 * i as f64 / 11.0;
    // numpy.digitize − 1: how many of the twelve edges are at or below r, less one.
    let bin = (0..12).filter(|i| r >= edge(*i)).count() as i64 - 1;
    let mean_of_ten =
        |sample: &mut dyn FnMut() -> f64| (0..10).map(|_| sample()).sum::<f64>() / 10.0;
    let (steer, regime) = if m >= 0.9 && (bin - k).abs() <= 1 {
        (r, "kept")
    } else if m >= 0.9 {
        let mut inside = || edge(k) + (edge(k + 1) - edge(k)) * random.next();
        (mean_of_ten(&mut inside), "paper_bin_mean")
    } else if m < 0.5 && entropy > 1.5 {
        (r, "paper_unsure_kept")
    } else {
        let mean = p.iter().sum::<f64>() / 11.0;
        let variance = p.iter().map(|p| (p - mean).powi(2)).sum::<f64>() / 11.0;
        (mean_of_ten(&mut || r + variance.sqrt() * random.normal()), "paper_noise")
    };
    (steer.clamp(-1.0, 1.0), regime)
}

/// Predictions that spread over all four regimes; numbers as an f32 holds them.
fn predictions() -> Vec<(f64, [f64; CLASSES])> {
    let mut random = Uniform::new(2024, 0);
    (0..600)
        .map(|i| {
            let peak = (random.next() * 11.0) as usize;
            // Near the classes' peak in every second, anywhere and beyond the rim else.
            let near = (peak as f64 - 5.0) * 2.0 / 11.0 + (random.next() - 0.5) * 0.6;
            let r = if i % 4 < 2 { near } else { random.next() * 2.6 - 1.3 };
            let r = f64::from(r as f32);
            // From flat to nearly one class; a second peak in every third.
            let sharp = [0.0, 1.0, 2.0, 4.0, 9.0, 12.0][i % 6];
            let mut weights: [f64; CLASSES] = std::array::from_fn(|_| random.next());
            weights[peak] += sharp * sharp;
            if i % 3 == 0 {
                weights[(peak + 4) % CLASSES] += 0.8 * sharp * sharp;
            }
            let sum: f64 = weights.iter().sum();
            (r, weights.map(|w| f64::from((w / sum) as f32)))
        })
        .collect()
}

#[test]
fn mode_paper_is_the_published_rule() {
    let test = std::env::current_exe().expect("path of the test");
    let program = test.ancestors().nth(2).expect("target folder").join("caril");
    let mut child = Command::new(program)
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(".."))
        .args(["correct", "--mode", "paper", "--seed", &SEED.to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("caril runs");
    let predictions = predictions();
    let mut stdin = child.stdin.take().expect("stdin");
    let lines: String = predictions
        .iter()
        .zip(100..)
        .map(|((r, p), id)| {
            serde_json::json!({"frame_id": id, "regression": r, "probs": p}).to_string() + "\n"
        })
        .collect();
    let writer = std::thread::spawn(move || stdin.write_all(lines.as_bytes()));
    let output = child.wait_with_output().expect("ends");
    writer.join().expect("writer").expect("all was read");
    let answers = String::from_utf8(output.stdout).expect("text");
    assert_eq!(answers.lines().count(), predictions.len());
    let mut counts = std::collections::BTreeMap::new();
    for ((line, (r, p)), id) in answers.lines().zip(&predictions).zip(100_u64..) {
        let answer: serde_json::Value = serde_json::from_str(line).expect("JSON");
        let (steer, regime) = paper(*r, p, id);
        assert_eq!((&answer["frame_id"], &answer["regime"]), (&id.into(), &regime.into()), "{p:?}");
        let got = answer["steer"].as_f64().expect("steer");
        assert!((got - steer).abs() < 1e-5, "frame {id}, {regime}: {got}, expected {steer}");
        *counts.entry(regime).or_insert(0) += 1;
    }
    assert!(counts.len() == 4 && counts.values().all(|n| *n >= 40), "{counts:?}");
}
