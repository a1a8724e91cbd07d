//! Behaviour: one validated tree. `config/default.toml` holds the same values as `Default`
//! (tested), and a file may give any part of it.

use serde::{Deserialize, Serialize};

use crate::Calibration;

/// Which correction is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CorrectionMode {
    /// The regression as it is.
    Off,
    /// The paper's rule with its hand-set thresholds.
    Paper,
    /// Calibrated probabilities with hysteresis: a second look at a dark picture, and in doubt a
    /// speed cap.
    #[default]
    Calibrated,
}

/// Correction of the network's action.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CorrectionConfig {
    /// Which one.
    pub mode: CorrectionMode,
    /// Mode `calibrated`: the cap on the speed at the lowest confidence, m/s.
    pub speed_cap_min_mps: f32,
    /// Mode `calibrated`: the cap where the correction engages, m/s.
    pub speed_cap_max_mps: f32,
    /// Mode `calibrated`: look at a dark picture once more, brightened and with its colours balanced,
    /// and steer by that.
    pub second_look: bool,
    /// Mode `calibrated`: engages below this mass of argmax ± 1 instead of the card's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mass_enter: Option<f32>,
    /// Lets go above this instead of the card's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mass_exit: Option<f32>,
    /// The speed cap is lowest at and below this instead of the card's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mass_floor: Option<f32>,
}

impl CorrectionConfig {
    /// Whether there are second looks at all: a frame may then take the network's time twice.
    pub fn looks_again(&self) -> bool {
        self.mode == CorrectionMode::Calibrated && self.second_look
    }

    /// A card's calibration with the thresholds that are given here instead of its own.
    ///
    /// # Errors
    /// [`ConfigError`] if they are not 0 ≤ floor ≤ enter ≤ exit < 1 together.
    pub fn over(&self, card: &Calibration) -> Result<Calibration, ConfigError> {
        let calibration = Calibration {
            mass_enter: self.mass_enter.unwrap_or(card.mass_enter),
            mass_exit: self.mass_exit.unwrap_or(card.mass_exit),
            mass_floor: self.mass_floor.unwrap_or(card.mass_floor),
            ..*card
        };
        // A card's own were judged when it was read.
        if calibration == *card {
            return Ok(calibration);
        }
        let (floor, exit) = (calibration.mass_floor, calibration.mass_exit);
        if 0.0 <= floor
            && floor <= calibration.mass_enter
            && calibration.mass_enter <= exit
            && exit < 1.0
        {
            return Ok(calibration);
        }
        Err(ConfigError {
            field: "correction.mass_floor, mass_enter, mass_exit",
            expected: "0 to less than 1 and rising, with the card's where they are not given",
        })
    }
}

impl Default for CorrectionConfig {
    fn default() -> Self {
        Self {
            mode: CorrectionMode::Calibrated,
            speed_cap_min_mps: 5.5,
            speed_cap_max_mps: 10.0,
            second_look: true,
            mass_enter: None,
            mass_exit: None,
            mass_floor: None,
        }
    }
}

/// Which longitudinal control is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LongitudinalMode {
    /// The paper's: throttle 0.5 below 15 m/s, else 0, no brake.
    Paper,
    /// Target speed limited by advisory, curvature and confidence, with brake.
    #[default]
    Cruise,
}

/// Longitudinal control.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LongitudinalConfig {
    /// Which one.
    pub mode: LongitudinalMode,
    /// Target speed where nothing limits it, m/s.
    pub cruise_speed_mps: f32,
    /// Target speed while the route turns left or right at a junction, from the announcement on,
    /// m/s. A turn begun late is run wide by the square of the speed.
    pub turn_speed_mps: f32,
    /// Lateral acceleration that the present steer may cause, m/s².
    pub lateral_accel_mps2: f32,
    /// Comfortable acceleration, m/s².
    pub accel_mps2: f32,
    /// Comfortable deceleration, m/s².
    pub decel_mps2: f32,
    /// Acceleration asked for per m/s of speed error, 1/s.
    pub gain_per_s: f32,
    /// Acceleration at full throttle, m/s², to turn acceleration into throttle.
    pub full_throttle_mps2: f32,
    /// Deceleration at full brake, m/s².
    pub full_brake_mps2: f32,
}

