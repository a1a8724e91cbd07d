//! Frame bookkeeping: order, age and silence, freeze and brightness, ego state.

use core::cmp::Ordering;

use caril_core::{EgoState, Fault, FaultSet, Frame, FrameId, GateConfig, NavCommand};

use crate::memory::Words;
use crate::{ImageCheck, Manoeuvre, Steering, rule};

/// Slower than this, in m/s, an unchanging picture is no sign of a frozen camera.
pub const FROZEN_SPEED_MPS: f32 = 0.5;
/// Faster than this, in m/s, is no speed of a car: the ego state is invalid.
pub const PLAUSIBLE_SPEED_MPS: f32 = 100.0;

const NS_PER_MS: u64 = 1_000_000;

/// A frame without its picture.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FrameMeta {
    /// Its number.
    pub id: FrameId,
    /// Plant time, nanoseconds.
    pub sim_time_ns: u64,
    /// When it arrived here, nanoseconds, on the clock of `now_ns`.
    pub received_ns: u64,
    /// Older frames that the loop itself threw away before this one: they are no gap.
    pub dropped: u32,
    /// The vehicle.
    pub ego: EgoState,
    /// The navigation's advisory speed, m/s; NaN if unknown.
    pub advisory_speed_mps: f32,
    /// Where the route goes.
    pub nav: NavCommand,
}

impl FrameMeta {
    /// What a frame says beside its picture; `dropped` as the world's observation said.
    pub const fn of(frame: &Frame, dropped: u32) -> Self {
        Self {
            id: frame.id,
            sim_time_ns: frame.sim_time_ns,
            received_ns: frame.received_ns,
            dropped,
            ego: frame.ego,
            advisory_speed_mps: frame.advisory_speed_mps,
            nav: frame.nav,
        }
    }
}

/// Memory of the frames seen.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Monitor {
    /// Id and plant time of the last fresh frame.
    last: Option<(FrameId, u64)>,
    /// When the last fresh frame was acted on, or the first call.
    fresh_ns: Option<u64>,
    fingerprint: u64,
    /// Equal pictures in a row while moving, the first included.
    equal: u32,
    speed_mps: f32,
}

impl Monitor {
    /// The last known speed, m/s; always finite and plausible.
    pub const fn speed_mps(&self) -> f32 {
        self.speed_mps
    }

    /// The speed that an ego state tells if it is plausible, else the last known, m/s.
    pub fn speed_of(&self, ego: &EgoState) -> f32 {
        // False for what is no number.
        if ego.speed_mps.abs() <= PLAUSIBLE_SPEED_MPS { ego.speed_mps } else { self.speed_mps }
    }

    /// Id of the last fresh frame; 0 before the first.
    pub fn frame_id(&self) -> FrameId {
        self.last.map_or(FrameId(0), |(id, _)| id)
    }

    /// Plant time of the last fresh frame, nanoseconds; 0 before the first.
    pub fn sim_time_ns(&self) -> u64 {
        self.last.map_or(0, |(_, time_ns)| time_ns)
    }

    pub(crate) fn walk(&mut self, w: &mut Words) {
        let Self { last, fresh_ns, fingerprint, equal, speed_mps } = self;
        let (mut id, mut time_ns) = (last.map(|(id, _)| id.0), last.map_or(0, |(_, t)| t));
        w.option(&mut id);
        w.u64(&mut time_ns);
        *last = id.map(|id| (FrameId(id), time_ns));
        w.option(fresh_ns);
        w.u64(fingerprint);
        w.u32(equal);
        w.finite(speed_mps);
    }

