//! The state machine of the modes: faults in, mode and manoeuvre out.

use caril_core::{FaultSet, GateConfig, Mode};

use crate::memory::Words;
use crate::monitor::manoeuvre_of;
use crate::{Manoeuvre, Recovery, rule};

/// Slower than this, in m/s, the car stands.
pub const STANDSTILL_MPS: f32 = 0.2;

pub(crate) const MODES: [Mode; 3] = [Mode::Nominal, Mode::Degraded, Mode::SafeStop];

/// Mode, the manoeuvre under way, and the counters that decide when to leave it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ModeMachine {
    mode: Mode,
    manoeuvre: Manoeuvre,
    /// A fault without recovery has been seen.
    never: bool,
    /// Clean fresh frames in a row (in `SafeStop`: at a standstill).
    clean: u32,
    /// Steps in a row with a latent fault.
    latent: u32,
}

impl Default for ModeMachine {
    fn default() -> Self {
        Self { mode: Mode::Nominal, manoeuvre: Manoeuvre::Slow, never: false, clean: 0, latent: 0 }
    }
}

impl ModeMachine {
    pub(crate) fn walk(&mut self, w: &mut Words) {
        let Self { mode, manoeuvre, never, clean, latent } = self;
        w.one_of(mode, &MODES);
        w.one_of(manoeuvre, &[Manoeuvre::Slow, Manoeuvre::ComfortStop, Manoeuvre::HardStop]);
        w.bool(never);
        w.u32(clean);
        w.u32(latent);
    }

    /// The present mode.
    pub const fn mode(&self) -> Mode {
        self.mode
    }

    /// How the car is being stopped; means something in `SafeStop` only.
    pub const fn manoeuvre(&self) -> Manoeuvre {
        self.manoeuvre
    }

    /// One step: its faults, whether it had a fresh frame, and whether the car stands.
    ///
    /// A stop, once begun, is finished: `SafeStop` is left only after `recover_frames` clean
    /// frames in a row at a standstill, to `Degraded`, and never after a fault without recovery.
    /// A step without a frame and without a fault changes nothing.
    pub fn update(&mut self, config: &GateConfig, faults: FaultSet, fresh: bool, standing: bool) {
        self.never |= faults.iter().any(|fault| rule(fault).recovery == Recovery::Never);
        match manoeuvre_of(faults) {
            Some(manoeuvre) => self.fault(config, manoeuvre),
            None if fresh => self.clean_frame(config, standing),
            None => {}
        }
    }

    fn fault(&mut self, config: &GateConfig, manoeuvre: Manoeuvre) {
        self.clean = 0;
        self.latent = self.latent.saturating_add(1);
        let lasting = self.latent > config.tolerate_frames;
        let wanted = if lasting { manoeuvre.max(Manoeuvre::ComfortStop) } else { manoeuvre };
        self.manoeuvre = self.manoeuvre.max(wanted);
        self.mode = if self.manoeuvre == Manoeuvre::Slow { Mode::Degraded } else { Mode::SafeStop };
    }

    fn clean_frame(&mut self, config: &GateConfig, standing: bool) {
        self.latent = 0;
        let stopping = self.mode == Mode::SafeStop;
        let counts = !stopping || (standing && !self.never);
        self.clean = if counts { self.clean.saturating_add(1) } else { 0 };
        if self.clean >= config.recover_frames {
            self.clean = 0;
            self.manoeuvre = Manoeuvre::Slow;
            self.mode = if stopping { Mode::Degraded } else { Mode::Nominal };
        }
    }
}

#[cfg(test)]
mod tests;
