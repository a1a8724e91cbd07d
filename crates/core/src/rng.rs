//! Randomness as an argument: a counter-based generator.

/// Random numbers as a pure function of (seed, stream, counter), so that replay may start at any
/// frame. SplitMix64's finaliser over a keyed counter; not for cryptography.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CounterRng {
    key: u64,
    counter: u64,
}

impl CounterRng {
    /// A generator for `stream` (for example a frame id) under `seed`.
    pub const fn new(seed: u64, stream: u64) -> Self {
        Self { key: mix(mix(seed ^ 0x9E37_79B9_7F4A_7C15).wrapping_add(stream)), counter: 0 }
    }

    /// The next 64 random bits.
    pub const fn next_u64(&mut self) -> u64 {
        self.counter = self.counter.wrapping_add(1);
        mix(self.key.wrapping_add(self.counter.wrapping_mul(0x9E37_79B9_7F4A_7C15)))
    }

    /// Leaves out the next `n` numbers of 64 bits.
    pub const fn skip(&mut self, n: u64) {
        self.counter = self.counter.wrapping_add(n);
    }

    /// Uniform in [0, 1).
    pub fn uniform(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 * (1.0 / (1u64 << 53) as f64)
    }

    /// Uniform in [lo, hi).
    pub fn range(&mut self, lo: f64, hi: f64) -> f64 {
        lo + (hi - lo) * self.uniform()
    }

    /// Uniform integer in 0..n; 0 for n = 0.
    pub const fn below(&mut self, n: u64) -> u64 {
        ((self.next_u64() as u128 * n as u128) >> 64) as u64
    }

    /// Standard normal (Box–Muller, `libm` so that every host gives the same bits).
    pub fn normal(&mut self) -> f64 {
        // 1 − u is in (0, 1], so the logarithm is finite.
        let r = libm::sqrt(-2.0 * libm::log(1.0 - self.uniform()));
        r * libm::cos(core::f64::consts::TAU * self.uniform())
    }
}

const fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn same_key_same_numbers_other_key_others() {
        let take = |seed, stream| {
            let mut r = CounterRng::new(seed, stream);
            [r.next_u64(), r.next_u64(), r.next_u64()]
        };
        assert_eq!(take(1, 2), take(1, 2));
        assert_ne!(take(1, 2), take(1, 3));
        assert_ne!(take(1, 2), take(2, 2));
    }

    #[test]
    fn skipping_is_drawing_and_forgetting() {
        let (mut a, mut b) = (CounterRng::new(5, 6), CounterRng::new(5, 6));
        for _ in 0..7 {
            a.next_u64();
        }
        b.skip(7);
        assert_eq!(a, b);
    }

    #[test]
    fn moments_are_right() {
        let mut r = CounterRng::new(7, 0);
        let n = 20_000;
        let (mut u, mut s, mut q) = (0.0, 0.0, 0.0);
        for _ in 0..n {
            u += r.uniform();
            let z = r.normal();
            s += z;
            q += z * z;
        }
        let n = f64::from(n);
        assert!((u / n - 0.5).abs() < 0.01 && (s / n).abs() < 0.03 && (q / n - 1.0).abs() < 0.05);
    }
}