    /// Looks at a frame. Returns its faults and whether it is fresh: newer than all before. A
    /// frame that is not changes nothing here: its ego state and its picture are old.
    pub fn frame(
        &mut self,
        config: &GateConfig,
        now_ns: u64,
        meta: &FrameMeta,
        image: &ImageCheck,
    ) -> (FaultSet, bool) {
        let mut faults = self.silence(config, now_ns);
        let order = self.order(meta);
        faults = faults.union(order);
        let fresh = !holds_steer(order);
        if fresh {
            self.last = Some((meta.id, meta.sim_time_ns));
            self.fresh_ns = Some(now_ns);
            if now_ns.saturating_sub(meta.received_ns) > ms(config.stale_ms) {
                faults.insert(Fault::FrameStale);
            }
            let speed_mps = self.speed_of(&meta.ego);
            // A speed that is one counts, whatever else is wrong with the ego state.
            self.speed_mps = speed_mps;
            if !meta.ego.is_finite() || meta.ego.speed_mps != speed_mps {
                faults.insert(Fault::EgoInvalid);
            }
            faults = faults.union(self.picture(config, image));
        }
        (faults, fresh)
    }

    /// Faults of not having had a fresh frame for so long.
    pub fn silence(&mut self, config: &GateConfig, now_ns: u64) -> FaultSet {
        let since = *self.fresh_ns.get_or_insert(now_ns);
        let silent_ns = now_ns.saturating_sub(since);
        [
            (Fault::FrameLate, config.late_ms),
            (Fault::FrameMissing, config.missing_ms),
            (Fault::PlantGone, config.gone_ms),
        ]
        .into_iter()
        .filter(|(_, limit)| silent_ns > ms(*limit))
        .map(|(fault, _)| fault)
        .collect()
    }

    fn order(&self, meta: &FrameMeta) -> FaultSet {
        let Some((id, time_ns)) = self.last else {
            return FaultSet::EMPTY;
        };
        let expected = id.0.saturating_add(1).saturating_add(u64::from(meta.dropped));
        match meta.id.cmp(&id) {
            Ordering::Equal => FaultSet::of(Fault::FrameRepeated),
            Ordering::Less => FaultSet::of(Fault::FrameOutOfOrder),
            Ordering::Greater if meta.sim_time_ns <= time_ns => {
                FaultSet::of(Fault::FrameOutOfOrder)
            }
            Ordering::Greater if meta.id.0 > expected => FaultSet::of(Fault::FrameGap),
            Ordering::Greater => FaultSet::EMPTY,
        }
    }

    fn picture(&mut self, config: &GateConfig, image: &ImageCheck) -> FaultSet {
        if image.malformed {
            return FaultSet::of(Fault::ImageMalformed);
        }
        let mut faults = FaultSet::EMPTY;
        // Once frozen, only another picture ends it: at a standstill every picture is equal, and
        // the car must not creep on between a stop and the next discovery.
        let frozen = self.equal >= config.frozen_frames;
        let judged = self.speed_mps.abs() > FROZEN_SPEED_MPS || frozen;
        self.equal = if image.fingerprint == self.fingerprint && judged {
            self.equal.saturating_add(1)
        } else {
            1
        };
        self.fingerprint = image.fingerprint;
        if self.equal >= config.frozen_frames {
            faults.insert(Fault::ImageFrozen);
        }
        if image.mean_luma.is_nan() || image.mean_luma <= config.black_mean {
            faults.insert(Fault::ImageBlack);
        } else if image.mean_luma >= config.blown_out_mean {
            faults.insert(Fault::ImageBlownOut);
        }
        faults
    }
}

/// Whether a fault in the set forbids the use of this step's prediction.
pub(crate) fn holds_steer(faults: FaultSet) -> bool {
    faults.iter().any(|fault| rule(fault).steering == Steering::Held)
}

/// The hardest manoeuvre that the set asks for.
pub(crate) fn manoeuvre_of(faults: FaultSet) -> Option<Manoeuvre> {
    faults.iter().map(|fault| rule(fault).manoeuvre).max()
}

fn ms(ms: u32) -> u64 {
    u64::from(ms).saturating_mul(NS_PER_MS)
}

#[cfg(test)]
mod tests;
