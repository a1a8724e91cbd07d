//! Small helpers for HTML text: escaping, numbers, pictures.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// Pictures above so many bytes are made smaller before they are embedded.
const PICTURE_BYTES: usize = 120_000;
/// Longest side of a picture that was made smaller, pixels.
const PICTURE_SIDE: u32 = 640;

/// Text as it may stand in HTML, also in an attribute. Control characters are left out.
pub(crate) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\n' | '\t' => out.push(c),
            c if c.is_control() => {}
            c => out.push(c),
        }
    }
    out
}

/// How many nines a probability has: 0.9 one, 0.999 three. Near 1 this is what tells one from
/// another; f32 ends at seven.
pub(crate) fn nines(p: f32) -> f64 {
    -(1.0 - f64::from(p)).clamp(1e-7, 1.0).log10()
}

/// A probability with two digits of what it lacks to 1: thresholds may well be 0.9996.
pub(crate) fn sure(p: f32) -> String {
    let lacking = (1.0 - f64::from(p)).clamp(1e-6, 1.0);
    num(p.into(), (1.0 - lacking.log10()).ceil().clamp(2.0, 6.0) as usize)
}

/// A number with so many decimals and a proper minus sign; a dash for what is not finite.
pub(crate) fn num(value: f64, decimals: usize) -> String {
    if !value.is_finite() {
        return "–".to_owned();
    }
    if value.abs() >= 1e7 {
        return format!("{value:.1e}").replace('-', "−");
    }
    let text = format!("{value:.decimals$}");
    // "-0.00" says something that the digits do not.
    let is_zero = !text.contains(|c: char| ('1'..='9').contains(&c));
    if is_zero { text.trim_start_matches('-').to_owned() } else { text.replace('-', "−") }
}

/// [`num`] of a number that may be missing.
pub(crate) fn opt(value: Option<f64>, decimals: usize) -> String {
    num(value.unwrap_or(f64::NAN), decimals)
}

/// A steer with its sign always shown.
pub(crate) fn signed(value: f64) -> String {
    let text = num(value, 3);
    if value.is_finite() && value >= 0.0005 { format!("+{text}") } else { text }
}

/// A JPEG or PNG as a JPEG's data URI, made smaller if it is large; `None` if it is no picture.
pub(crate) fn picture_uri(picture: &[u8]) -> Option<String> {
    let is_jpeg = picture.starts_with(&[0xff, 0xd8]);
    if !is_jpeg && !picture.starts_with(b"\x89PNG") {
        return None;
    }
    let small =
        if !is_jpeg || picture.len() > PICTURE_BYTES { Some(smaller(picture)?) } else { None };
    let jpeg = small.as_deref().unwrap_or(picture);
    Some(format!("data:image/jpeg;base64,{}", STANDARD.encode(jpeg)))
}

fn smaller(picture: &[u8]) -> Option<Vec<u8>> {
    let picture = image::load_from_memory(picture).ok()?;
    let rgb = picture.thumbnail(PICTURE_SIDE, PICTURE_SIDE).to_rgb8();
    let mut out = Vec::new();
    let encoder = image::codecs::jpeg::JpegEncoder::new_with_quality(&mut out, 80);
    rgb.write_with_encoder(encoder).ok()?;
    Some(out)
}

/// The value below which a share `q` of the finite values lies (nearest rank).
pub(crate) fn percentile(values: impl Iterator<Item = f64>, q: f64) -> Option<f64> {
    let mut finite: Vec<f64> = values.filter(|v| v.is_finite()).collect();
    finite.sort_by(f64::total_cmp);
    let rank = (q * finite.len() as f64).ceil() as usize;
    finite.get(rank.max(1).min(finite.len()).checked_sub(1)?).copied()
}

/// Mean of the finite values.
pub(crate) fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, n) = values.filter(|v| v.is_finite()).fold((0.0, 0_u32), |(s, n), v| (s + v, n + 1));
    (n > 0).then(|| sum / f64::from(n))
}
