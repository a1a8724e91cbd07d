//! Data sets over recordings, losses, the learner and calibration.
