//! The frames on which a pack is furthest from the expert, and their pictures.

use std::collections::BTreeMap;

use caril_record::Recording;

use super::{Found, Row};

/// Shown of every pack.
const SHOWN: usize = 6;
/// Least time between two of one drive.
const GAP_NS: u64 = 2_000_000_000;
/// Longest side of a picture in the page, pixels.
const SIDE: u32 = 320;

/// A frame to be shown.
#[derive(Clone, Copy)]
pub struct Worst {
    /// Into the policies.
    pub policy: usize,
    /// Into the sources.
    pub source: usize,
    /// Into the source's rows.
    pub row: usize,
}

/// Pictures as JPEG, by (source, index of the step).
pub type Pictures = BTreeMap<(usize, u64), Vec<u8>>;

/// The worst frames of every pack, the worst first, and their pictures. A picture that cannot be
/// read is left out: the figures do not depend on it.
pub fn find(found: &Found) -> (Vec<Worst>, Pictures) {
    let worst: Vec<Worst> =
        (0..found.policies.len()).flat_map(|policy| of_policy(found, policy)).collect();
    let mut pictures = Pictures::new();
    for (source, s) in found.sources.iter().enumerate() {
        let mut wanted: Vec<u64> = worst
            .iter()
            .filter(|w| w.source == source)
            .filter_map(|w| Some(row(found, w)?.mark.index))
            .collect();
        wanted.sort_unstable();
        let Ok(recording) = Recording::open(&s.path) else { continue };
        let last = wanted.last().map_or(0, |l| *l as usize + 1);
        for (index, frame) in recording.frames().take(last).enumerate() {
            let index = index as u64;
            if wanted.binary_search(&index).is_err() {
                continue;
            }
            let jpeg = frame.ok().and_then(|(_, picture)| small(&picture?.bytes));
            pictures.extend(jpeg.map(|jpeg| ((source, index), jpeg)));
        }
    }
    (worst, pictures)
}

/// The row of a frame to be shown.
pub fn row<'a>(found: &'a Found, worst: &Worst) -> Option<&'a Row> {
    found.sources.get(worst.source)?.rows.get(worst.policy)?.get(worst.row)
}

fn of_policy(found: &Found, policy: usize) -> Vec<Worst> {
    let mut all: Vec<(f32, Worst, &Row)> = Vec::new();
    for (source, s) in found.sources.iter().enumerate() {
        let rows = s.rows.get(policy).into_iter().flatten().enumerate();
        all.extend(rows.map(|(i, r)| (r.error(), Worst { policy, source, row: i }, r)));
    }
    all.sort_by(|a, b| b.0.total_cmp(&a.0));
    let mut chosen: Vec<(Worst, &Row)> = Vec::new();
    for (_, worst, row) in all {
        let apart = |(w, r): &(Worst, &Row)| {
            w.source != worst.source
                || r.mark.drive != row.mark.drive
                || r.mark.sim_time_ns.abs_diff(row.mark.sim_time_ns) >= GAP_NS
        };
        if chosen.iter().all(apart) {
            chosen.push((worst, row));
        }
        if chosen.len() == SHOWN {
            break;
        }
    }
    chosen.into_iter().map(|(w, _)| w).collect()
}

fn small(bytes: &[u8]) -> Option<Vec<u8>> {
    let picture = image::load_from_memory(bytes).ok()?;
    let rgb = picture.thumbnail(SIDE, SIDE).to_rgb8();
    let mut out = Vec::new();
    let encoder = image::codecs::jpeg::JpegEncoder::new_with_quality(&mut out, 80);
    rgb.write_with_encoder(encoder).ok()?;
    Some(out)
}
