//! From camera image to network input: crop rows, resize, order channels.
//!
//! The resize is bilinear with its triangle widened to the scale when shrinking, so that every
//! source pixel counts (what others call antialiased bilinear). Plain f32 multiplications and
//! additions in a fixed order: the same bits on every host, for training and for driving.

use alloc::vec;
use alloc::vec::Vec;

use crate::{Colours, Image, InputSpec, Lift, PolicyCard, lift};

/// Weights of the source pixels of one output row or column.
#[derive(Debug, Clone)]
struct Taps {
    first: usize,
    weights: Vec<f32>,
}

/// Sums over rows that are made at the same time; a multiple of 3 and 4 channels.
const BLOCK: usize = 48;
/// Output rows that are made at the same time: with four channels sixteen values side by side.
const ROWS: usize = 4;

/// Crops and resizes images of one size; owns its buffers, so that a frame allocates nothing.
#[derive(Debug, Clone)]
pub struct Preprocessor {
    spec: InputSpec,
    /// What second looks are balanced to.
    colours: Colours,
    size: (u32, u32),
    rows: Vec<Taps>,
    columns: Vec<Taps>,
    /// Per source pixel the sums over rows: channels of [`ROWS`] output rows.
    line: Vec<f32>,
    rgb: Vec<u8>,
}

impl Preprocessor {
    /// For the camera and the network of a pack.
    pub fn for_card(card: &PolicyCard) -> Self {
        Self {
            colours: card.colours.unwrap_or(Colours::EMBEDDED_WORLD),
            ..Self::new(&card.input, card.camera.width, card.camera.height)
        }
    }

    /// For images of `width`×`height` pixels.
    pub fn new(spec: &InputSpec, width: u32, height: u32) -> Self {
        let crop = spec.crop_rows(height);
        let mut rows = taps(crop.len(), spec.height as usize);
        rows.iter_mut().for_each(|t| t.first += crop.start);
        Self {
            spec: *spec,
            colours: Colours::EMBEDDED_WORLD,
            size: (width, height),
            rows,
            columns: taps(width as usize, spec.width as usize),
            line: vec![0.0; width as usize * 4 * ROWS],
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
        match image.order.bytes_per_pixel() {
            4 => self.resize::<4, { 4 * ROWS }>(image)?,
            _ => self.resize::<3, { 3 * ROWS }>(image)?,
        }
        Some(&self.rgb)
    }

    /// `C` channels, `L` = `C` · [`ROWS`].
    #[inline(always)]
    fn resize<const C: usize, const L: usize>(&mut self, image: &Image) -> Option<()> {
        let offsets = image.order.rgb_offsets();
        let (stride, out_stride) = (self.size.0 as usize * C, self.columns.len() * 3);
        let (line, _) = self.line.as_chunks_mut::<L>();
        let line = line.get_mut(..self.size.0 as usize)?;
        let outs = self.rgb.chunks_mut(out_stride * ROWS);
        for (rows, out) in self.rows.chunks(ROWS).zip(outs) {
            // Rows first, in blocks of neighbouring bytes whose sums stay in registers.
            for (r, taps) in rows.iter().enumerate() {
                let start = taps.first * stride;
                let source = image.data.get(start..start + taps.weights.len() * stride)?;
                for (i, pixels) in line.chunks_mut(BLOCK / C).enumerate() {
                    let mut sums = [0.0f32; BLOCK];
                    for (weight, row) in taps.weights.iter().zip(source.chunks_exact(stride)) {
                        let bytes = row.get(i * BLOCK..)?;
                        match bytes.first_chunk::<BLOCK>() {
                            Some(bytes) => add(&mut sums, *weight, bytes),
                            None => add(&mut sums, *weight, bytes),
                        }
                    }
                    for (pixel, sums) in pixels.iter_mut().zip(sums.chunks_exact(C)) {
                        pixel.get_mut(r * C..(r + 1) * C)?.copy_from_slice(sums);
                    }
                }
            }
            // Then columns, of all these rows at once.
            for (x, taps) in self.columns.iter().enumerate() {
                let mut sums = [0.0f32; L];
                for (weight, pixel) in taps.weights.iter().zip(line.get(taps.first..)?) {
                    for (sum, value) in sums.iter_mut().zip(pixel) {
                        *sum += weight * value;
                    }
                }
                // Weights sum to 1, so only rounding can leave [0, 255]; the cast saturates.
                let bytes = sums.map(|sum| (sum + 0.5) as u8);
                for (row, bytes) in out.chunks_exact_mut(out_stride).zip(bytes.chunks_exact(C)) {
                    let place = row.get_mut(x * 3..)?.first_chunk_mut::<3>()?;
                    *place = offsets.map(|o| bytes.get(o).copied().unwrap_or(0));
                }
            }
        }
        Some(())
    }

    /// What [`Self::rgb`] made last, in place brightened and then balanced in its colours, for a
    /// second look; as it is for `None`.
    pub fn lifted(&mut self, lift: Option<&Lift>) -> &[u8] {
        if let Some(lift) = lift {
            self.rgb.iter_mut().for_each(|byte| *byte = lift.byte(*byte));
            lift::balance(&mut self.rgb, &self.colours);
        }
        &self.rgb
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
fn add(sums: &mut [f32; BLOCK], weight: f32, bytes: &[u8]) {
    for (sum, byte) in sums.iter_mut().zip(bytes) {
        *sum += weight * f32::from(*byte);
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

    /// The documented order of sums in plain loops: not a bit may differ.
    #[test]
    fn same_bits_as_plain_loops() {
        let cases = [(61, 43, 17, 9), (61, 43, 90, 50), (448, 40, 200, 16), (30, 30, 30, 1)];
        for (width, height, w, h) in cases {
            for order in [PixelOrder::Bgra, PixelOrder::Rgb] {
                let image = noise(width, height, order);
                let mut p = Preprocessor::new(&spec(w, h), width, height);
                let n = order.bytes_per_pixel();
                let mut want = Vec::new();
                for rows in &p.rows {
                    let mut line = vec![0.0f32; width as usize * n];
                    for (j, weight) in rows.weights.iter().enumerate() {
                        let start = (rows.first + j) * line.len();
                        for (i, sum) in line.iter_mut().enumerate() {
                            *sum += weight * f32::from(image.data[start + i]);
                        }
                    }
                    for taps in &p.columns {
                        want.extend(order.rgb_offsets().map(|o| {
                            let mut sum = 0.0f32;
                            for (j, weight) in taps.weights.iter().enumerate() {
                                sum += weight * line[(taps.first + j) * n + o];
                            }
                            (sum + 0.5) as u8
                        }));
                    }
                }
                assert_eq!(p.rgb(&image).unwrap(), want);
            }
        }
    }

    #[test]
    fn the_crop_is_at_least_a_row_of_the_picture() {
        let crop = |crop_top, crop_bottom, height| {
            InputSpec { crop_top, crop_bottom, ..spec(4, 2) }.crop_rows(height)
        };
        assert_eq!(crop(0.25, 0.9, 40), 10..36);
        assert_eq!(crop(0.0, 1.0, 40), 0..40);
        assert_eq!(crop(0.5, 0.5, 40), 20..21);
        assert_eq!(crop(0.9, 0.2, 40), 36..37);
        assert_eq!(crop(1.0, 2.0, 40), 39..40);
        assert_eq!(crop(0.2, 0.9, 1), 0..1);
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
