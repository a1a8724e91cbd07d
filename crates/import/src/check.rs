//! Which rows can be imported: their pictures are there, whole and of one size, their times rise.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

use caril_record::{EncodedImage, ImageFormat};

use crate::layout::Format;
use crate::row::{BadKind, BadRow, Row};
use crate::source::{Source, parent};
use crate::{ImportError, Progress};

/// A camera's picture has less.
const PICTURE_LIMIT: u64 = 64 << 20;
/// Rows looked at between two reports.
const CHUNK: usize = 128;

/// A row with its picture, or why not.
pub(crate) type Checked = Result<(Row, Picture), BadRow>;

/// A picture that was decoded to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Picture {
    /// Its path inside the source.
    pub key: String,
    pub format: ImageFormat,
    pub width: u32,
    pub height: u32,
    pub bytes: usize,
}

/// Reads a picture and says what it is by its first bytes: names lie.
pub(crate) fn load(source: &Source, key: &str) -> Result<EncodedImage, String> {
    let bytes = source.read(key, PICTURE_LIMIT).map_err(|e| e.to_string())?;
    let format = match bytes.as_slice() {
        [0xff, 0xd8, 0xff, ..] => ImageFormat::Jpeg,
        [0x89, b'P', b'N', b'G', ..] => ImageFormat::Png,
        [] => return Err("the file is empty".into()),
        _ => return Err("neither JPEG nor PNG".into()),
    };
    Ok(EncodedImage { format, bytes })
}

/// Whether a JPEG has its end: decoders fill the rest of one that was cut off with grey.
fn has_end(jpeg: &[u8]) -> bool {
    let find = |marker: u8| jpeg.windows(2).rposition(|pair| pair == [0xff, marker]);
    // Inside the data these two bytes cannot stand; a thumbnail's end comes before the last start.
    find(0xda).is_some_and(|start| find(0xd9).is_some_and(|end| end > start))
}

fn look(source: &Source, format: Format, folder: &str, row: &Row) -> Result<Picture, BadRow> {
    let named = &row.picture;
    let key = source
        .picture(folder, format.folders(), named, format.unique_names())
        .filter(|_| !named.is_empty())
        .ok_or_else(|| row.bad(BadKind::MissingPicture, "the picture is not there"))?;
    let broken = |why: String| row.bad(BadKind::BrokenPicture, why);
    let picture = load(source, key).map_err(broken)?;
    let (format, bytes) = (picture.format, picture.bytes.len());
    if format == ImageFormat::Jpeg && !has_end(&picture.bytes) {
        return Err(broken("the JPEG is cut off".into()));
    }
    let image = picture.decode().map_err(|e| broken(e.to_string()))?;
    let (width, height) = (image.width, image.height);
    Ok(Picture { key: key.to_owned(), format, width, height, bytes })
}

/// Looks at the pictures of all rows on all processors; the result does not depend on how many.
pub(crate) fn pictures(
    source: &Source,
    format: Format,
    table: &str,
    rows: Vec<Result<Row, BadRow>>,
    stop: &AtomicBool,
    progress: &mut dyn FnMut(Progress),
) -> Result<Vec<Checked>, ImportError> {
    let folder = parent(table);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let total = rows.len() as u64;
    let mut done = Vec::with_capacity(rows.len());
    for chunk in rows.chunks(CHUNK) {
        let share = chunk.len().div_ceil(threads);
        let parts: Vec<Vec<_>> = std::thread::scope(|scope| {
            let work: Vec<_> = chunk
                .chunks(share)
                .map(|part| {
                    scope.spawn(move || {
                        let one = |row: &Result<Row, BadRow>| {
                            let row = row.clone()?;
                            look(source, format, folder, &row).map(|picture| (row, picture))
                        };
                        part.iter().map(one).collect()
                    })
                })
                .collect();
            let join = |w: std::thread::ScopedJoinHandle<'_, Vec<_>>| match w.join() {
                Ok(part) => part,
                Err(panic) => std::panic::resume_unwind(panic),
            };
            work.into_iter().map(join).collect()
        });
        done.extend(parts.into_iter().flatten());
        if stop.load(Ordering::Relaxed) {
            return Err(ImportError::Stopped);
        }
        progress(Progress::Checked { rows: done.len() as u64, of: total });
    }
    Ok(done)
}

/// The size that most pictures have, and of equally many the first; all others are bad.
pub(crate) fn one_size(rows: &mut [Checked]) -> Option<(u32, u32)> {
    let mut counts: BTreeMap<(u32, u32), (u64, std::cmp::Reverse<usize>)> = BTreeMap::new();
    for (i, (_, p)) in rows.iter().enumerate().filter_map(|(i, r)| Some((i, r.as_ref().ok()?))) {
        counts.entry((p.width, p.height)).or_insert((0, std::cmp::Reverse(i))).0 += 1;
    }
    let (size, _) = counts.into_iter().max_by_key(|(_, count)| *count)?;
    for row in rows {
        if let Ok((r, p)) = row
            && (p.width, p.height) != size
        {
            let why = format!("{}×{}, the rest has {}×{}", p.width, p.height, size.0, size.1);
            *row = Err(r.bad(BadKind::WrongSize, why));
        }
    }
    Some(size)
}

/// Takes out the rows whose time does not rise. A row that is ahead of both rows after it, which go
/// on from the row before, is itself the wrong one, or one wild time would cost all that follow.
pub(crate) fn rising(rows: &mut [Checked]) {
    let times: Vec<(usize, i64)> = rows
        .iter()
        .enumerate()
        .filter_map(|(i, row)| Some((i, row.as_ref().ok()?.0.time_ns?)))
        .collect();
    let mut last: Option<i64> = None;
    for (n, (i, t)) in times.iter().copied().enumerate() {
        let between = |by: usize| {
            times.get(n + by).is_some_and(|(_, a)| *a < t && last.is_none_or(|last| *a > last))
        };
        let back = last.is_some_and(|last| t <= last);
        let ahead = between(1) && between(2);
        if !back && !ahead {
            last = Some(t);
            continue;
        }
        let why = match last {
            Some(last) if back => format!("{:.3} s after the row before", seconds(t, last)),
            _ => "ahead of the two rows after it".to_owned(),
        };
        if let Some(row) = rows.get_mut(i)
            && let Ok((r, _)) = row
        {
            *row = Err(r.bad(BadKind::TimeBack, why));
        }
    }
}

fn seconds(t: i64, from: i64) -> f64 {
    t.saturating_sub(from) as f64 * 1e-9
}
