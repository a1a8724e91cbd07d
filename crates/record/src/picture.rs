//! Pictures in the file: JPEG, or PNG where not a bit may be lost.

use std::io::Cursor;

use caril_core::{CameraSpec, Image, PixelOrder};
use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{ExtendedColorType, ImageDecoder as _, ImageEncoder as _};
use jpeg_encoder::{ColorType, Encoder};

use crate::RecordError;

/// How a picture is stored, named as `foxglove.CompressedImage` does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImageFormat {
    /// Lossy, small.
    Jpeg,
    /// Lossless.
    Png,
}

impl ImageFormat {
    /// Its name in the file.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Jpeg => "jpeg",
            Self::Png => "png",
        }
    }

    pub(crate) fn from_name(name: &str) -> Option<Self> {
        [Self::Jpeg, Self::Png].into_iter().find(|f| f.name() == name)
    }
}

/// A picture as it lies in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncodedImage {
    /// How it is stored.
    pub format: ImageFormat,
    /// A whole JPEG or PNG file.
    pub bytes: Vec<u8>,
}

impl EncodedImage {
    /// The picture in RGB.
    ///
    /// # Errors
    /// [`RecordError::Picture`] if the bytes are no such picture or it is larger than 4096².
    pub fn decode(&self) -> Result<Image, RecordError> {
        decode(self.format, &self.bytes)
    }
}

/// The picture of a JPEG in RGB.
///
/// # Errors
/// [`RecordError::Picture`] if the bytes are no JPEG or it is larger than 4096².
pub fn decode_jpeg(bytes: &[u8]) -> Result<Image, RecordError> {
    decode(ImageFormat::Jpeg, bytes)
}

/// Encodes a picture as JPEG into `out`, which is cleared first. `quality` is 1–100.
///
/// # Errors
/// [`RecordError::Picture`] if size and bytes do not fit together.
pub fn encode_jpeg(image: &Image, quality: u8, out: &mut Vec<u8>) -> Result<(), RecordError> {
    encode(image, ImageFormat::Jpeg, quality, &mut Vec::new(), out)
}

fn wrong(doing: &'static str) -> impl Fn(String) -> RecordError {
    move |why| RecordError::Picture { doing, why }
}

fn decode(format: ImageFormat, bytes: &[u8]) -> Result<Image, RecordError> {
    let wrong = wrong("decoded");
    let format = match format {
        ImageFormat::Jpeg => image::ImageFormat::Jpeg,
        ImageFormat::Png => image::ImageFormat::Png,
    };
    let mut limits = image::Limits::default();
    limits.max_image_width = Some(CameraSpec::MAX_SIDE);
    limits.max_image_height = Some(CameraSpec::MAX_SIDE);
    limits.max_alloc = Some(256 << 20);
    let mut reader = image::ImageReader::with_format(Cursor::new(bytes), format);
    reader.limits(limits);
    let mut decoder = reader.into_decoder().map_err(|e| wrong(e.to_string()))?;
    let (width, height) = decoder.dimensions();
    // The decoder may check its limits late.
    if width > CameraSpec::MAX_SIDE || height > CameraSpec::MAX_SIDE {
        return Err(wrong(format!("it is {width}×{height}, at most 4096×4096 is read")));
    }
    decoder.set_limits(image::Limits::default()).map_err(|e| wrong(e.to_string()))?;
    let picture = image::DynamicImage::from_decoder(decoder).map_err(|e| wrong(e.to_string()))?;
    Ok(Image { width, height, order: PixelOrder::Rgb, data: picture.into_rgb8().into_raw() })
}

/// Encodes into `out`, which is cleared first. `rgb` is scratch memory. Alpha is not kept.
pub(crate) fn encode(
    image: &Image,
    format: ImageFormat,
    jpeg_quality: u8,
    rgb: &mut Vec<u8>,
    out: &mut Vec<u8>,
) -> Result<(), RecordError> {
    out.clear();
    let wrong = wrong("encoded");
    if !image.is_consistent() || image.data.is_empty() {
        let (w, h, n) = (image.width, image.height, image.data.len());
        return Err(wrong(format!("{n} bytes are no picture of {w}×{h}")));
    }
    match format {
        ImageFormat::Jpeg => {
            let color = match image.order {
                PixelOrder::Bgra => ColorType::Bgra,
                PixelOrder::Rgb => ColorType::Rgb,
            };
            Encoder::new(&mut *out, jpeg_quality.clamp(1, 100))
                .encode(&image.data, image.width as u16, image.height as u16, color)
                .map_err(|e| wrong(e.to_string()))
        }
        ImageFormat::Png => {
            let [r, g, b] = image.order.rgb_offsets();
            rgb.clear();
            for pixel in image.data.chunks_exact(image.order.bytes_per_pixel()) {
                rgb.extend([r, g, b].map(|i| pixel.get(i).copied().unwrap_or(0)));
            }
            PngEncoder::new_with_quality(&mut *out, CompressionType::Fast, FilterType::Sub)
                .write_image(rgb, image.width, image.height, ExtendedColorType::Rgb8)
                .map_err(|e| wrong(e.to_string()))
        }
    }
}
