//! What is between the scene and the lens: streaks of rain, and glare of a low sun.

use caril_core::CounterRng;

use super::raster::Raster;
use super::sky::{Sky, pack};
use super::view::View;
use crate::weather::Weather;

/// Draws over the shaded pixels.
#[inline(always)]
pub(crate) fn draw(
    pixels: &mut [u32],
    raster: &Raster,
    view: &View,
    weather: &Weather,
    sky: &Sky,
    time_s: f64,
) {
    glare(pixels, raster, view, weather);
    if weather.rain > 0.0 {
        rain(pixels, raster, view, weather, sky, time_s);
    }
}

#[inline(always)]
fn unpack(p: u32) -> [f32; 3] {
    [16, 8, 0].map(|s| ((p >> s) & 255) as f32 * (1.0 / 255.0))
}

/// Where the sun glares in the picture, column and row.
fn sun(view: &View, weather: &Weather) -> Option<[f32; 2]> {
    let [x, y, z] = view.camera(weather.sun_dir);
    if weather.glare <= 0.0 || z < 0.1 {
        return None;
    }
    let at = [x / z * view.focal + view.center[0], y / z * view.focal + view.center[1]];
    let inside = |k: usize| at[k] as i64 >= 0 && (at[k] as i64) < view.size[k] as i64;
    (inside(0) && inside(1)).then_some(at)
}

/// The middle and the rim of a sun there.
fn disc(view: &View, [cx, cy]: [f32; 2]) -> [(i64, i64); 5] {
    let (x, y) = (cx as i64, cy as i64);
    let step = (view.focal * 0.012) as i64 + 1;
    [(x, y), (x - step, y), (x + step, y), (x, y - step), (x, y + step)]
}

/// Marks the rows that [`draw`] looks at itself.
pub(crate) fn see(raster: &mut Raster, view: &View, weather: &Weather) {
    for (_, y) in sun(view, weather).into_iter().flat_map(|at| disc(view, at)) {
        if let Some(seen) = usize::try_from(y).ok().and_then(|y| raster.seen.get_mut(y)) {
            *seen = true;
        }
    }
}

/// A veil around the sun, if it is in the picture and nothing hides it.
#[inline(always)]
fn glare(pixels: &mut [u32], raster: &Raster, view: &View, weather: &Weather) {
    let Some([cx, cy]) = sun(view, weather) else { return };
    let [width, height] = view.size;
    // How much of the disc is free.
    let mut free = 0;
    for (x, y) in disc(view, [cx, cy]) {
        if x >= 0 && y >= 0 && x < width as i64 && y < height as i64 {
            let at = y as usize * width + x as usize;
            free += i32::from(raster.id.get(at).is_some_and(|id| *id == 0));
        }
    }
    if free == 0 {
        return;
    }
    let strength = weather.glare * free as f32 * 0.2 * 0.75;
    let inverse = 1.0 / (0.16 * view.focal * view.focal);
    for (j, row) in pixels.chunks_exact_mut(width).enumerate() {
        if !raster.seen[j] {
            continue;
        }
        let dy = j as f32 - cy;
        for (i, p) in row.iter_mut().enumerate() {
            let dx = i as f32 - cx;
            let a = strength / (1.0 + 6.0 * (dx * dx + dy * dy) * inverse);
            let c = unpack(*p);
            *p = pack([0, 1, 2].map(|k: usize| c[k] + a * weather.sun[k]));
        }
    }
}

/// Streaks, others in each frame.
#[inline(always)]
fn rain(
    pixels: &mut [u32],
    raster: &Raster,
    view: &View,
    weather: &Weather,
    sky: &Sky,
    time_s: f64,
) {
    let [width, height] = view.size;
    let mut rng = CounterRng::new(time_s.to_bits(), 0x8A17);
    let count = (weather.rain * 0.0016 * (width * height) as f32) as usize;
    let lift = 0.06 + 0.22 * weather.night;
    let color = sky.horizon.map(|v| (v * 1.12 + lift).min(1.0));
    for _ in 0..count {
        let near = rng.uniform() as f32;
        let near = near * near * near;
        let long = (0.02 + 0.09 * near) * height as f32;
        let x = rng.uniform() as f32 * width as f32;
        let y = rng.uniform() as f32 * (height as f32 + long) - long;
        // They fall towards the car: away from the middle.
        let slope = 0.22 * (x - view.center[0]) / view.center[0].max(1.0);
        let wide = if near > 0.45 { 2 } else { 1 };
        let alpha = 0.13 + 0.15 * near;
        for j in 0..long as usize + 1 {
            let (px, py) = (x + slope * j as f32, y + j as f32);
            if px < 0.0 || py < 0.0 || py as usize >= height {
                continue;
            }
            let (px, py) = (px as usize, py as usize);
            if !raster.seen[py] {
                continue;
            }
            let end = (px + wide).min(width);
            if let Some(run) = pixels.get_mut(py * width + px.min(end)..py * width + end) {
                for p in run {
                    let c = unpack(*p);
                    *p = pack([0, 1, 2].map(|k: usize| c[k] + (color[k] - c[k]) * alpha));
                }
            }
        }
    }
}
