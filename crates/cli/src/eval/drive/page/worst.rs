//! The worst episodes: driven once more, with their pictures and what the controller thought.

use std::collections::BTreeSet;

use anyhow::Context as _;
use caril_core::{FrameId, Image, Pacing, PixelOrder, PlantInfo};
use caril_eval::suite::{EpisodeResult, Measures};

use super::Found;
use crate::eval::drive::episode::Stage;
use crate::report::html::{escape, num, opt};
use crate::report::{self, ReportInput};
use crate::scenario;

/// Episodes shown.
const EPISODES: usize = 3;
/// Moments shown of each.
const MOMENTS: usize = 4;

/// The worst drives of the arm that is shown.
pub(super) fn section(found: &Found<'_>, stage: &mut Stage) -> anyhow::Result<String> {
    let Some(arm) = found.shown_arm() else { return Ok(String::new()) };
    let mut drives: Vec<(&EpisodeResult, &Measures)> = found
        .results
        .iter()
        .filter(|r| r.episode.arm == arm)
        .filter_map(|r| Some((r, r.measures()?)))
        .collect();
    // Failed ones first, then by how far they went astray; the sort is stable.
    let badness = |m: &Measures| (m.success, -m.frechet_m.unwrap_or(0.0));
    drives.sort_by(|(_, a), (_, b)| {
        let (a, b) = (badness(a), badness(b));
        a.0.cmp(&b.0).then(a.1.total_cmp(&b.1))
    });
    let mut html = String::new();
    for (number, (result, measures)) in drives.into_iter().take(EPISODES).enumerate() {
        html += &episode(result, measures, stage, 1 + number * MOMENTS)?;
    }
    Ok(format!("<section><h2>The worst drives of {}</h2>{html}</section>\n", escape(arm)))
}

fn episode(
    result: &EpisodeResult,
    m: &Measures,
    stage: &mut Stage,
    first: usize,
) -> anyhow::Result<String> {
    let e = &result.episode;
    let role = stage.role(e)?;
    let card = role.pack.as_deref().map(scenario::load_card).transpose()?;
    // Once to know the moments, once more to keep their pictures: drives repeat to the bit.
    let before = stage.drive(e, &role, BTreeSet::new(), None)?;
    if result.step_hash() != Some(before.step_hash.as_str()) {
        return Ok(format!(
            "<h3>{}</h3><p class=\"note\">This build, or this machine, drives it otherwise than it \
             was driven: no pictures.</p>",
            escape(&e.id())
        ));
    }
    let wanted: BTreeSet<FrameId> =
        report::least_confident(&before.steps, MOMENTS).into_iter().collect();
    let drive = stage.drive(e, &role, wanted.clone(), None)?;
    let mut pictures = Vec::new();
    for id in report::least_confident(&drive.steps, MOMENTS) {
        if let Some((_, image)) = drive.pictures.iter().find(|(of, _)| *of == id) {
            pictures.push((id, jpeg(image)?));
        }
    }
    let plant = PlantInfo {
        name: String::new(),
        map: e.map.clone(),
        weather: e.weather.clone(),
        camera: card.as_ref().map_or(caril_core::CameraSpec::PAPER, |c| c.camera),
        rate_hz: role.config.drive_loop.rate_hz,
        pacing: Pacing::Lockstep,
        route: drive.route.clone(),
    };
    let input = ReportInput {
        title: "",
        command_line: "",
        plant: &plant,
        card: card.as_ref(),
        map: None,
        steps: &drive.steps,
        summary: &serde_json::Value::Null,
        pictures: &pictures,
    };
    let end = serde_json::to_string(&m.end).unwrap_or_default();
    let faults = if e.faults.is_empty() { "no fault".to_owned() } else { e.faults.join(", ") };
    Ok(format!(
        "<h3>{}</h3><p class=\"note\">{} in {}, {}, seed {}: {} after {} % of {} m; {} collisions, \
         cross-track error {} m, Fréchet distance {} m.</p>{}",
        escape(&e.id()),
        escape(&e.map),
        escape(&e.weather),
        escape(&faults),
        e.seed,
        escape(end.trim_matches('"')).replace('_', " "),
        num(m.completion_pct, 1),
        num(m.route_m, 0),
        m.collisions,
        opt(m.cross_track_mean_m, 3),
        opt(m.frechet_m, 2),
        report::thoughts(&input, first)
    ))
}

/// A camera's picture as a small JPEG.
fn jpeg(image: &Image) -> anyhow::Result<Vec<u8>> {
    let (red, blue) = match image.order {
        PixelOrder::Bgra => (2, 0),
        PixelOrder::Rgb => (0, 2),
    };
    let bytes = image.order.bytes_per_pixel();
    let rgb: Vec<u8> = image
        .data
        .chunks_exact(bytes)
        .flat_map(|p| [red, 1, blue].map(|c| p.get(c).copied().unwrap_or(0)))
        .collect();
    let rgb = image::RgbImage::from_raw(image.width, image.height, rgb)
        .context("a picture of another size than it says")?;
    let small = image::imageops::thumbnail(&rgb, 320, 320 * image.height / image.width.max(1));
    let mut out = Vec::new();
    let encoder = image::codecs::jpeg::JpegEncoder::new_with_quality(&mut out, 80);
    small.write_with_encoder(encoder)?;
    Ok(out)
}
