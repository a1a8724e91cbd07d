//! A scripted plant and a scripted network with every fault that either can have.

use caril_core::{
    BIN_COUNT, Calibration, CameraSpec, Command, CounterRng, EgoState, Fault, Frame, FrameId,
    InputSpec, Lift, NavCommand, Observation, Observed, PACK_FORMAT, Pacing, PlantInfo, Policy,
    PolicyCard, PolicyInputs, Prediction, TrainingFacts, Truth, World,
};

fn camera() -> CameraSpec {
    CameraSpec { width: 16, height: 16, ..CameraSpec::PAPER }
}

/// A plant in which about every third frame something is wrong.
pub struct Trouble {
    info: PlantInfo,
    seed: u64,
    calls: u64,
    id: u64,
}

impl Trouble {
    pub fn new(seed: u64) -> Self {
        let info = PlantInfo {
            name: "trouble".into(),
            map: "none".into(),
            weather: "ClearNoon".into(),
            camera: camera(),
            rate_hz: 20.0,
            pacing: Pacing::Lockstep,
            route: Vec::new(),
        };
        Self { info, seed, calls: 0, id: 0 }
    }
}

impl World for Trouble {
    fn info(&self) -> &PlantInfo {
        &self.info
    }

    fn observe(&mut self, frame: &mut Frame, _timeout_ns: u64) -> Observation {
        self.calls += 1;
        let mut r = CounterRng::new(self.seed, self.calls);
        let mut seen = Observation::plain(Observed::Fresh);
        // Trouble comes in blocks, so that the gate's counters run up and down.
        let calm = (self.calls / 40).is_multiple_of(2);
        let frozen = self.calls / 40 == 5 && r.below(5) > 0;
        let trouble = match () {
            () if frozen => 8,
            () if calm => 99,
            () => r.below(24),
        };
        match trouble {
            0 | 1 => {
                seen.observed = Observed::Nothing;
                if trouble == 1 {
                    seen.faults.insert(Fault::MessageMalformed);
                }
                return seen;
            }
            2 => {} // The same id again.
            3 => self.id = self.id.saturating_sub(2),
            4 => self.id += 4,
            5 => {
                (self.id, seen.dropped) = (self.id + 3, 2);
            }
            _ => self.id += 1,
        }
        frame.id = FrameId(self.id);
        frame.sim_time_ns = self.id * 50_000_000;
        frame.ego = EgoState {
            speed_mps: r.range(0.0, 12.0) as f32,
            accel_mps2: r.range(-3.0, 3.0) as f32,
            yaw_rate_radps: r.range(-0.5, 0.5) as f32,
            ..EgoState::default()
        };
        frame.ego.pose.x_m = r.range(-500.0, 500.0);
        frame.nav = NavCommand::ALL[r.below(6) as usize];
        frame.advisory_speed_mps = r.range(3.0, 12.0) as f32;
        let expert_steer = r.range(-0.5, 0.5) as f32;
        frame.truth = Some(Truth { expert_steer, ..Truth::default() });
        let least = if (self.calls / 20).is_multiple_of(4) { 5 } else { 60 };
        let value = |r: &mut CounterRng| least + r.below(2 * u64::from(least)) as u8;
        match trouble {
            6 => frame.image.data.fill(0),
            7 => frame.image.data.fill(255),
            8..=12 => frame.image.data.fill(90),
            _ => frame.image.data.iter_mut().for_each(|b| *b = value(&mut r)),
        }
        match trouble {
            13 => frame.ego.speed_mps = f32::NAN,
            14 => frame.ego.pose.y_m = f64::INFINITY,
            15 => frame.advisory_speed_mps = f32::from_bits(0x7fc0_1234),
            16 => seen.faults.insert(Fault::MessageMalformed),
            17 => frame.truth = None,
            _ => {}
        }
        seen
    }

    fn actuate(&mut self, _: &Command) -> Result<(), Fault> {
        if self.calls.is_multiple_of(17) { Err(Fault::PlantGone) } else { Ok(()) }
    }
}

/// A network that looks at picture and speed, and fails now and then; `nudge` is added to its
/// regression.
pub struct Net {
    pub card: PolicyCard,
    pub nudge: f32,
}

impl Net {
    pub fn new() -> Self {
        let card = PolicyCard {
            format: PACK_FORMAT,
            name: "scripted".into(),
            architecture: "none".into(),
            camera: camera(),
            input: InputSpec {
                crop_top: 0.0,
                crop_bottom: 1.0,
                width: 16,
                height: 16,
                scale: [1.0; 3],
                offset: [0.0; 3],
            },
            inputs: PolicyInputs { speed_scale_mps: Some(15.0), nav: true },
            steer_scale: 0.5,
            bin_edges: PolicyCard::standard_bin_edges(),
            calibration: Calibration::default(),
            conformal: None,
            calibrated_on: None,
            colours: None,
            training: TrainingFacts::default(),
            weights_sha256: String::new(),
        };
        Self { card, nudge: 0.0 }
    }
}

impl Policy for Net {
    fn card(&self) -> &PolicyCard {
        &self.card
    }

    fn infer(&mut self, frame: &Frame) -> Result<Prediction, Fault> {
        self.said(frame, 0)
    }

    fn look_again(&mut self, frame: &Frame, lift: &Lift) -> Result<Prediction, Fault> {
        self.said(frame, u64::from(lift.byte(10)))
    }
}

impl Net {
    fn said(&self, frame: &Frame, salt: u64) -> Result<Prediction, Fault> {
        // Colours, not bytes: a lossless picture may come back in another order.
        let image = &frame.image;
        let [red, ..] = image.order.rgb_offsets();
        let sum: u64 = image
            .data
            .chunks_exact(image.order.bytes_per_pixel())
            .enumerate()
            .map(|(k, pixel)| k as u64 * u64::from(pixel[red]))
            .sum();
        if !frame.ego.speed_mps.is_finite() {
            return Err(Fault::EgoInvalid);
        }
        let mut r = CounterRng::new(sum + salt, frame.ego.speed_mps.to_bits().into());
        match r.below(60) {
            0 => return Err(Fault::PredictionNonFinite),
            1 => return Err(Fault::PredictionMalformed),
            2 => return Err(Fault::ImageMalformed),
            _ => {}
        }
        let sharp = r.range(0.2, 8.0);
        let weights: [f64; BIN_COUNT] = std::array::from_fn(|_| r.uniform().powf(sharp) + 1e-6);
        let total: f64 = weights.iter().sum();
        let regression = r.range(-1.0, 1.0) as f32 + self.nudge;
        Prediction::new(regression, weights.map(|w| (w / total) as f32))
            .map_err(|_| Fault::PredictionMalformed)
    }
}
