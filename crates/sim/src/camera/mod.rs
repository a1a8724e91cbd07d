//! The software camera: what a pinhole camera on a vehicle sees of a [`Scene`].
//!
//! A frame is drawn in two passes. The first finds which triangle each pixel sees (depth test,
//! no shading); the second shades runs of pixels of one triangle with a shader that knows the
//! pixel's footprint in metres, so that markings and textures are filtered instead of crawling.
//! Depth and semantic pictures share the first pass and read their numbers off it.
//! Everything is plain `f32` arithmetic in a fixed order: the same inputs give the same bits.

mod air;
mod blur;
mod bodies;
mod car;
mod ground;
mod label;
mod lens;
mod look;
mod mesh;
mod noise;
mod raster;
mod scene;
mod scenery;
mod shade;
mod sky;
mod terrain;
#[cfg(test)]
mod tests;
mod view;
mod wide;

use std::sync::Arc;

use caril_core::{CameraSpec, Image, PixelOrder, Pose};

pub use self::label::{FAR_M, Tag, depth_m};
pub use self::lens::Lens;
use self::mesh::{Kind, Reach, Surface, Tri};
use self::raster::{NEAR_M, Raster, ready};
pub use self::scene::{Obstacle, Scene};
use self::shade::Shader;
use self::sky::Sky;
use self::terrain::{CHUNK_NODES, LEVELS};
use self::view::View;
use crate::vehicle::{HEIGHT_M, LENGTH_M, WIDTH_M};
use crate::weather::Weather;

/// Another car, drawn per frame.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BodyPose {
    /// Pose of its origin: on the ground, in the middle.
    pub pose: Pose,
    /// Length, metres.
    pub length_m: f32,
    /// Width, metres.
    pub width_m: f32,
    /// Height, metres.
    pub height_m: f32,
    /// Paint, red green blue.
    pub color: [u8; 3],
}

impl BodyPose {
    /// A car of the only size there is: that of [`crate::vehicle`].
    pub const fn car(pose: Pose, color: [u8; 3]) -> Self {
        Self {
            pose,
            length_m: LENGTH_M as f32,
            width_m: WIDTH_M as f32,
            height_m: HEIGHT_M as f32,
            color,
        }
    }
}

/// A camera with its buffers. Renders without allocating after the first frame.
pub struct Camera {
    spec: CameraSpec,
    /// Rows that are drawn, one truth value each; what the others hold is not said. `None`: all.
    pub(crate) seen_rows: Option<Arc<[bool]>>,
    raster: Raster,
    corners: Vec<[f32; 3]>,
    pixels: Vec<u32>,
    /// Surfaces of the other cars, numbered after the scene's.
    paint: Vec<Surface>,
}

impl Camera {
    /// A camera of a (valid) specification.
    pub fn new(spec: CameraSpec) -> Self {
        Self {
            spec,
            seen_rows: None,
            raster: Raster::default(),
            corners: Vec::new(),
            pixels: Vec::new(),
            paint: Vec::new(),
        }
    }

    /// Its specification.
    pub fn spec(&self) -> &CameraSpec {
        &self.spec
    }

    /// Draws what the camera sees into `out`, which takes the specification's size and order.
    /// `time_s` moves rain and clouds.
    pub fn render(
        &mut self,
        scene: &Scene,
        weather: &Weather,
        vehicle_pose: &Pose,
        bodies: &[BodyPose],
        time_s: f64,
        out: &mut Image,
    ) {
        let view = View::new(&self.spec, &self.spec.mount, vehicle_pose);
        self.raster.see(view.size[1], self.seen_rows.as_deref());
        air::see(&mut self.raster, &view, weather);
        draw(self, scene, weather, &view, bodies, time_s);
        self.deliver(out);
    }

    /// Draws how far away everything is, along the camera's forward axis and in CARLA's encoding
    /// (see [`depth_m`]), into `out`. Weather does not touch it.
    pub fn depth(
        &mut self,
        scene: &Scene,
        vehicle_pose: &Pose,
        bodies: &[BodyPose],
        out: &mut Image,
    ) {
        self.look(scene, vehicle_pose, bodies);
        label::depth(&mut self.pixels, &self.raster, scene, &self.paint);
        self.deliver(out);
    }

    /// Draws what everything is into `out`: the number of its [`Tag`] in red. Weather does not
    /// touch it.
    pub fn semantic(
        &mut self,
        scene: &Scene,
        vehicle_pose: &Pose,
        bodies: &[BodyPose],
        out: &mut Image,
    ) {
        self.look(scene, vehicle_pose, bodies);
        label::semantic(&mut self.pixels, &self.raster, scene, &self.paint);
        self.deliver(out);
    }

