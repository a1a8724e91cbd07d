//! From camera image to network input: crop rows, resize, order channels.
//!
//! The resize is bilinear with its triangle widened to the scale when shrinking, so that every
//! source pixel counts (what others call antialiased bilinear). Plain f32 multiplications and
//! additions in a fixed order: the same bits on every host, for training and for driving.

use alloc::vec;
use alloc::vec::Vec;

use crate::{Image, InputSpec};

/// Weights of the source pixels of one output row or column.
#[derive(Debug, Clone)]
struct Taps {
    first: usize,
    weights: Vec<f32>,
}

/// Sums that are made at the same time.
const BLOCK: usize = 32;

/// Crops and resizes images of one size; owns its buffers, so that a frame allocates nothing.
#[derive(Debug, Clone)]
pub struct Preprocessor {
    spec: InputSpec,
    size: (u32, u32),
    rows: Vec<Taps>,
    columns: Vec<Taps>,
    line: Vec<f32>,
    rgb: Vec<u8>,
}

impl Preprocessor {
    /// For images of `width`×`height` pixels.
    pub fn new(spec: &InputSpec, width: u32, height: u32) -> Self {
        let row = |fraction: f32| libm::roundf(fraction * height as f32) as usize;
        let (top, bottom) = (row(spec.crop_top), row(spec.crop_bottom));
        let bottom = bottom.min(height as usize).max(top + 1);
        let top = top.min(bottom - 1);
        let mut rows = taps(bottom - top, spec.height as usize);
        rows.iter_mut().for_each(|t| t.first += top);
        Self {
            spec: *spec,
            size: (width, height),
            rows,
            columns: taps(width as usize, spec.width as usize),
            line: vec![0.0; width as usize * 4],
            rgb: vec![0; (spec.width * spec.height * 3) as usize],
        }
    }

    /// The specification that it was made for.
    pub const fn spec(&self) -> &InputSpec {
        &self.spec
    }

    /// Whether the image is consistent and of the size that this was made for.
    pub fn accepts(&self, image: &Image) -> bool {
        image.is_consistent() && (image.width, image.height) == self.size
    }

    /// Crops and resizes to RGB rows from the top, `width · height · 3` bytes. `None` if the
    /// image is not of the size that this was made for.
    pub fn rgb(&mut self, image: &Image) -> Option<&[u8]> {
        self.rgb_inline(image)
    }

    /// [`Self::rgb`] as part of the calling function: one that is compiled for wide vectors gets
    /// them here, and the same bits (nothing is fused, sums keep their order).
    #[inline(always)]
    pub fn rgb_inline(&mut self, image: &Image) -> Option<&[u8]> {
        if !self.accepts(image) {
            return None;
        }
        let channels = image.order.bytes_per_pixel();
        let offsets = image.order.rgb_offsets();
        let stride = self.size.0 as usize * channels;
        for (taps, out) in self.rows.iter().zip(self.rgb.chunks_exact_mut(self.columns.len() * 3)) {
            let line = self.line.get_mut(..stride)?;
            let start = taps.first * stride;
            let source = image.data.get(start..start + taps.weights.len() * stride)?;
            // Rows first: neighbouring bytes side by side are what the compiler vectorises, and
            // a block of sums stays in registers.
            let (blocks, rest) = line.as_chunks_mut::<BLOCK>();
            for (i, block) in blocks.iter_mut().enumerate() {
                let mut sums = [0.0f32; BLOCK];
                for (weight, row) in taps.weights.iter().zip(source.chunks_exact(stride)) {
                    let bytes = row.get(i * BLOCK..).and_then(<[u8]>::first_chunk::<BLOCK>)?;
                    for (sum, byte) in sums.iter_mut().zip(bytes) {
                        *sum += weight * f32::from(*byte);
                    }
                }
                *block = sums;
            }
            let done = stride - rest.len();
            rest.fill(0.0);
            for (weight, row) in taps.weights.iter().zip(source.chunks_exact(stride)) {
                for (sum, byte) in rest.iter_mut().zip(row.get(done..)?) {
                    *sum += weight * f32::from(*byte);
                }
            }
            match channels {
                4 => columns::<4>(&self.columns, line, offsets, out),
                _ => columns::<3>(&self.columns, line, offsets, out),
            }
        }
        Some(&self.rgb)
    }

    /// The network's input of one image into `out`, channel by channel (CHW), `3 · height ·
    /// width` values. `None` if sizes do not match.
    pub fn input(&mut self, image: &Image, out: &mut [f32]) -> Option<()> {
        let spec = self.spec;
        let rgb = self.rgb(image)?;
        rgb_to_input(&spec, rgb, out)
    }
}

/// RGB bytes of the network's size to its input (CHW). `None` if sizes do not match.
pub fn rgb_to_input(spec: &InputSpec, rgb: &[u8], out: &mut [f32]) -> Option<()> {
    let plane = (spec.width * spec.height) as usize;
    if rgb.len() != plane * 3 || out.len() != plane * 3 {
        return None;
    }
    for (c, plane) in out.chunks_exact_mut(plane).enumerate() {
        let (scale, offset) = (*spec.scale.get(c)?, *spec.offset.get(c)?);
        for (value, pixel) in plane.iter_mut().zip(rgb.chunks_exact(3)) {
            *value = f32::from(*pixel.get(c)?) * scale + offset;
        }
    }
    Some(())
}

