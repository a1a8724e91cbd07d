//! What the appearance seed decides: tones, palettes, densities.

use caril_core::CounterRng;

/// Colours and habits of a scene. Colours are display values in [0, 1].
#[derive(Debug, Clone)]
pub(crate) struct Look {
    pub asphalt: [f32; 3],
    pub parking: [f32; 3],
    pub biking: [f32; 3],
    pub shoulder: [f32; 3],
    pub gravel: [f32; 3],
    pub pavement: [f32; 3],
    pub kerb: [f32; 3],
    pub paint_white: [f32; 3],
    pub paint_yellow: [f32; 3],
    pub grass: [f32; 3],
    pub earth: [f32; 3],
    pub leaf: [[f32; 3]; 4],
    pub facade: [[f32; 3]; 6],
    pub roof: [[f32; 3]; 3],
    pub sky_tint: [f32; 3],
    /// Whether shoulders are paved or gravel.
    pub paved_shoulder: bool,
    /// Whether junctions have zebra crossings.
    pub zebra: bool,
    /// Worn paint, [0, 1].
    pub wear: f32,
    /// Cracks and patches, [0, 1].
    pub damage: f32,
    /// Dash length and period, metres.
    pub dash_m: [f32; 2],
    /// Share of possible places with a house.
    pub houses: f64,
    /// Trees and hedges likewise.
    pub trees: f64,
    /// Height of the land away from the roads, metres.
    pub relief_m: f32,
}

impl Look {
    pub(crate) fn new(seed: u64) -> Self {
        let mut r = CounterRng::new(seed, 0x100C);
        let mut f = |lo: f32, hi: f32| r.range(f64::from(lo), f64::from(hi)) as f32;
        let grey = |v: f32, warm: f32| [v + warm, v, v - warm];
        let tone = f(0.25, 0.43);
        let asphalt = grey(tone, f(-0.008, 0.012));
        let walk = f(0.46, 0.62);
        let white = f(0.78, 0.95);
        let green = f(0.0, 1.0);
        let grass = [0.20 + 0.20 * green, 0.31 + 0.06 * green, 0.11 + 0.07 * green];
        let leaf = [0, 1, 2, 3].map(|_| {
            let (a, b) = (f(0.0, 1.0), f(0.8, 1.2));
            [(0.13 + 0.17 * a) * b, (0.24 + 0.08 * a) * b, 0.09 * b]
        });
        let facade = [0, 1, 2, 3, 4, 5].map(|_| {
            let v = f(0.45, 0.85);
            let warm = f(-0.03, 0.12);
            [v + warm, v + 0.3 * warm, v - warm]
        });
        let roof = [0, 1, 2].map(|_| {
            let v = f(0.18, 0.4);
            let red = f(0.0, 0.22);
            [v + red, v + 0.2 * red, v]
        });
        let dash = [[3.0, 9.0], [3.0, 12.0], [2.5, 6.0], [4.0, 10.0]];
        let pick = f(0.0, 3.999) as usize;
        Self {
            asphalt,
            parking: grey(tone + f(-0.03, 0.05), 0.005),
            biking: [tone + 0.16, tone - 0.01, tone - 0.03],
            shoulder: grey(tone + f(0.01, 0.06), 0.008),
            gravel: [f(0.44, 0.54), f(0.40, 0.46), f(0.31, 0.38)],
            pavement: grey(walk, f(0.0, 0.03)),
            kerb: grey(f(0.56, 0.72), 0.01),
            paint_white: [white, white, white - f(0.0, 0.06)],
            paint_yellow: [f(0.74, 0.88), f(0.56, 0.66), f(0.10, 0.24)],
            grass,
            earth: [f(0.36, 0.46), f(0.30, 0.36), f(0.2, 0.26)],
            leaf,
            facade,
            roof,
            sky_tint: [f(0.94, 1.06), f(0.96, 1.04), f(0.94, 1.06)],
            paved_shoulder: f(0.0, 1.0) < 0.65,
            zebra: f(0.0, 1.0) < 0.5,
            wear: f(0.1, 0.7),
            damage: f(0.0, 1.0),
            dash_m: dash.get(pick).copied().unwrap_or([3.0, 9.0]),
            houses: f64::from(f(0.45, 0.95)),
            trees: f64::from(f(0.25, 0.9)),
            relief_m: {
                // One number is left for parked cars.
                f(0.0, 1.0);
                f(1.0, 7.0)
            },
        }
    }
}
