//! The hash of a drive: all step records without their times.

use caril_core::{Field, Prediction, StepRecord};
use sha2::{Digest, Sha256};

/// SHA-256 over the canonical bytes of step records: frame, vehicle, route, truth, what the network
/// said, what was decided and every fault, floats by their bits. Left out are times and the
/// picture's check (a picture counts by what the network and the gate made of it).
#[derive(Debug, Clone, Default)]
pub struct StepHash(Sha256);

impl StepHash {
    /// Adds one record. Does not allocate.
    pub fn add(&mut self, r: &StepRecord) {
        let h = &mut self.0;
        let mut u = |v: u64| h.update(v.to_le_bytes());
        u(r.frame_id.0);
        u(r.sim_time_ns);
        u(u64::from(r.dropped));
        u(u64::from(r.nav as u8) | u64::from(r.predicted) << 8 | u64::from(r.second_look) << 16);
        u(u64::from(r.mode as u8) | u64::from(r.command.mode as u8) << 8);
        u(u64::from(r.correction.regime as u8));
        u(u64::from(r.faults.bits()));
        u(r.command.frame_id.0);
        let mut ego = r.ego;
        add_fields(h, ego.pose.fields());
        add_fields(h, ego.fields());
        let mut f = |v: f32| h.update(v.to_bits().to_le_bytes());
        for v in [
            r.advisory_speed_mps,
            r.regression,
            r.confidence,
            r.entropy_nats,
            r.neighbour_mass,
            r.correction.steer,
            r.correction.speed_cap_mps,
            r.correction.confidence,
            r.correction.sigma,
            r.steer_raw,
            r.steer_corrected,
            r.target_speed_mps,
            r.command.steer,
            r.command.throttle,
            r.command.brake,
        ] {
            f(v);
        }
        r.probs.iter().for_each(|p| f(*p));
        f(r.second_regression);
        r.second_probs.iter().for_each(|p| f(*p));
        if let Some(mut truth) = r.truth {
            add_fields(h, truth.fields());
        }
    }

    /// Adds a bare prediction, for comparing networks.
    pub fn add_prediction(&mut self, p: &Prediction) {
        self.0.update(p.regression().to_bits().to_le_bytes());
        for v in p.probs() {
            self.0.update(v.to_bits().to_le_bytes());
        }
    }

    /// Lower-case hex of the hash so far.
    pub fn hex(&self) -> String {
        use std::fmt::Write as _;
        self.0.clone().finalize().iter().fold(String::with_capacity(64), |mut s, b| {
            // Writing into a String cannot fail.
            let _ = write!(s, "{b:02x}");
            s
        })
    }
}

fn add_fields<const N: usize>(h: &mut Sha256, fields: [Field<'_>; N]) {
    for field in fields {
        field.value.put_le(|bytes| h.update(bytes));
    }
}

#[cfg(test)]
mod tests;