    /// The first pass for numbers: no haze swallows anything, and a shadow is not a thing.
    fn look(&mut self, scene: &Scene, vehicle_pose: &Pose, bodies: &[BodyPose]) {
        let view = View::new(&self.spec, &self.spec.mount, vehicle_pose);
        self.raster.see(view.size[1], self.seen_rows.as_deref());
        find(self, scene, &view, bodies, f32::INFINITY, false);
    }

    fn deliver(&self, out: &mut Image) {
        out.width = self.spec.width;
        out.height = self.spec.height;
        out.order = self.spec.order;
        out.data.resize(self.spec.image_bytes(), 0);
        match self.spec.order {
            PixelOrder::Bgra => {
                for (o, p) in out.data.chunks_exact_mut(4).zip(&self.pixels) {
                    o.copy_from_slice(&p.to_le_bytes());
                }
            }
            PixelOrder::Rgb => {
                for (o, p) in out.data.chunks_exact_mut(3).zip(&self.pixels) {
                    let [b, g, r, _] = p.to_le_bytes();
                    o.copy_from_slice(&[r, g, b]);
                }
            }
        }
    }
}

#[cfg_attr(
    feature = "versions",
    multiversion::multiversion(targets(
        "x86_64+avx+avx2+bmi1+bmi2+avx512f+avx512bw+avx512dq+avx512vl",
        "x86_64+avx+avx2+bmi1+bmi2"
    ))
)]
fn draw(
    camera: &mut Camera,
    scene: &Scene,
    weather: &Weather,
    view: &View,
    bodies: &[BodyPose],
    time_s: f64,
) {
    // What the haze has swallowed need not be drawn.
    find(camera, scene, view, bodies, 4.5 / weather.fog_1pm, true);
    let Camera { raster, pixels, paint, .. } = camera;
    let sky = Sky::new(weather, scene.look.sky_tint);
    let shader = Shader::new(view, &scene.noise, &scene.look, weather, &sky);
    let drift = (time_s * 0.25) as f32;
    for (y, line) in pixels.chunks_exact_mut(raster.width).enumerate() {
        if !raster.seen[y] {
            continue;
        }
        for (id, span) in raster.runs(y) {
            let at = [span.start, y];
            let run = &mut line[span];
            if id == 0 {
                sky.span(view, &scene.noise, drift, at, run);
            } else if let Some(d) = raster.drawn.get(id as usize - 1)
                && let Some(s) = surface(scene, paint, d.surface)
            {
                shader.run(d, s, at, run);
            }
        }
    }
    air::draw(pixels, raster, view, weather, &sky, time_s);
}

/// The first pass: what each pixel sees of what is within `reach` metres.
#[cfg_attr(
    feature = "versions",
    multiversion::multiversion(targets(
        "x86_64+avx+avx2+bmi1+bmi2+avx512f+avx512bw+avx512dq+avx512vl",
        "x86_64+avx+avx2+bmi1+bmi2"
    ))
)]
fn find(
    camera: &mut Camera,
    scene: &Scene,
    view: &View,
    bodies: &[BodyPose],
    reach: f32,
    shadows: bool,
) {
    let Camera { raster, corners, pixels, paint, .. } = camera;
    let [width, height] = view.size;
    raster.clear(width, height);
    pixels.resize(width * height, 0xFF00_0000);
    // Memory for the busiest frame of the scene, so that no later one allocates.
    corners.clear();
    corners.reserve(scene.chunks.iter().map(|c| c.verts.len()).max().unwrap_or(0));
    paint.clear();
    paint.reserve(bodies.len().max(64));
    chunks(raster, corners, scene, view, reach);
    land(raster, scene, view, reach);
    bodies::draw(raster, paint, scene.surfaces.len(), view, bodies, reach, shadows);
}

#[inline(always)]
fn surface<'a>(scene: &'a Scene, paint: &'a [Surface], k: u32) -> Option<&'a Surface> {
    let k = k as usize;
    scene.surfaces.get(k).or_else(|| paint.get(k.wrapping_sub(scene.surfaces.len())))
}

#[inline(always)]
fn chunks(
    raster: &mut Raster,
    corners: &mut Vec<[f32; 3]>,
    scene: &Scene,
    view: &View,
    reach: f32,
) {
    for chunk in &scene.chunks {
        let at = view.relative(chunk.origin);
        let c = [0, 1, 2].map(|i: usize| at[i] + chunk.center[i]);
        let limit = chunk.reach.metres().min(if chunk.reach == Reach::Far { 1e9 } else { reach });
        let away = mesh::dot(c, c).sqrt() - chunk.radius;
        if away > limit || !view.sees(c, chunk.radius) {
            continue;
        }
        let eye = at.map(|v| -v);
        let base = view.camera(at);
        corners.clear();
        for v in &chunk.verts {
            let p = view.camera(*v);
            corners.push([p[0] + base[0], p[1] + base[1], p[2] + base[2]]);
        }
        for tri in &chunk.tris {
            triangle(raster, corners, &chunk.verts, scene, view, tri, eye);
        }
        for blob in &chunk.blobs {
            let p = view.camera(blob.center);
            let p = [p[0] + base[0], p[1] + base[1], p[2] + base[2]];
            raster.blob(view, &scene.noise, blob, p);
        }
    }
}

