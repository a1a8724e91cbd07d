//! Our executor as one of the peers.
//!
//! * `random ARCHITECTURE DIR` – writes a pack with random weights.
//! * `onnx DIR FILE` – exports a pack.
//! * `frames DIR N FILE` – writes N normalised input images, f32 `[N][3][height][width]`.
//! * `serve DIR FILE THREADS ISA` – per line `N` on stdin: N predictions, their nanoseconds on one
//!   line of stdout; per line `out`: regression and probabilities of every image, one line each.
//! * `serve8 DIR FILE THREADS ISA` – the same with int8, calibrated on the images of FILE.
//! * `spin NANOS` – serves arithmetic in registers instead of predictions, about NANOS of it each
//!   time: what varies here is the machine.
//! * `check ARCHITECTURE WIDTH HEIGHT FRAMES` – every kernel of this machine on one and two threads,
//!   f32 and int8, on random weights: the same bits everywhere they should be. For Miri and the
//!   sanitizers (CONTRIBUTING.md).
//! * `profile8`, `profile DIR FILE ISA [GFLOPS]` – where the time goes, and at what share of the peak.

use std::collections::BTreeMap;
use std::io::{BufRead as _, Write as _};
use std::path::Path;
use std::time::Instant;

use anyhow::{Context as _, bail};
use caril_core::{Architecture, CameraSpec, CounterRng, Frame, InputSpec, Policy as _, Prediction};
use caril_infer::{CpuPolicy, Isa, Options, export_onnx, invent_pack};

/// Speed and branch of every frame; compare.py uses the same.
const SPEED: f32 = 0.5;
const BRANCH: usize = 0;

fn main() -> anyhow::Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match *args.as_slice() {
        ["random", name, dir] => {
            let architecture = Architecture::from_name(name).context("no such architecture")?;
            let input = architecture.default_input();
            invent_pack(dir.as_ref(), architecture, &CameraSpec::PAPER, input, 1)?;
        }
        ["onnx", dir, file] => std::fs::write(file, export_onnx(dir.as_ref())?)?,
        ["frames", dir, count, file] => frames(dir.as_ref(), count.parse()?, file)?,
        ["serve", dir, file, threads, isa] => {
            let options = Options { threads: threads.parse()?, isa: by_name(isa)? };
            serve(CpuPolicy::load(dir.as_ref(), options)?, file)?;
        }
        ["serve8", dir, file, threads, isa] => {
            let options = Options { threads: threads.parse()?, isa: by_name(isa)? };
            serve(with_bytes(dir.as_ref(), file, options)?, file)?;
        }
        ["profile8", dir, file, isa] => {
            let options = Options { threads: 1, isa: by_name(isa)? };
            profile(with_bytes(dir.as_ref(), file, options)?, file, None)?;
        }
        ["profile", dir, file, isa] => {
            let options = Options { threads: 1, isa: by_name(isa)? };
            profile(CpuPolicy::load(dir.as_ref(), options)?, file, None)?;
        }
        ["profile", dir, file, isa, peak] => {
            let options = Options { threads: 1, isa: by_name(isa)? };
            profile(CpuPolicy::load(dir.as_ref(), options)?, file, Some(peak.parse()?))?;
        }
        ["spin", nanos] => spin(nanos.parse()?)?,
        ["check", name, width, height, frames] => {
            let architecture = Architecture::from_name(name).context("no such architecture")?;
            let (width, height) = (width.parse()?, height.parse()?);
            let input = InputSpec { width, height, ..architecture.default_input() };
            check(architecture, input, frames.parse()?)?;
        }
        _ => bail!("see the beginning of src/main.rs"),
    }
    Ok(())
}

fn by_name(name: &str) -> anyhow::Result<Isa> {
    if name == "best" {
        return Ok(Isa::best());
    }
    Isa::ALL.into_iter().find(|isa| isa.name() == name).context("no such instruction set")
}

