//! A policy pack on the CPU executor, behind the `Policy` trait.

use std::path::Path;
use std::time::Instant;

use caril_core::{
    BIN_COUNT, Fault, Frame, Lift, Policy, PolicyCard, Prediction, PredictionError, Preprocessor,
    branch_of, softmax,
};
use caril_pack::{PackError, WEIGHTS_FILE};

use crate::build::Watched;
use crate::kernel::{self, Isa, Program};
use crate::net::Net;
use crate::{InferError, bpk};

/// How the executor runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// 1 or 2; the bits of the predictions do not depend on it.
    pub threads: usize,
    /// Which kernels.
    pub isa: Isa,
}

impl Default for Options {
    /// One thread, the machine's fastest kernels.
    fn default() -> Self {
        Self { threads: 1, isa: Isa::best() }
    }
}

/// What one stage of a prediction took.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StageTime {
    /// Sizes, for reading.
    pub what: String,
    /// Kind of the stage: `input` (preprocessing), `conv` (dense layers too), `depthwise`, ….
    pub name: &'static str,
    /// Its multiply–adds, channels of padding included.
    pub macs: usize,
    /// Nanoseconds.
    pub ns: u64,
}

/// A network that drives: from camera frame to prediction without an allocation.
#[derive(Debug)]
pub struct CpuPolicy {
    card: PolicyCard,
    preprocessor: Preprocessor,
    program: Program,
    /// Per row of the input: where in the arena it begins.
    rows: Vec<usize>,
    watched: Vec<Watched>,
    speed: Option<usize>,
    output: usize,
    /// Whether convolutions read bytes.
    bytes: bool,
}

impl CpuPolicy {
    /// Loads a pack, checks everything, packs the weights for the kernels and runs once on a black
    /// image, so that the first frame is not the slow one.
    ///
    /// # Errors
    /// [`InferError`], naming the first thing that is wrong.
    pub fn load(dir: &Path, options: Options) -> Result<Self, InferError> {
        Self::load_with(dir, options, |_| {})
    }

    /// Like [`CpuPolicy::load`] with a changed card: another camera or calibration. The network's
    /// input is that of its weights.
    ///
    /// # Errors
    /// As [`CpuPolicy::load`].
    pub fn load_with(
        dir: &Path,
        options: Options,
        change: impl FnOnce(&mut PolicyCard),
    ) -> Result<Self, InferError> {
        Self::open(dir, options, None, change)
    }

    /// With convolutions on bytes where [`CpuPolicy::ranges`] has been measured; those whose range
    /// has no extent (`[0, 0]`) stay in f32.
    ///
    /// # Errors
    /// As [`CpuPolicy::load`], and if the ranges are those of another network.
    pub fn load_int8(
        dir: &Path,
        options: Options,
        ranges: Vec<[f32; 2]>,
        change: impl FnOnce(&mut PolicyCard),
    ) -> Result<Self, InferError> {
        Self::open(dir, options, Some(ranges), change)
    }

    fn open(
        dir: &Path,
        options: Options,
        ranges: Option<Vec<[f32; 2]>>,
        change: impl FnOnce(&mut PolicyCard),
    ) -> Result<Self, InferError> {
        let (mut card, architecture, weights) = caril_pack::load(dir)?;
        change(&mut card);
        // A recording's card, for one, may hold anything.
        card.validate().map_err(|source| PackError::Card { source, path: dir.to_path_buf() })?;
        let path = || dir.join(WEIGHTS_FILE);
        let tensors =
            bpk::read(&weights).map_err(|message| PackError::Weights { message, path: path() })?;
        let (input, isa) = (&card.input, options.isa);
        let bytes = ranges.is_some();
        let net = match ranges {
            None => Net::new(architecture, input, tensors, isa),
            Some(ranges) => Net::with_bytes(architecture, input, tensors, isa, ranges),
        };
        let net = net.map_err(|detail| PackError::Tensors {
            architecture: architecture.name(),
            detail,
            path: path(),
        })?;
        let program = Program::new(net.ops, net.len, options.isa, options.threads)?;
        let rows = (0..net.image.size[0]).map(|row| net.image.at(row, 0)).collect();
        let preprocessor = Preprocessor::for_card(&card);
        let Net { speed, output, watched, .. } = net;
        let mut policy = Self { card, preprocessor, program, rows, watched, speed, output, bytes };
        let frame = Frame::for_camera(&policy.card.camera);
        // A prediction or a fault; both have touched all memory.
        let _ = policy.infer(&frame);
        Ok(policy)
    }

    /// Which kernels run.
    pub const fn isa(&self) -> Isa {
        self.program.isa()
    }

    /// Multiply–adds of one prediction, padding included.
    pub fn macs(&self) -> usize {
        self.program.ops().iter().map(kernel::Op::macs).sum()
    }

    /// Times of the stages of one prediction on this thread, for benches. Allocates.
    pub fn profile(&mut self, frame: &Frame) -> Vec<StageTime> {
        let start = Instant::now();
        let _ = self.input(frame, None);
        let ns = start.elapsed().as_nanos() as u64;
        let first = StageTime { what: "input".to_owned(), name: "input", macs: 0, ns };
        let ns = self.program.profile(branch_of(frame.nav));
        let stage = |(op, ns): (&kernel::Op, u64)| StageTime {
            what: op.describe(),
            name: op.name(),
            macs: op.macs(),
            ns,
        };
        [first].into_iter().chain(self.program.ops().iter().zip(ns).map(stage)).collect()
    }