#[inline(always)]
fn columns<const C: usize>(taps: &[Taps], line: &[f32], offsets: [usize; 3], out: &mut [u8]) {
    let (pixels, _) = line.as_chunks::<C>();
    for (taps, out) in taps.iter().zip(out.chunks_exact_mut(3)) {
        let mut sum = [0.0f32; C];
        let source = pixels.get(taps.first..).unwrap_or(&[]);
        for (weight, pixel) in taps.weights.iter().zip(source) {
            for (s, p) in sum.iter_mut().zip(pixel) {
                *s += weight * p;
            }
        }
        for (byte, o) in out.iter_mut().zip(offsets) {
            // Weights sum to 1, so only rounding can leave [0, 255]; the cast saturates.
            *byte = (sum.get(o).copied().unwrap_or(0.0) + 0.5) as u8;
        }
    }
}

/// Triangle filter of half width max(1, scale) around each output's centre, weights sum to 1.
fn taps(source: usize, target: usize) -> Vec<Taps> {
    let scale = source as f64 / target as f64;
    let half = scale.max(1.0);
    (0..target)
        .map(|i| {
            let centre = (i as f64 + 0.5) * scale;
            let first = (centre - half).max(0.0) as usize;
            let end = (libm::ceil(centre + half) as usize).min(source);
            let weight = |j: usize| (1.0 - ((j as f64 + 0.5) - centre).abs() / half).max(0.0);
            let sum: f64 = (first..end).map(weight).sum();
            Taps { first, weights: (first..end).map(|j| (weight(j) / sum) as f32).collect() }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{CounterRng, PixelOrder};

    fn spec(width: u32, height: u32) -> InputSpec {
        InputSpec {
            crop_top: 0.25,
            crop_bottom: 0.9,
            width,
            height,
            scale: [1.0 / 255.0; 3],
            offset: [-0.5, 0.0, 0.5],
        }
    }

    fn noise(width: u32, height: u32, order: PixelOrder) -> Image {
        let mut rng = CounterRng::new(1, 2);
        let bytes = width as usize * height as usize * order.bytes_per_pixel();
        let data = (0..bytes).map(|_| rng.below(256) as u8).collect();
        Image { width, height, order, data }
    }

    /// Two-dimensional sum in f64 over every source pixel.
    fn slow(image: &Image, spec: &InputSpec) -> Vec<f64> {
        let top = libm::roundf(spec.crop_top * image.height as f32) as usize;
        let bottom = libm::roundf(spec.crop_bottom * image.height as f32) as usize;
        let (sw, sh) = (image.width as usize, bottom - top);
        let (sx, sy) = (sw as f64 / spec.width as f64, sh as f64 / spec.height as f64);
        let tri = |d: f64, scale: f64| (1.0 - d.abs() / scale.max(1.0)).max(0.0);
        let n = image.order.bytes_per_pixel();
        let mut out = Vec::new();
        for y in 0..spec.height as usize {
            for x in 0..spec.width as usize {
                let (cx, cy) = ((x as f64 + 0.5) * sx, (y as f64 + 0.5) * sy);
                let (mut sum, mut weights) = ([0.0; 3], 0.0);
                for j in 0..sh {
                    for i in 0..sw {
                        let w = tri(j as f64 + 0.5 - cy, sy) * tri(i as f64 + 0.5 - cx, sx);
                        let at = ((top + j) * sw + i) * n;
                        weights += w;
                        for (s, o) in sum.iter_mut().zip(image.order.rgb_offsets()) {
                            *s += w * f64::from(image.data[at + o]);
                        }
                    }
                }
                out.extend(sum.map(|s| s / weights));
            }
        }
        out
    }

    #[test]
    fn agrees_with_a_slow_reference_shrinking_and_growing() {
        for (order, w, h) in [(PixelOrder::Bgra, 17, 9), (PixelOrder::Rgb, 90, 50)] {
            let image = noise(61, 43, order);
            let spec = spec(w, h);
            let mut fast = Preprocessor::new(&spec, 61, 43);
            let want = slow(&image, &spec);
            let got = fast.rgb(&image).unwrap();
            for (g, w) in got.iter().zip(&want) {
                assert!((f64::from(*g) - w).abs() <= 0.501, "{g} {w}");
            }
            assert_eq!(got.len(), want.len());
        }
    }

    #[test]
    fn pixel_order_does_not_change_the_input() {
        let rgb = noise(30, 20, PixelOrder::Rgb);
        let data = rgb.data.chunks_exact(3).flat_map(|p| [p[2], p[1], p[0], 255]).collect();
        let bgra = Image { order: PixelOrder::Bgra, data, ..rgb.clone() };
        let mut p = Preprocessor::new(&spec(12, 8), 30, 20);
        let (mut a, mut b) = (vec![0.0; 288], vec![1.0; 288]);
        p.input(&rgb, &mut a).unwrap();
        p.input(&bgra, &mut b).unwrap();
        assert_eq!(a, b);
    }

    #[test]
    fn input_is_channel_by_channel_with_scale_and_offset() {
        let mut image =
            Image { width: 8, height: 8, order: PixelOrder::Rgb, data: [255, 51, 0].repeat(64) };
        let mut p = Preprocessor::new(&spec(4, 2), 8, 8);
        let mut out = vec![9.0; 24];
        p.input(&image, &mut out).unwrap();
        assert!(out[..8].iter().all(|v| (v - 0.5).abs() < 1e-6));
        assert!(out[8..16].iter().all(|v| (v - 0.2).abs() < 1e-6));
        assert!(out[16..].iter().all(|v| (v - 0.5).abs() < 1e-6));
        image.data.pop();
        assert!(p.input(&image, &mut out).is_none(), "a short image is refused");
        assert!(p.rgb(&noise(9, 8, PixelOrder::Rgb)).is_none(), "another size is refused");
    }
}