impl Default for LongitudinalConfig {
    fn default() -> Self {
        Self {
            mode: LongitudinalMode::Cruise,
            cruise_speed_mps: 12.0,
            turn_speed_mps: 4.5,
            lateral_accel_mps2: 2.0,
            accel_mps2: 1.8,
            decel_mps2: 2.5,
            gain_per_s: 1.2,
            full_throttle_mps2: 4.0,
            full_brake_mps2: 8.0,
        }
    }
}

/// What no command may exceed.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LimitsConfig {
    /// |steer|, CARLA scale.
    pub steer_max: f32,
    /// Change of steer per second, CARLA scale.
    pub steer_rate_max_per_s: f32,
    /// Lateral acceleration at the present speed, m/s².
    pub lateral_accel_max_mps2: f32,
    /// Lateral jerk at the present speed, m/s³.
    pub lateral_jerk_max_mps3: f32,
    /// Wheelbase, metres (Tesla Model 3).
    pub wheelbase_m: f32,
    /// Wheel angle at full steer, degrees.
    pub wheel_angle_max_deg: f32,
}

impl Default for LimitsConfig {
    fn default() -> Self {
        Self {
            steer_max: 0.7,
            steer_rate_max_per_s: 1.5,
            lateral_accel_max_mps2: 3.0,
            lateral_jerk_max_mps3: 5.0,
            wheelbase_m: 2.875,
            wheel_angle_max_deg: 70.0,
        }
    }
}

/// When the gate calls something a fault, and how it brakes. docs/safety.md is the same table.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GateConfig {
    /// No frame for so long is `frame_late`, ms.
    pub late_ms: u32,
    /// No frame for so long is `frame_missing`, ms.
    pub missing_ms: u32,
    /// No frame for so long is `plant_gone`, ms.
    pub gone_ms: u32,
    /// A frame older than this when it is acted on is `frame_stale`, ms.
    pub stale_ms: u32,
    /// A step longer than this is `deadline_overrun`, ms.
    pub deadline_ms: u32,
    /// So many equal pictures in a row, while moving, are `image_frozen`.
    pub frozen_frames: u32,
    /// Mean brightness at or below this (0–255) is `image_black`.
    pub black_mean: f32,
    /// Mean brightness at or above this (0–255) is `image_blown_out`.
    pub blown_out_mean: f32,
    /// Clean frames before a recoverable mode is left.
    pub recover_frames: u32,
    /// Frames in a row that a latent fault is tolerated in `Degraded` before a comfortable stop.
    pub tolerate_frames: u32,
    /// Speed cap in `Degraded`, m/s.
    pub degraded_speed_mps: f32,
    /// Deceleration of a comfortable stop, m/s².
    pub comfort_decel_mps2: f32,
    /// Deceleration of a hard stop, m/s².
    pub hard_decel_mps2: f32,
}

impl Default for GateConfig {
    fn default() -> Self {
        Self {
            late_ms: 150,
            missing_ms: 500,
            gone_ms: 2_000,
            stale_ms: 200,
            deadline_ms: 50,
            frozen_frames: 4,
            black_mean: 4.0,
            blown_out_mean: 250.0,
            recover_frames: 20,
            tolerate_frames: 10,
            degraded_speed_mps: 5.0,
            comfort_decel_mps2: 2.5,
            hard_decel_mps2: 7.0,
        }
    }
}

/// How plant and controller keep time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pacing {
    /// The plant waits for the command of each frame.
    #[default]
    Lockstep,
    /// The plant keeps ticking; the newest frame counts.
    Free,
}

/// The drive loop.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LoopConfig {
    /// Frames per second of plant time.
    pub rate_hz: f32,
    /// Who waits for whom.
    pub pacing: Pacing,
    /// Seed of the correction's random numbers and of the embedded world.
    pub seed: u64,
}

impl Default for LoopConfig {
    fn default() -> Self {
        Self { rate_hz: 20.0, pacing: Pacing::Lockstep, seed: 1 }
    }
}

