//! The static world around the cameras: built once from a map and an appearance seed.

use caril_road::{LaneStrip, RoadMap};

use super::ground::{self, Cover};
use super::label::Tag;
use super::look::Look;
use super::mesh::{Builder, Chunk, Kind, Reach, Surface};
use super::noise::Noise;
use super::scenery;
use super::terrain::Terrain;

/// Land beyond the outermost roads, metres.
const MARGIN_M: f64 = 180.0;

/// A static thing that a car can hit: an upright box, CARLA axes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Obstacle {
    /// Centre, metres.
    pub x_m: f64,
    /// Centre, metres.
    pub y_m: f64,
    /// Clockwise seen from above.
    pub yaw_rad: f64,
    /// Half its extent along yaw, metres.
    pub half_length_m: f64,
    /// Half its extent across, metres.
    pub half_width_m: f64,
}

/// The static world as cameras see it. Share it among cameras with an `Arc`.
pub struct Scene {
    pub(crate) look: Look,
    pub(crate) noise: Noise,
    pub(crate) chunks: Vec<Chunk>,
    pub(crate) surfaces: Vec<Surface>,
    pub(crate) terrain: Terrain,
    /// Index of the terrain's surface.
    pub(crate) land: u32,
    obstacles: Vec<Obstacle>,
}

impl Scene {
    /// The world of a map. The seed decides tones, palettes and what stands beside the roads;
    /// the same map and seed give the same bits.
    pub fn build(map: &RoadMap, appearance_seed: u64) -> Self {
        Self::from_strips(&map.strips(1.0), appearance_seed)
    }

    /// The world of hand-made lanes (see [`RoadMap::strips`]).
    pub fn from_strips(strips: &[LaneStrip], appearance_seed: u64) -> Self {
        let look = Look::new(appearance_seed);
        let noise = Noise::new(appearance_seed, 0.45);
        let mut cover = Cover::new(strips, MARGIN_M);
        let terrain = Terrain::new(&cover, &look, &noise);
        let mut out = Builder::default();
        let land = out.surface(Surface::of(Kind::Terrain, Tag::Terrain, look.grass));
        ground::build(strips, &cover, &look, &mut out);
        let obstacles =
            scenery::build(strips, &mut cover, &terrain, &look, appearance_seed, &mut out);
        horizon(&terrain, &look, &noise, land, &mut out);
        let (chunks, surfaces) = out.finish();
        Self { look, noise, chunks, surfaces, terrain, land, obstacles }
    }

    /// What a car can hit, beside other cars.
    pub fn obstacles(&self) -> &[Obstacle] {
        &self.obstacles
    }

    /// About how much memory the scene holds, bytes.
    pub fn memory_bytes(&self) -> usize {
        use core::mem::size_of_val;
        let chunks: usize = self
            .chunks
            .iter()
            .map(|c| size_of_val(&*c.verts) + size_of_val(&*c.tris) + size_of_val(&*c.blobs))
            .sum();
        let land: usize = self.terrain.levels.iter().map(|l| size_of_val(&**l)).sum();
        chunks + land + size_of_val(&*self.surfaces) + size_of_val(&*self.obstacles)
    }
}

/// Land beyond the terrain's rim, and hills around it.
fn horizon(terrain: &Terrain, look: &Look, noise: &Noise, land: u32, out: &mut Builder) {
    let low = f64::from(terrain.range[0]) - 0.5;
    let size = [0, 1].map(|i: usize| (terrain.nodes[i] - 1) as f64 * terrain.node_m);
    let mid = [0, 1].map(|i: usize| terrain.origin[i] + 0.5 * size[i]);
    let far = 0.5 * size[0].max(size[1]) + 900.0;
    let n = 96;
    let at = |k: usize, r: f64, z: f64| {
        let a = k as f64 / n as f64 * core::f64::consts::TAU;
        [mid[0] + r * libm::cos(a), mid[1] + r * libm::sin(a), z]
    };
    // The rim as seen from the middle, for the ring of land between it and the hills.
    let rim = |k: usize| {
        let a = k as f64 / n as f64 * core::f64::consts::TAU;
        let (c, s) = (libm::cos(a).abs().max(1e-9), libm::sin(a).abs().max(1e-9));
        (0.5 * size[0] / c).min(0.5 * size[1] / s) - 2.0
    };
    for k in 0..n {
        let p =
            [at(k, rim(k), low), at(k, far, low), at(k + 1, far, low), at(k + 1, rim(k + 1), low)];
        out.quad(p, [[0.0; 3]; 4], land, [0.0, 0.0, 1.0], Reach::Far);
    }
    for (ring, haze) in [(0usize, 0.72f32), (1, 0.55)] {
        let r = far + 500.0 - 250.0 * ring as f64;
        let color = [look.grass[0] * 0.7, look.grass[1] * 0.75, 0.16];
        let mut s = Surface::of(Kind::Hills, Tag::Terrain, color);
        s.p[0] = haze;
        let id = out.surface(s);
        let tall = |k: usize| {
            // Periodic around the ring: 96 steps of 8 texels are three times the texture.
            let n = noise.smooth(k as f32 * 8.0, 40.0 * ring as f32, 3);
            low + (if ring == 0 { 75.0 } else { 38.0 }) * f64::from(0.6 + 1.2 * n).max(0.1)
        };
        for k in 0..n {
            let p = [
                at(k, r, low - 5.0),
                at(k + 1, r, low - 5.0),
                at(k + 1, r, tall(k + 1)),
                at(k, r, tall(k)),
            ];
            out.quad(p, [[0.0; 3]; 4], id, [0.0, 0.0, 1.0], Reach::Far);
        }
    }
}
