//! Dual-head networks in Burn, preprocessing and the policy pack.