/// The recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RecordConfig {
    /// Every n-th picture is recorded; 0 records none.
    pub image_every: u32,
    /// JPEG quality 1–100.
    pub jpeg_quality: u8,
    /// PNG instead of JPEG, so that a replay sees the very same pixels; several times larger.
    pub lossless: bool,
    /// Pictures waiting for the recorder before new ones are dropped (and counted).
    pub image_queue: u32,
}

impl Default for RecordConfig {
    fn default() -> Self {
        Self { image_every: 1, jpeg_quality: 85, lossless: false, image_queue: 48 }
    }
}

/// All of it.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Correction of the action.
    pub correction: CorrectionConfig,
    /// Longitudinal control.
    pub longitudinal: LongitudinalConfig,
    /// Limits of every command.
    pub limits: LimitsConfig,
    /// Faults and stops.
    pub gate: GateConfig,
    /// The drive loop.
    #[serde(rename = "loop")]
    pub drive_loop: LoopConfig,
    /// The recording.
    pub record: RecordConfig,
}

/// Beyond these a value is a slip of the pen, and would quietly switch a stop off.
const FULL_BRAKE_MAX_MPS2: f32 = 15.0;
const DECEL_MIN_MPS2: f32 = 0.5;
const WAIT_MAX_MS: u32 = 60_000;
const COUNT_MAX: u32 = 1000;

/// A value of the configuration makes no sense.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("configuration: {field} must be {expected}")]
pub struct ConfigError {
    /// Path of the value.
    pub field: &'static str,
    /// What it must be.
    pub expected: &'static str,
}