#[inline(always)]
fn triangle(
    raster: &mut Raster,
    corners: &[[f32; 3]],
    verts: &[[f32; 3]],
    scene: &Scene,
    view: &View,
    tri: &Tri,
    eye: [f32; 3],
) {
    let p = tri.v.map(|k| corners[k as usize]);
    let s = &scene.surfaces[tri.surface as usize];
    let lift = s.lift;
    if s.kind == Kind::Wall {
        // Seen from behind? Other walls hide it.
        let a = [0, 1, 2].map(|i: usize| verts[tri.v[0] as usize][i] - eye[i]);
        if mesh::dot(a, tri.normal) > 0.0 {
            return;
        }
    }
    if let Some(k) = raster.triangle(view, p, lift) {
        let d = &mut raster.drawn[k];
        d.normal = tri.normal;
        d.surface = tri.surface;
        d.u = ready(view, eye, &tri.u);
        d.v = ready(view, eye, &tri.w);
        d.t = ready(view, eye, &tri.t);
    }
}

/// The terrain, finer where it is near.
#[inline(always)]
fn land(raster: &mut Raster, scene: &Scene, view: &View, reach: f32) {
    let t = &scene.terrain;
    let side = t.node_m * CHUNK_NODES as f64;
    let tiles = t.nodes.map(|n| (n - 1) / CHUNK_NODES);
    let middle = 0.5 * (t.range[0] + t.range[1]);
    let half = 0.5 * (t.range[1] - t.range[0]);
    let radius = ((side * side * 0.5) as f32 + half * half).sqrt();
    for ty in 0..tiles[1] {
        for tx in 0..tiles[0] {
            let corner = [t.origin[0] + tx as f64 * side, t.origin[1] + ty as f64 * side, 0.0];
            let at = view.relative(corner);
            let c = [at[0] + 0.5 * side as f32, at[1] + 0.5 * side as f32, at[2] + middle];
            let flat = (c[0] * c[0] + c[1] * c[1]).sqrt();
            if flat - radius > reach || !view.sees(c, radius) {
                continue;
            }
            let away = flat / side as f32;
            let level = [1.6, 3.2, 6.0, 11.0].iter().filter(|d| away > **d).count();
            tile(raster, scene, view, [tx, ty], level.min(LEVELS - 1), at);
        }
    }
}

#[inline(always)]
fn tile(
    raster: &mut Raster,
    scene: &Scene,
    view: &View,
    tile: [usize; 2],
    level: usize,
    at: [f32; 3],
) {
    let t = &scene.terrain;
    let cells = CHUNK_NODES >> level;
    let step = t.node_m as f32 * (1 << level) as f32;
    let heights = &t.levels[level];
    let stride = ((t.nodes[0] - 1) >> level) + 1;
    let first = tile[1] * cells * stride + tile[0] * cells;
    let node = |i: usize, j: usize| {
        let z = heights[first + j * stride + i];
        [at[0] + i as f32 * step, at[1] + j as f32 * step, at[2] + z]
    };
    // A node as the camera sees it, and a bit for every side of the picture that it is beyond.
    let (hx, hy) = (view.center[0] / view.focal, view.center[1] / view.focal);
    // Loops, not closures for the library's adapters: those would be shared by the versions for
    // different processors and so be called, not inlined.
    let row = |j: usize| {
        let mut nodes = [([0.0; 3], 0); CHUNK_NODES + 1];
        for (i, n) in nodes.iter_mut().enumerate().take(cells + 1) {
            let p = view.camera(node(i, j));
            let behind = u32::from(p[2] < NEAR_M);
            let across = u32::from(p[0] > hx * p[2]) << 1 | u32::from(-p[0] > hx * p[2]) << 2;
            let down = u32::from(p[1] > hy * p[2]) << 3 | u32::from(-p[1] > hy * p[2]) << 4;
            *n = (p, behind | across | down);
        }
        nodes
    };
    let mut above = row(0);
    for j in 0..cells {
        let below = row(j + 1);
        for i in 0..cells {
            let [a, b, c, d] = [above[i], above[i + 1], below[i + 1], below[i]];
            if a.1 & b.1 & c.1 & d.1 != 0 {
                continue;
            }
            for p in [[a.0, b.0, c.0], [a.0, c.0, d.0]] {
                if let Some(k) = raster.triangle(view, p, 0.0) {
                    let z = node(i, j)[2];
                    let slope_x = node(i + 1, j)[2] - z;
                    let slope_y = node(i, j + 1)[2] - z;
                    let d = &mut raster.drawn[k];
                    d.normal = mesh::unit([-slope_x, -slope_y, step]);
                    d.surface = scene.land;
                }
            }
        }
        above = below;
    }
}
