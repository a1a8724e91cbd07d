//! The shape of a car: lower body, cabin, wheels, lamps, and the shadow under it.

/// Which surface a face of a car has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    Paint,
    Glass,
    Tyre,
    Tail,
    Head,
    Shadow,
}

impl Part {
    pub(crate) const COUNT: usize = 6;
}

type P = [f32; 3];

/// A face: corners in order around, and the way out.
pub(crate) type Face = ([P; 4], P, Part);

/// Calls `face` for every face of a car of that size; coordinates forward, right, up from its
/// middle on the ground. `fine` adds wheels and lamps.
pub(crate) fn faces(length: f32, width: f32, height: f32, fine: bool, mut face: impl FnMut(Face)) {
    let (l, w, h) = (0.5 * length, 0.5 * width, height);
    // A prism: x range and half width below and above.
    let mut prism = |z: [f32; 2], rear: [f32; 2], front: [f32; 2], half: [f32; 2], side, top| {
        let at = |k: usize, x: f32, s: f32| [x, s * half[k], z[k]];
        let (a, b) = (rear, front);
        let ends = [(a, -1.0f32), (b, 1.0)];
        for (x, way) in ends {
            let q = [at(0, x[0], -1.0), at(0, x[0], 1.0), at(1, x[1], 1.0), at(1, x[1], -1.0)];
            face((q, [way, 0.0, 0.3], side));
        }
        for s in [-1.0, 1.0] {
            let q = [at(0, a[0], s), at(0, b[0], s), at(1, b[1], s), at(1, a[1], s)];
            face((q, [0.0, s, 0.0], side));
        }
        let q = [at(1, a[1], -1.0), at(1, b[1], -1.0), at(1, b[1], 1.0), at(1, a[1], 1.0)];
        face((q, [0.0, 0.0, 1.0], top));
    };
    let (sill, belt) = (0.17 * h, 0.60 * h);
    prism([sill, belt], [-l, -0.97 * l], [l, 0.94 * l], [w, 0.96 * w], Part::Paint, Part::Paint);
    prism(
        [belt, h],
        [-0.88 * l, -0.62 * l],
        [0.46 * l, 0.14 * l],
        [0.93 * w, 0.76 * w],
        Part::Glass,
        Part::Paint,
    );
    let z = 0.02;
    let q = [[-l, -w, z], [l, -w, z], [l, w, z], [-l, w, z]];
    face((q, [0.0, 0.0, 1.0], Part::Shadow));
    if !fine {
        return;
    }
    let r = 0.23 * h;
    // Cosine and sine of the corners of an octagon, a flat side down.
    let c = [0.924f32, 0.383, -0.383, -0.924, -0.924, -0.383, 0.383, 0.924];
    let s = [0.383f32, 0.924, 0.924, 0.383, -0.383, -0.924, -0.924, -0.383];
    for x in [-0.60 * l, 0.60 * l] {
        for side in [-1.0f32, 1.0] {
            let at = |k: usize| [x + r * c[k], side * (w + 0.015), r * (1.0 + s[k] * 1.05)];
            for k in [[0usize, 1, 2, 3], [0, 3, 4, 7], [4, 5, 6, 7]] {
                face((k.map(at), [0.0, side, 0.0], Part::Tyre));
            }
        }
    }
    for side in [-1.0f32, 1.0] {
        for (x, way, part) in [(-l - 0.02, -1.0, Part::Tail), (l + 0.02, 1.0, Part::Head)] {
            let (y0, y1) = (side * 0.58 * w, side * 0.95 * w);
            let (z0, z1) = (0.42 * h, 0.55 * h);
            let q = [[x, y0, z0], [x, y1, z0], [x, y1, z1], [x, y0, z1]];
            face((q, [way, 0.0, 0.0], part));
        }
    }
}