impl Config {
    /// Checks every value.
    ///
    /// # Errors
    /// [`ConfigError`] naming the first value that makes no sense.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let check = |ok: bool, field, expected| {
            if ok { Ok(()) } else { Err(ConfigError { field, expected }) }
        };
        let positive = |v: f32, field| check(v.is_finite() && v > 0.0, field, "more than 0");
        let (c, l, m, g) = (&self.correction, &self.longitudinal, &self.limits, &self.gate);
        positive(c.speed_cap_min_mps, "correction.speed_cap_min_mps")?;
        check(
            c.speed_cap_max_mps.is_finite() && c.speed_cap_max_mps >= c.speed_cap_min_mps,
            "correction.speed_cap_max_mps",
            "at least speed_cap_min_mps",
        )?;
        positive(l.cruise_speed_mps, "longitudinal.cruise_speed_mps")?;
        positive(l.lateral_accel_mps2, "longitudinal.lateral_accel_mps2")?;
        positive(l.accel_mps2, "longitudinal.accel_mps2")?;
        positive(l.decel_mps2, "longitudinal.decel_mps2")?;
        positive(l.turn_speed_mps, "longitudinal.turn_speed_mps")?;
        positive(l.gain_per_s, "longitudinal.gain_per_s")?;
        positive(l.full_throttle_mps2, "longitudinal.full_throttle_mps2")?;
        // Braking is by this number: with one too high a stop is hardly any.
        check(
            l.full_brake_mps2 > 0.0 && l.full_brake_mps2 <= FULL_BRAKE_MAX_MPS2,
            "longitudinal.full_brake_mps2",
            "more than 0, at most 15",
        )?;
        positive(m.steer_max, "limits.steer_max")?;
        check(m.steer_max <= 1.0, "limits.steer_max", "at most 1")?;
        positive(m.steer_rate_max_per_s, "limits.steer_rate_max_per_s")?;
        positive(m.lateral_accel_max_mps2, "limits.lateral_accel_max_mps2")?;
        // Else the limit bends the path before the speed gives way: the car runs wide.
        check(
            l.lateral_accel_mps2 < m.lateral_accel_max_mps2,
            "longitudinal.lateral_accel_mps2",
            "less than limits.lateral_accel_max_mps2",
        )?;
        positive(m.lateral_jerk_max_mps3, "limits.lateral_jerk_max_mps3")?;
        positive(m.wheelbase_m, "limits.wheelbase_m")?;
        check(
            (1.0..=80.0).contains(&m.wheel_angle_max_deg),
            "limits.wheel_angle_max_deg",
            "1 to 80",
        )?;
        check(
            0 < g.late_ms
                && g.late_ms <= g.missing_ms
                && g.missing_ms <= g.gone_ms
                && g.gone_ms <= WAIT_MAX_MS,
            "gate.late_ms, missing_ms, gone_ms",
            "rising, more than 0, at most 60000",
        )?;
        check(g.stale_ms > 0, "gate.stale_ms", "more than 0")?;
        check(g.deadline_ms > 0, "gate.deadline_ms", "more than 0")?;
        check((2..=COUNT_MAX).contains(&g.frozen_frames), "gate.frozen_frames", "2 to 1000")?;
        check(g.tolerate_frames <= COUNT_MAX, "gate.tolerate_frames", "at most 1000")?;
        check(
            (0.0..=255.0).contains(&g.black_mean)
                && (0.0..=255.0).contains(&g.blown_out_mean)
                && g.black_mean < g.blown_out_mean,
            "gate.black_mean, blown_out_mean",
            "0 to 255 and rising",
        )?;
        check(g.recover_frames > 0, "gate.recover_frames", "more than 0")?;
        positive(g.degraded_speed_mps, "gate.degraded_speed_mps")?;
        check(
            g.comfort_decel_mps2.is_finite() && g.comfort_decel_mps2 >= DECEL_MIN_MPS2,
            "gate.comfort_decel_mps2",
            "at least 0.5",
        )?;
        check(
            g.hard_decel_mps2.is_finite() && g.hard_decel_mps2 >= g.comfort_decel_mps2,
            "gate.hard_decel_mps2",
            "at least comfort_decel_mps2",
        )?;
        check((1.0..=240.0).contains(&self.drive_loop.rate_hz), "loop.rate_hz", "1 to 240")?;
        check((1..=100).contains(&self.record.jpeg_quality), "record.jpeg_quality", "1 to 100")?;
        check((1..=256).contains(&self.record.image_queue), "record.image_queue", "1 to 256")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn default_is_valid_and_nonsense_is_named() {
        assert_eq!(Config::default().validate(), Ok(()));
        let mut c = Config::default();
        c.limits.lateral_accel_max_mps2 = f32::NAN;
        assert_eq!(c.validate().unwrap_err().field, "limits.lateral_accel_max_mps2");
    }

    #[test]
    fn what_would_switch_a_stop_off_is_refused() {
        let refused = |field: &str, change: &dyn Fn(&mut Config)| {
            let mut c = Config::default();
            change(&mut c);
            assert!(c.validate().is_err_and(|e| e.field.contains(field)), "{field}");
        };
        refused("longitudinal.lateral_accel", &|c| c.longitudinal.lateral_accel_mps2 = 3.0);
        refused("full_brake", &|c| c.longitudinal.full_brake_mps2 = 80.0);
        refused("full_brake", &|c| c.longitudinal.full_brake_mps2 = f32::NAN);
        refused("comfort_decel", &|c| c.gate.comfort_decel_mps2 = 0.1);
        refused("gone_ms", &|c| (c.gate.missing_ms, c.gate.gone_ms) = (u32::MAX, u32::MAX));
        refused("frozen_frames", &|c| c.gate.frozen_frames = u32::MAX);
        refused("tolerate_frames", &|c| c.gate.tolerate_frames = u32::MAX);
    }

    #[test]
    fn thresholds_are_the_cards_unless_they_are_given() {
        let card = Calibration::default();
        let none = CorrectionConfig::default();
        assert_eq!(none.over(&card), Ok(card));
        let c = CorrectionConfig { mass_enter: Some(0.85), ..none };
        assert_eq!(c.over(&card), Ok(Calibration { mass_enter: 0.85, ..card }));
        // Above the card's exit, below its floor, no number.
        for bad in [0.95, 0.2, f32::NAN] {
            let c = CorrectionConfig { mass_enter: Some(bad), ..none };
            assert!(c.over(&card).unwrap_err().field.contains("mass_enter"), "{bad}");
        }
        let all = [Some(0.0), Some(0.0), Some(0.9999)];
        let [mass_floor, mass_enter, mass_exit] = all;
        assert!(CorrectionConfig { mass_floor, mass_enter, mass_exit, ..none }.over(&card).is_ok());
        // No mass is above 1: doubt would never end.
        let never = CorrectionConfig { mass_exit: Some(1.0), ..none };
        assert!(never.over(&card).is_err());
    }
}
