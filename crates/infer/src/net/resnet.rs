//! ResNet-50: `caril_policy::net::ResNet50` is the reference.

use super::{Net, heads};
use crate::build::{Activation, Builder, Pad};
use crate::tensors::Tensors;

const EPSILON: f64 = 1e-5;
const REPEATS: [usize; 4] = [3, 4, 6, 3];

/// Describes the network for an image of `size` (rows, columns).
///
/// # Errors
/// The first tensor that does not fit.
pub fn build(size: [usize; 2], t: &mut Tensors, mut b: Builder) -> Result<Net, String> {
    let relu = Activation::Relu;
    let image = b.image(size, Pad::even(3));
    let stem = b.map(image.windows(7, 2), 64, Pad::even(1));
    let filter = t.conv_norm("stem.conv", "stem.bn", [64, 3, 7], EPSILON)?;
    b.conv((&image, &stem), &filter, 2, relu, false);
    let mut x = b.map(stem.windows(3, 2), 64, Pad::default());
    b.max_pool(&stem, &x, 3, 2);
    let mut channels = 64;
    let mut block = 0;
    for (stage, repeats) in REPEATS.into_iter().enumerate() {
        let narrow = 64 << stage;
        let wide = narrow * 4;
        for i in 0..repeats {
            let stride = if i == 0 && stage > 0 { 2 } else { 1 };
            let mut layer = |name: String, shape| {
                let name = format!("blocks.{block}.{name}");
                t.conv_norm(&format!("{name}.conv"), &format!("{name}.bn"), shape, EPSILON)
            };
            let a = b.map(x.size, narrow, Pad::even(1));
            b.conv((&x, &a), &layer("convs.0".into(), [narrow, channels, 1])?, 1, relu, false);
            let c = b.map(a.windows(3, stride), narrow, Pad::default());
            b.conv((&a, &c), &layer("convs.1".into(), [narrow, narrow, 3])?, stride, relu, false);
            b.release(a);
            // The sum is made where the shortcut lies.
            let last = layer("convs.2".into(), [wide, narrow, 1])?;
            let y = if stride != 1 || channels != wide {
                let y = b.map(c.size, wide, Pad::default());
                let projection = layer("downsample".into(), [wide, channels, 1])?;
                b.conv((&x, &y), &projection, stride, Activation::None, false);
                b.release(x);
                y
            } else {
                x
            };
            b.conv((&c, &y), &last, 1, relu, true);
            b.release(c);
            (x, channels) = (y, wide);
            block += 1;
        }
    }
    let mean = b.map([1, 1], channels, Pad::default());
    b.mean(&x, &mean);
    let output = heads(&mut b, t, &mean, channels)?;
    let watched = b.watched();
    let (ops, len, layers) = b.finish();
    Ok(Net { ops, len, layers, watched, image, speed: None, output })
}
