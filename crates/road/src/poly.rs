//! Piecewise cubic polynomials: widths, elevations, offsets.

/// One record: from `s0` on, a + b·ds + c·ds² + d·ds³.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Cubic {
    pub s0: f64,
    pub k: [f64; 4],
}

/// Records in rising order of s.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Cubics(pub Vec<Cubic>);

impl Cubics {
    /// Value, first and second derivative at `s`; zero where there is no record at all.
    pub fn at(&self, s: f64) -> [f64; 3] {
        let i = self.0.partition_point(|c| c.s0 <= s).saturating_sub(1);
        let Some(c) = self.0.get(i) else { return [0.0; 3] };
        let ds = (s - c.s0).max(0.0);
        cubic(&c.k, ds)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Where records begin.
    pub fn starts(&self) -> impl Iterator<Item = f64> + '_ {
        self.0.iter().map(|c| c.s0)
    }
}

/// Value and two derivatives of a cubic.
pub(crate) fn cubic(k: &[f64; 4], u: f64) -> [f64; 3] {
    [
        k[0] + u * (k[1] + u * (k[2] + u * k[3])),
        k[1] + u * (2.0 * k[2] + u * 3.0 * k[3]),
        2.0 * k[2] + u * 6.0 * k[3],
    ]
}

/// Eight-point Gauss–Legendre: abscissas and weights on [−1, 1], one half.
const GAUSS: [(f64, f64); 4] = [
    (0.183_434_642_495_649_8, 0.362_683_783_378_362),
    (0.525_532_409_916_329, 0.313_706_645_877_887_3),
    (0.796_666_477_413_626_7, 0.222_381_034_453_374_5),
    (0.960_289_856_497_536_3, 0.101_228_536_290_376_3),
];

/// Integral of `f` over [a, b]; exact to about 1e-15 where `f` turns by less than a radian.
pub(crate) fn integrate(a: f64, b: f64, mut f: impl FnMut(f64) -> [f64; 2]) -> [f64; 2] {
    let (m, h) = (0.5 * (a + b), 0.5 * (b - a));
    let mut sum = [0.0; 2];
    for (x, w) in GAUSS {
        let (p, q) = (f(m - h * x), f(m + h * x));
        sum[0] += w * (p[0] + q[0]);
        sum[1] += w * (p[1] + q[1]);
    }
    [sum[0] * h, sum[1] * h]
}
