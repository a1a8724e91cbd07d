//! The messages of fixed layout: Frame, Command, End and those without a body.

use caril_core::{
    Command, EgoState, EndReason, Frame, FrameId, Image, Mode, NavCommand, PixelOrder, Truth,
};

use super::fields::{Reader, Writer};
use super::{CodecError, FLAG_TRUTH, HEADER_LEN, Kind};

/// Most bytes that an image may have: 64 MiB.
pub const IMAGE_MAX: usize = 64 << 20;
/// Offset of the pixels in a Frame message.
pub const PIXELS_AT: usize = 160;
/// Bytes of a Command message.
pub const COMMAND_LEN: usize = 40;
/// Bytes of an End message.
pub const END_LEN: usize = 60;

/// A frame whose pixels are borrowed from the message.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FrameView<'a> {
    /// Its number.
    pub id: FrameId,
    /// Plant time, nanoseconds since the episode began.
    pub sim_time_ns: u64,
    /// The vehicle's own sensors; may hold NaN.
    pub ego: EgoState,
    /// The navigation's command.
    pub nav: NavCommand,
    /// Advisory speed, m/s; NaN if unknown.
    pub advisory_speed_mps: f32,
    /// Ground truth, where the plant has it.
    pub truth: Option<Truth>,
    /// Pixels across.
    pub width: u32,
    /// Pixels down.
    pub height: u32,
    /// Order of the channels.
    pub order: PixelOrder,
    /// `width · height · order.bytes_per_pixel()` bytes.
    pub pixels: &'a [u8],
}

impl FrameView<'_> {
    /// Copies everything into `frame` but `received_ns`, which is the receiver's. The image's
    /// memory is kept: its size is what the handshake agreed on.
    ///
    /// # Errors
    /// [`CodecError::ImageSize`] if the image is another than `frame` has room for; `frame` is
    /// then unchanged.
    pub fn copy_into(&self, frame: &mut Frame) -> Result<(), CodecError> {
        let image = &mut frame.image;
        if (image.width, image.height, image.order) != (self.width, self.height, self.order)
            || image.data.len() != self.pixels.len()
        {
            return Err(CodecError::ImageSize {
                expected: (image.width, image.height),
                got: (self.width, self.height),
            });
        }
        image.data.copy_from_slice(self.pixels);
        frame.id = self.id;
        frame.sim_time_ns = self.sim_time_ns;
        frame.ego = self.ego;
        frame.nav = self.nav;
        frame.advisory_speed_mps = self.advisory_speed_mps;
        frame.truth = self.truth;
        Ok(())
    }
}

/// Bytes of the Frame message that holds `image`.
pub const fn frame_len(image: &Image) -> usize {
    PIXELS_AT + image.data.len()
}

/// Writes a Frame message of [`frame_len`] bytes into `out`.
///
/// # Errors
/// [`CodecError`] if `out` has another length or the image is inconsistent or too big.
pub fn encode_frame(session: u32, frame: &Frame, out: &mut [u8]) -> Result<(), CodecError> {
    let image = &frame.image;
    if !image.is_consistent() {
        return Err(CodecError::Field { field: "image" });
    }
    if image.data.len() > IMAGE_MAX {
        return Err(CodecError::TooLong { limit: IMAGE_MAX, got: image.data.len() });
    }
    if out.len() != frame_len(image) {
        return Err(CodecError::Length { expected: frame_len(image), got: out.len() });
    }
    let flags = if frame.truth.is_some() { FLAG_TRUTH } else { 0 };
    let mut w = Writer::message(out, Kind::Frame, flags, session);
    w.u64(frame.id.0);
    w.u64(frame.sim_time_ns);
    let mut ego = frame.ego;
    w.fields(ego.pose.fields());
    w.fields(ego.fields());
    w.f32(frame.advisory_speed_mps);
    let order = match image.order {
        PixelOrder::Bgra => 0,
        PixelOrder::Rgb => 1,
    };
    w.put(&[frame.nav as u8, order, 0, 0]);
    w.u32(image.width);
    w.u32(image.height);
    w.u32(0);
    put_truth(&mut w, frame.truth.as_ref());
    w.u64(0);
    w.put(&image.data);
    Ok(())
}

