//! A lens out of focus: two box filters, each across and down. A pixel costs the same whatever the
//! filters' width.

use caril_core::Image;

/// A blur with its buffers.
#[derive(Default)]
pub(crate) struct Blur {
    across: Vec<u8>,
    sums: Vec<u32>,
}

impl Blur {
    /// Blurs a (consistent) picture; the rim repeats beyond itself.
    pub(crate) fn spoil(&mut self, image: &mut Image, severity: f32) {
        let r = ((severity * 6.0 * image.height as f32 / 448.0 + 0.5) as usize).clamp(1, 60);
        self.across.resize(image.data.len(), 0);
        filter(self, image, r);
    }
}

#[cfg_attr(feature = "versions", multiversion::multiversion(targets("x86_64+avx+avx2+bmi1+bmi2")))]
fn filter(blur: &mut Blur, image: &mut Image, r: usize) {
    let (width, mean) = (image.width as usize, Mean::over(2 * r + 1));
    for _ in 0..2 {
        match image.order.bytes_per_pixel() {
            4 => across::<4>(&image.data, &mut blur.across, width, r, mean),
            _ => across::<3>(&image.data, &mut blur.across, width, r, mean),
        }
        let stride = width * image.order.bytes_per_pixel();
        down(&blur.across, &mut image.data, &mut blur.sums, stride, r, mean);
    }
}

/// Rounded means of `n` bytes without a division.
#[derive(Clone, Copy)]
struct Mean {
    half: u32,
    factor: u32,
}

impl Mean {
    const SHIFT: u32 = 23;

    /// Exact for up to 181 bytes: with s = 255.5·n at most and a factor that is at most 1 too
    /// large, s·n must stay below 2²³; and s·factor, about 255.5·2²³, below 2³².
    fn over(n: usize) -> Self {
        let n = n as u32;
        Self { half: n / 2, factor: (1 << Self::SHIFT) / n + 1 }
    }

    #[inline(always)]
    fn of(self, sum: u32) -> u8 {
        (((sum + self.half) * self.factor) >> Self::SHIFT) as u8
    }
}

/// Means over 2r + 1 neighbours in each row of pixels of `B` bytes.
#[inline(always)]
fn across<const B: usize>(from: &[u8], to: &mut [u8], width: usize, r: usize, mean: Mean) {
    let (from, _) = from.as_chunks::<B>();
    let (to, _) = to.as_chunks_mut::<B>();
    for (from, to) in from.chunks_exact(width).zip(to.chunks_exact_mut(width)) {
        // Loops, not closures for the library's adapters (see `tile`).
        let at = |i: usize| {
            let (from, mut wide) = (from[i.min(width - 1)], [0; B]);
            for c in 0..B {
                wide[c] = u32::from(from[c]);
            }
            wide
        };
        let mut sums = at(0);
        for s in &mut sums {
            *s *= r as u32 + 1;
        }
        for i in 1..=r {
            let next = at(i);
            for c in 0..B {
                sums[c] += next[c];
            }
        }
        for (i, to) in to.iter_mut().enumerate() {
            for c in 0..B {
                to[c] = mean.of(sums[c]);
            }
            let (next, last) = (at(i + r + 1), at(i.saturating_sub(r)));
            for c in 0..B {
                sums[c] = sums[c] + next[c] - last[c];
            }
        }
    }
}

/// Means over 2r + 1 neighbours in each column of rows of `stride` bytes.
#[inline(always)]
fn down(from: &[u8], to: &mut [u8], sums: &mut Vec<u32>, stride: usize, r: usize, mean: Mean) {
    let height = from.len() / stride;
    let row = |y: usize| {
        let start = y.min(height - 1) * stride;
        &from[start..start + stride]
    };
    sums.clear();
    sums.extend(row(0).iter().map(|v| u32::from(*v) * (r as u32 + 1)));
    for y in 1..=r {
        for (s, next) in sums.iter_mut().zip(row(y)) {
            *s += u32::from(*next);
        }
    }
    for (y, to) in to.chunks_exact_mut(stride).enumerate() {
        let (next, last) = (row(y + r + 1), row(y.saturating_sub(r)));
        for (((s, to), next), last) in sums.iter_mut().zip(to).zip(next).zip(last) {
            *to = mean.of(*s);
            *s = *s + u32::from(*next) - u32::from(*last);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use caril_core::{CounterRng, PixelOrder};

    #[test]
    fn means_are_exact() {
        for n in (3..=121).step_by(2) {
            let mean = Mean::over(n);
            for sum in 0..=255 * n as u32 {
                assert_eq!(u32::from(mean.of(sum)), (sum + n as u32 / 2) / n as u32, "{sum} {n}");
            }
        }
    }

    /// The definition, pixel by pixel.
    fn slow(image: &mut Image, r: usize) {
        let (w, h) = (image.width as usize, image.height as usize);
        let bytes = image.order.bytes_per_pixel();
        let n = 2 * r as u32 + 1;
        for down in [false, true, false, true] {
            let old = image.data.clone();
            for (k, v) in image.data.iter_mut().enumerate() {
                let (x, y, c) = (k / bytes % w, k / bytes / w, k % bytes);
                let sum: u32 = (0..n as usize)
                    .map(|i| {
                        let near = |p: usize, n: usize| (p + i).saturating_sub(r).min(n - 1);
                        let (x, y) = if down { (x, near(y, h)) } else { (near(x, w), y) };
                        u32::from(old[(y * w + x) * bytes + c])
                    })
                    .sum();
                *v = ((sum + n / 2) / n) as u8;
            }
        }
    }

    #[test]
    fn a_pixel_is_the_mean_of_its_neighbours_twice() {
        let mut rng = CounterRng::new(3, 1);
        for (width, height, order) in
            [(37, 448, PixelOrder::Bgra), (5, 100, PixelOrder::Rgb), (1, 1, PixelOrder::Bgra)]
        {
            let mut image = Image { width, height, order, data: Vec::new() };
            image.data =
                (0..image.width as usize * image.height as usize * order.bytes_per_pixel())
                    .map(|_| rng.below(256) as u8)
                    .collect();
            let mut want = image.clone();
            let r = ((0.5 * 6.0 * height as f32 / 448.0 + 0.5) as usize).max(1);
            slow(&mut want, r);
            Blur::default().spoil(&mut image, 0.5);
            assert_eq!(image, want, "{width}x{height}");
        }
    }
}
