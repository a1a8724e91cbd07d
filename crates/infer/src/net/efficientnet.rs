//! EfficientNet-Lite0: `caril_policy::net::EfficientNetLite0` is the reference.

use caril_core::EFFICIENTNET_LITE0_STAGES;

use super::{Net, heads};
use crate::build::{Activation, Builder, Pad};
use crate::tensors::Tensors;

const EPSILON: f64 = 1e-3;
const STEM: usize = 32;
const HEAD: usize = 1280;

/// Describes the network for an image of `size` (rows, columns).
///
/// # Errors
/// The first tensor that does not fit.
pub fn build(size: [usize; 2], t: &mut Tensors, mut b: Builder) -> Result<Net, String> {
    let relu6 = Activation::Relu6;
    let image = b.image(size, Pad::same(size, 3, 2));
    let size = image.windows(3, 2);
    // The first block does not expand: its depthwise convolution reads the stem's map.
    let (kernel, stride, ..) = EFFICIENTNET_LITE0_STAGES[0];
    let mut x = b.map(size, STEM, Pad::same(size, kernel, stride));
    let stem = t.conv_norm("conv_stem", "bn0", [STEM, 3, 3], EPSILON)?;
    b.conv((&image, &x), &stem, 2, relu6, false);
    let (mut channels, mut block) = (STEM, 0);
    for (kernel, stride, expansion, out, repeats) in EFFICIENTNET_LITE0_STAGES {
        for i in 0..repeats {
            let stride = if i == 0 { stride } else { 1 };
            let name = format!("blocks.{block}");
            let wide = channels * expansion;
            let expanded = if expansion > 1 {
                let expanded = b.map(x.size, wide, Pad::same(x.size, kernel, stride));
                let (conv, norm) = (format!("{name}.expand_conv"), format!("{name}.bn0"));
                let filter = t.conv_norm(&conv, &norm, [wide, channels, 1], EPSILON)?;
                b.conv((&x, &expanded), &filter, 1, relu6, false);
                expanded
            } else {
                x
            };
            let filtered = b.map(expanded.windows(kernel, stride), wide, Pad::default());
            let (conv, norm) = (format!("{name}.depthwise_conv"), format!("{name}.bn1"));
            let filter = t.conv_norm(&conv, &norm, [wide, 1, kernel], EPSILON)?;
            b.depthwise((&expanded, &filtered), &filter, stride, relu6);
            b.release(expanded);
            // With a shortcut the sum is made where the input lies.
            let skip = stride == 1 && channels == out;
            let (conv, norm) = (format!("{name}.project_conv"), format!("{name}.bn2"));
            let filter = t.conv_norm(&conv, &norm, [out, wide, 1], EPSILON)?;
            let y = if skip { x } else { b.map(filtered.size, out, Pad::default()) };
            b.conv((&filtered, &y), &filter, 1, Activation::None, skip);
            b.release(filtered);
            if !skip && expansion > 1 {
                b.release(x);
            }
            (x, channels, block) = (y, out, block + 1);
        }
    }
    let top = b.map(x.size, HEAD, Pad::default());
    let filter = t.conv_norm("conv_head", "bn1", [HEAD, channels, 1], EPSILON)?;
    b.conv((&x, &top), &filter, 1, relu6, false);
    let mean = b.map([1, 1], HEAD, Pad::default());
    b.mean(&top, &mean);
    let output = heads(&mut b, t, &mean, HEAD)?;
    let watched = b.watched();
    let (ops, len, layers) = b.finish();
    Ok(Net { ops, len, layers, watched, image, speed: None, output })
}