pub(super) fn decode_frame(body: &[u8], has_truth: bool) -> Result<FrameView<'_>, CodecError> {
    let mut r = Reader::new(body);
    let id = FrameId(r.u64()?);
    let sim_time_ns = r.u64()?;
    let mut ego = EgoState::default();
    r.fields(ego.pose.fields())?;
    r.fields(ego.fields())?;
    let advisory_speed_mps = r.f32()?;
    let nav = NavCommand::from_code(r.u8()?).ok_or(CodecError::Field { field: "nav" })?;
    let order = match r.u8()? {
        0 => PixelOrder::Bgra,
        1 => PixelOrder::Rgb,
        _ => return Err(CodecError::Field { field: "order" }),
    };
    r.zeros::<2>()?;
    let (width, height) = (r.u32()?, r.u32()?);
    r.zeros::<4>()?;
    let truth = take_truth(&mut r, has_truth)?;
    r.zeros::<8>()?;
    let pixels = r.rest();
    // u32 · u32 · 4 needs 66 bits at worst: saturate, the cap below refuses it.
    let expected = (u64::from(width) * u64::from(height))
        .saturating_mul(order.bytes_per_pixel() as u64)
        .min(usize::MAX as u64) as usize;
    if expected > IMAGE_MAX {
        return Err(CodecError::TooLong { limit: IMAGE_MAX, got: expected });
    }
    if expected == 0 || expected != pixels.len() {
        return Err(CodecError::Length { expected, got: pixels.len() });
    }
    Ok(FrameView {
        id,
        sim_time_ns,
        ego,
        nav,
        advisory_speed_mps,
        truth,
        width,
        height,
        order,
        pixels,
    })
}

/// A Command message.
pub fn encode_command(session: u32, command: &Command) -> [u8; COMMAND_LEN] {
    let mut out = [0; COMMAND_LEN];
    let mut w = Writer::message(&mut out, Kind::Command, 0, session);
    w.u64(command.frame_id.0);
    w.f32(command.steer);
    w.f32(command.throttle);
    w.f32(command.brake);
    w.put(&[command.mode as u8]);
    out
}

pub(super) fn decode_command(body: &[u8]) -> Result<Command, CodecError> {
    exactly(body, COMMAND_LEN)?;
    let mut r = Reader::new(body);
    let command = Command {
        frame_id: FrameId(r.u64()?),
        steer: r.f32()?,
        throttle: r.f32()?,
        brake: r.f32()?,
        mode: Mode::from_code(r.u8()?).ok_or(CodecError::Field { field: "mode" })?,
    };
    r.zeros::<3>()?;
    Ok(command)
}

/// An End message.
pub fn encode_end(session: u32, reason: EndReason, truth: Option<&Truth>) -> [u8; END_LEN] {
    let mut out = [0; END_LEN];
    let flags = if truth.is_some() { FLAG_TRUTH } else { 0 };
    let mut w = Writer::message(&mut out, Kind::End, flags, session);
    w.put(&[reason as u8, 0, 0, 0]);
    put_truth(&mut w, truth);
    out
}

pub(super) fn decode_end(
    body: &[u8],
    has_truth: bool,
) -> Result<(EndReason, Option<Truth>), CodecError> {
    exactly(body, END_LEN)?;
    let mut r = Reader::new(body);
    let reason = EndReason::from_code(r.u8()?).ok_or(CodecError::Field { field: "reason" })?;
    r.zeros::<3>()?;
    Ok((reason, take_truth(&mut r, has_truth)?))
}

/// A message without a body: [`Kind::Start`], [`Kind::Bye`] or [`Kind::Ping`].
pub fn encode_plain(kind: Kind, session: u32) -> [u8; HEADER_LEN] {
    let mut out = [0; HEADER_LEN];
    let _ = Writer::message(&mut out, kind, 0, session);
    out
}

const fn exactly(body: &[u8], message_len: usize) -> Result<(), CodecError> {
    let expected = message_len - HEADER_LEN;
    if body.len() == expected {
        Ok(())
    } else {
        Err(CodecError::Length { expected, got: body.len() })
    }
}

fn put_truth(w: &mut Writer<'_>, truth: Option<&Truth>) {
    w.fields(truth.copied().unwrap_or_default().fields());
}

fn take_truth(r: &mut Reader<'_>, valid: bool) -> Result<Option<Truth>, CodecError> {
    let mut truth = Truth::default();
    r.fields(truth.fields())?;
    Ok(valid.then_some(truth))
}