/// Runs everything that there is to run on a small network.
fn check(architecture: Architecture, input: InputSpec, frames: u64) -> anyhow::Result<()> {
    let folder = std::env::temp_dir().join(format!("caril-check-{}", std::process::id()));
    // A camera of the network's size: the resize is safe code and tested elsewhere.
    let camera = CameraSpec { width: input.width, height: input.height, ..CameraSpec::PAPER };
    invent_pack(&folder, architecture, &camera, input, 1)?;
    let image = |seed: u64| -> Vec<f32> {
        let mut rng = CounterRng::new(3, seed);
        (0..3 * input.width * input.height).map(|_| rng.range(-1.0, 1.0) as f32).collect()
    };
    let images: Vec<Vec<f32>> = (0..frames).map(image).collect();
    let bits = |p: Prediction| -> Vec<u32> {
        p.probs().iter().chain([&p.regression()]).map(|v| v.to_bits()).collect()
    };
    let run = |policy: &mut CpuPolicy| -> anyhow::Result<Vec<Vec<u32>>> {
        let one = |image: &Vec<f32>| match policy.infer_tensor(image, SPEED, BRANCH) {
            Ok(p) => Ok(bits(p)),
            Err(fault) => bail!("{fault:?}"),
        };
        images.iter().map(one).collect()
    };
    let mut ranges: Vec<[f32; 2]> = Vec::new();
    let mut first: Option<Vec<Vec<u32>>> = None;
    for isa in Isa::ALL.into_iter().filter(|isa| isa.is_available()) {
        let one = Options { threads: 1, isa };
        let mut floats = CpuPolicy::load(&folder, one)?;
        let want = run(&mut floats)?;
        floats.widen(BRANCH, &mut ranges);
        let bytes = CpuPolicy::load_int8(&folder, one, ranges.clone(), |_| {});
        let want8 = run(&mut bytes?)?;
        let two = Options { threads: 2, isa };
        if run(&mut CpuPolicy::load(&folder, two)?)? != want
            || run(&mut CpuPolicy::load_int8(&folder, two, ranges.clone(), |_| {})?)? != want8
        {
            bail!("{}: other bits on two threads", isa.name());
        }
        let pairs =
            first.get_or_insert_with(|| want.clone()).iter().zip(&want).flat_map(|(a, b)| {
                a.iter().zip(b).map(|(a, b)| (f32::from_bits(*a) - f32::from_bits(*b)).abs())
            });
        let off = pairs.fold(0.0, f32::max);
        if off > if isa == Isa::Portable { 1e-4 } else { 0.0 } {
            bail!("{}: {off} from the first kernels", isa.name());
        }
        println!(
            "{} {}: {frames} frames, f32 and int8, 1 and 2 threads",
            architecture.name(),
            isa.name()
        );
    }
    Ok(std::fs::remove_dir_all(&folder)?)
}

/// Something like a road: a gradient with edges, and noise.
fn picture(camera: &CameraSpec, seed: u64) -> Frame {
    let mut frame = Frame::for_camera(camera);
    let mut rng = CounterRng::new(5, seed);
    let (lean, width) = (rng.range(-0.4, 0.4), camera.width as usize);
    for (i, pixel) in frame.image.data.chunks_exact_mut(4).enumerate() {
        let (x, y) = (i % width, i / width);
        let middle = width as f64 * (0.5 + lean * (1.0 - y as f64 / f64::from(camera.height)));
        let road = (x as f64 - middle).abs() < 0.3 * y as f64;
        let base = if road { 90 } else { 40 + (y % 120) as u64 };
        pixel.iter_mut().for_each(|byte| *byte = (base + rng.below(60)).min(255) as u8);
    }
    frame
}

fn frames(dir: &Path, count: u64, file: &str) -> anyhow::Result<()> {
    let mut policy = CpuPolicy::load(dir, Options::default())?;
    let camera = policy.card().camera;
    let mut out = std::io::BufWriter::new(std::fs::File::create(file)?);
    for seed in 0..count {
        let values = policy.tensor(&picture(&camera, seed)).context("the picture does not fit")?;
        for value in values {
            out.write_all(&value.to_le_bytes())?;
        }
    }
    Ok(out.flush()?)
}

fn read(policy: &CpuPolicy, file: &str) -> anyhow::Result<Vec<Vec<f32>>> {
    let input = &policy.card().input;
    let bytes = std::fs::read(file)?;
    let (values, _) = bytes.as_chunks::<4>();
    let values: Vec<f32> = values.iter().map(|b| f32::from_le_bytes(*b)).collect();
    Ok(values
        .chunks_exact((3 * input.width * input.height) as usize)
        .map(<[f32]>::to_vec)
        .collect())
}