    /// A prediction from what other runtimes get: the normalised image `[3][height][width]`, the
    /// normalised speed and the branch of the command ([`branch_of`]). For comparisons with them.
    ///
    /// # Errors
    /// As [`Policy::infer`].
    pub fn infer_tensor(
        &mut self,
        image: &[f32],
        speed: f32,
        branch: usize,
    ) -> Result<Prediction, Fault> {
        let spec = &self.card.input;
        let (width, height) = (spec.width as usize, spec.height as usize);
        let plane = width * height;
        // Bytes have no NaN: `int8` would take it for black.
        if image.len() != 3 * plane || (self.bytes && !image.iter().all(|v| v.is_finite())) {
            return Err(Fault::ImageMalformed);
        }
        let (red, rest) = image.split_at(plane);
        let (green, blue) = rest.split_at(plane);
        let lines = red.chunks_exact(width).zip(green.chunks_exact(width));
        let lines = lines.zip(blue.chunks_exact(width)).zip(&self.rows);
        for (((red, green), blue), start) in lines {
            let row = self.program.arena().get_mut(*start..*start + 3 * width);
            let (row, _) = row.ok_or(Fault::ImageMalformed)?.as_chunks_mut::<3>();
            for (((pixel, r), g), b) in row.iter_mut().zip(red).zip(green).zip(blue) {
                *pixel = [*r, *g, *b];
            }
        }
        self.forward(speed, branch)
    }

    /// Widens `ranges` to what the convolutions that could read bytes read of this frame; empty at
    /// the first. On a policy that computes with f32. Allocates.
    pub fn ranges(&mut self, frame: &Frame, ranges: &mut Vec<[f32; 2]>) -> Option<()> {
        self.input(frame, None)?;
        self.widen(branch_of(frame.nav), ranges);
        Some(())
    }

    /// [`Self::ranges`] of what [`Self::infer_tensor`] saw last.
    pub fn widen(&mut self, branch: usize, ranges: &mut Vec<[f32; 2]>) {
        ranges.resize(self.watched.len(), [0.0; 2]);
        let watched = &self.watched;
        self.program.watch(branch, &mut |op, arena| {
            for (watched, [low, high]) in watched.iter().zip(ranges.iter_mut()) {
                let values = arena.get(watched.span.clone()).filter(|_| watched.op == op);
                for value in values.unwrap_or(&[]) {
                    *low = low.min(*value);
                    *high = high.max(*value);
                }
            }
        });
    }

    /// The normalised input of a frame, `[3][height][width]`, for other runtimes. Allocates.
    pub fn tensor(&mut self, frame: &Frame) -> Option<Vec<f32>> {
        let spec = &self.card.input;
        let mut values = vec![0.0; (3 * spec.width * spec.height) as usize];
        self.preprocessor.input(&frame.image, &mut values)?;
        Some(values)
    }

    /// The normalised image, brightened or not, into the arena.
    fn input(&mut self, frame: &Frame, lift: Option<&Lift>) -> Option<()> {
        let spec = &self.card.input;
        let (scale, offset) = (spec.scale, spec.offset);
        let width = spec.width as usize * 3;
        kernel::rgb(self.program.isa(), &mut self.preprocessor, &frame.image)?;
        let rgb = self.preprocessor.lifted(lift);
        let arena = self.program.arena();
        for (bytes, start) in rgb.chunks_exact(width).zip(&self.rows) {
            let row = arena.get_mut(*start..*start + width)?;
            let (row, _) = row.as_chunks_mut::<3>();
            let (bytes, _) = bytes.as_chunks::<3>();
            for (values, bytes) in row.iter_mut().zip(bytes) {
                for (((value, byte), scale), offset) in
                    values.iter_mut().zip(bytes).zip(scale).zip(offset)
                {
                    *value = f32::from(*byte) * scale + offset;
                }
            }
        }
        Some(())
    }
}

impl Policy for CpuPolicy {
    fn card(&self) -> &PolicyCard {
        &self.card
    }

    fn infer(&mut self, frame: &Frame) -> Result<Prediction, Fault> {
        self.look(frame, None)
    }

    fn look_again(&mut self, frame: &Frame, lift: &Lift) -> Result<Prediction, Fault> {
        self.look(frame, Some(lift))
    }
}

impl CpuPolicy {
    fn look(&mut self, frame: &Frame, lift: Option<&Lift>) -> Result<Prediction, Fault> {
        let speed = match self.card.inputs.speed_scale_mps {
            Some(scale) => frame.ego.speed_mps / scale,
            None => 0.0,
        };
        self.input(frame, lift).ok_or(Fault::ImageMalformed)?;
        self.forward(speed, branch_of(frame.nav))
    }

    /// From the image in the arena to the prediction.
    fn forward(&mut self, speed: f32, branch: usize) -> Result<Prediction, Fault> {
        if !speed.is_finite() {
            return Err(Fault::EgoInvalid);
        }
        if let Some(place) = self.speed.and_then(|at| self.program.arena().get_mut(at)) {
            *place = speed;
        }
        self.program.run(branch);
        let output = self.program.arena().get(self.output..).and_then(<[f32]>::first_chunk);
        let output: &[f32; BIN_COUNT + 1] = output.ok_or(Fault::PredictionMalformed)?;
        let [logits @ .., regression] = *output;
        Prediction::new(regression, softmax(logits)).map_err(|e| match e {
            PredictionError::NonFinite => Fault::PredictionNonFinite,
            PredictionError::Malformed => Fault::PredictionMalformed,
        })
    }
}
