//! PilotNet: `caril_policy::net::PilotNet` is the reference.

use caril_core::{BIN_COUNT, BRANCHES};

use super::{Net, beside, last_layer};
use crate::build::{Activation, Builder, Pad};
use crate::tensors::Tensors;

const CHANNELS: [usize; 5] = [32, 32, 48, 64, 64];
const STRIDES: [usize; 4] = [1, 2, 2, 1];
const PATCH: usize = 4;
const FEATURES: usize = 128;
const HIDDEN: usize = 64;

/// Describes the network for an image of `size` (rows, columns).
///
/// # Errors
/// The first tensor that does not fit.
pub fn build(size: [usize; 2], t: &mut Tensors, mut b: Builder) -> Result<Net, String> {
    let relu = Activation::Relu;
    let image = b.image(size, Pad::default());
    let mut x = b.map(image.windows(PATCH, PATCH), CHANNELS[0], Pad::even(1));
    b.conv((&image, &x), &t.conv("stem", [CHANNELS[0], 3, PATCH])?, PATCH, relu, false);
    for (i, stride) in STRIDES.into_iter().enumerate() {
        let [inputs, outputs] = [CHANNELS[i], CHANNELS[i + 1]];
        let pad = if i + 1 < STRIDES.len() { Pad::even(1) } else { Pad::default() };
        let y = b.map(x.windows(3, stride), outputs, pad);
        b.conv(
            (&x, &y),
            &t.conv(&format!("convs.{i}"), [outputs, inputs, 3])?,
            stride,
            relu,
            false,
        );
        x = y;
    }
    // Burn flattens channel by channel, here the channels of a pixel lie together.
    let (pixels, channels) = (x.size[0] * x.size[1], x.channels);
    let dense = t.linear("features", channels * pixels, FEATURES)?;
    let dense = dense.reorder(|i| i % channels * pixels + i / channels);
    // Room for the speed behind the features.
    let features = b.map([1, 1], FEATURES + 1, Pad::default());
    let speed = features.at(0, 0) + FEATURES;
    let mut front = features;
    front.channels = FEATURES;
    b.dense(x.at(0, 0), &front, &[dense], relu);
    let regression_hidden = t.linear("regression_hidden", FEATURES + 1, BRANCHES * HIDDEN)?;
    let class_hidden = t.linear("class_hidden", FEATURES + 1, BRANCHES * HIDDEN)?;
    let regression = t.linear("regression", BRANCHES * HIDDEN, 1)?;
    let classes = t.linear("classes", BRANCHES * HIDDEN, BIN_COUNT)?;
    // Only the branch of the command is computed; the others would be multiplied by zero.
    let (mut first, mut last) = (Vec::new(), Vec::new());
    for branch in 0..BRANCHES {
        let at = branch * HIDDEN;
        first.push(beside(
            &regression_hidden.columns(at, HIDDEN),
            &class_hidden.columns(at, HIDDEN),
        ));
        last.push(last_layer(&regression.rows(at, HIDDEN), &classes.rows(at, HIDDEN)));
    }
    let hidden = b.map([1, 1], 2 * HIDDEN, Pad::default());
    let output = b.map([1, 1], BIN_COUNT + 1, Pad::default());
    b.dense(features.at(0, 0), &hidden, &first, relu);
    b.dense(hidden.at(0, 0), &output, &last, Activation::None);
    let watched = b.watched();
    let (ops, len, layers) = b.finish();
    Ok(Net { ops, len, layers, watched, image, speed: Some(speed), output: output.at(0, 0) })
}