fn with_bytes(dir: &Path, file: &str, options: Options) -> anyhow::Result<CpuPolicy> {
    let mut policy = CpuPolicy::load(dir, options)?;
    let mut ranges = Vec::new();
    for image in read(&policy, file)? {
        let _ = policy.infer_tensor(&image, SPEED, BRANCH);
        policy.widen(BRANCH, &mut ranges);
    }
    Ok(CpuPolicy::load_int8(dir, options, ranges, |_| {})?)
}

fn serve(mut policy: CpuPolicy, file: &str) -> anyhow::Result<()> {
    let images = read(&policy, file)?;
    let predict = |policy: &mut CpuPolicy, image: &Vec<f32>| {
        policy.infer_tensor(image, SPEED, BRANCH).map_err(|f| anyhow::anyhow!("{f:?}"))
    };
    let mut next = 0;
    let mut out = std::io::stdout();
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        if line == "out" {
            let mut text = String::new();
            for image in &images {
                let p = predict(&mut policy, image)?;
                text += &p.regression().to_string();
                p.probs().iter().for_each(|v| text += &format!(" {v}"));
                text += "\n";
            }
            out.write_all(text.as_bytes())?;
        } else {
            answer(&line, &mut out, || {
                let image = images.get(next % images.len()).context("no images")?;
                next += 1;
                predict(&mut policy, image).map(|_| ())
            })?;
        }
        out.flush()?;
    }
    Ok(())
}

/// Does something as often as a line asks, and answers how long each took.
fn answer(
    line: &str,
    out: &mut impl std::io::Write,
    mut work: impl FnMut() -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let mut text = String::new();
    for _ in 0..line.parse::<usize>()? {
        let start = Instant::now();
        work()?;
        text += &format!("{} ", start.elapsed().as_nanos());
    }
    Ok(writeln!(out, "{text}")?)
}

/// Serves a loop that depends on nothing but the core: its clock, and who else uses its arithmetic
/// units (another thread of the same core, perhaps another tenant's).
fn spin(nanos: f64) -> anyhow::Result<()> {
    let turn = |count: u64| {
        // Twelve registers of four: enough independent sums to keep the units busy.
        let mut x = std::hint::black_box([1.0f32; 48]);
        for _ in 0..count {
            x.iter_mut().for_each(|x| *x = *x * 0.999 + 1.0);
        }
        std::hint::black_box(x);
    };
    let timed = |count: u64| {
        let start = Instant::now();
        turn(count);
        start.elapsed().as_nanos() as f64
    };
    let least = (0..20).map(|_| timed(100_000)).fold(f64::INFINITY, f64::min);
    let count = (nanos / least * 1e5) as u64;
    let mut out = std::io::stdout();
    for line in std::io::stdin().lock().lines() {
        answer(&line?, &mut out, || {
            turn(count);
            Ok(())
        })?;
        out.flush()?;
    }
    Ok(())
}

fn profile(mut policy: CpuPolicy, file: &str, peak: Option<f64>) -> anyhow::Result<()> {
    let images = read(&policy, file)?;
    let image = images.first().context("no images")?;
    let _ = policy.infer_tensor(image, SPEED, BRANCH);
    let frame = picture(&policy.card().camera, 0);
    let mut least = policy.profile(&frame);
    let mut whole = u64::MAX;
    for _ in 0..300 {
        for (least, now) in least.iter_mut().zip(policy.profile(&frame)) {
            least.ns = least.ns.min(now.ns);
        }
        let start = Instant::now();
        let _ = policy.infer_tensor(image, SPEED, BRANCH);
        whole = whole.min(start.elapsed().as_nanos() as u64);
    }
    let mut kinds: BTreeMap<&str, (usize, u64)> = BTreeMap::new();
    let mut text = String::new();
    let mut line = |name: &str, macs: usize, ns: u64| {
        let gflops = 2.0 * macs as f64 / ns.max(1) as f64;
        let share = peak.map_or_else(String::new, |p| format!("{:6.1} %", 100.0 * gflops / p));
        text += &format!("{name:40} {:9.1} us {gflops:8.1} GFLOP/s {share}\n", ns as f64 * 1e-3);
    };
    for stage in &least {
        let (macs, ns) = kinds.entry(stage.name).or_default();
        *macs += stage.macs;
        *ns += stage.ns;
        line(&stage.what, stage.macs, stage.ns);
    }
    for (name, (macs, ns)) in &kinds {
        line(&format!("all {name}"), *macs, *ns);
    }
    line("tensor to prediction, best", policy.macs(), whole);
    std::io::stdout().write_all(text.as_bytes())?;
    Ok(())
}
