//! Reads Burnpack, the format of `weights.bpk`, without Burn.
//!
//! Little endian: magic `NRUB`, version u16, size of the metadata u32, the metadata in CBOR, then
//! the data from the next multiple of 256 bytes. The metadata is a map; its `tensors` maps each
//! name to `dtype` (text), `shape` and `data_offsets` (first and one past the last byte, counted
//! from the start of the data). Source: the crate burn-pack 0.22.1, `src/base.rs`. Only what a
//! pack of ours holds is accepted: format version 1, f32 tensors, definite lengths.

use std::collections::BTreeMap;

const HEADER: usize = 10;
const ALIGNMENT: usize = 256;
/// Values nested deeper than this are refused: the reader recurses.
const MAX_DEPTH: u32 = 16;

/// One tensor of the file.
#[derive(Debug, Clone, PartialEq)]
pub struct Tensor {
    /// Its dimensions.
    pub shape: Vec<usize>,
    /// Its values, the last dimension fastest.
    pub values: Vec<f32>,
}

/// All tensors of a file, by name.
///
/// # Errors
/// What is wrong with the first thing that is.
pub fn read(bytes: &[u8]) -> Result<BTreeMap<String, Tensor>, String> {
    let header: &[u8; HEADER] =
        bytes.first_chunk().ok_or_else(|| format!("{} bytes are no Burnpack", bytes.len()))?;
    let [m0, m1, m2, m3, v0, v1, s0, s1, s2, s3] = *header;
    if [m0, m1, m2, m3] != *b"NRUB" {
        return Err("it does not begin with Burnpack's magic number".into());
    }
    let version = u16::from_le_bytes([v0, v1]);
    if version != 1 {
        return Err(format!("expected Burnpack version 1, found {version}"));
    }
    let size = u32::from_le_bytes([s0, s1, s2, s3]) as usize;
    let metadata = HEADER
        .checked_add(size)
        .and_then(|end| bytes.get(HEADER..end))
        .ok_or_else(|| format!("{size} bytes of metadata do not fit into the file"))?;
    // The data of a file without tensors may be missing altogether.
    let data = bytes.get((HEADER + size).next_multiple_of(ALIGNMENT)..).unwrap_or(&[]);
    let mut cbor = Cbor { rest: metadata };
    let mut tensors = BTreeMap::new();
    for _ in 0..cbor.map()? {
        if cbor.text()? != "tensors" {
            cbor.skip(0)?;
            continue;
        }
        for _ in 0..cbor.map()? {
            let name = cbor.text()?.to_owned();
            let tensor = tensor(&mut cbor, data).map_err(|e| format!("tensor {name}: {e}"))?;
            if tensors.insert(name.clone(), tensor).is_some() {
                return Err(format!("tensor {name} is there twice"));
            }
        }
    }
    match cbor.rest.len() {
        0 => Ok(tensors),
        n => Err(format!("{n} bytes follow the metadata")),
    }
}

/// A file of these tensors.
pub fn write(tensors: &BTreeMap<String, Tensor>) -> Vec<u8> {
    let mut metadata = Vec::new();
    head(&mut metadata, 5, 1);
    text(&mut metadata, "tensors");
    head(&mut metadata, 5, tensors.len());
    let mut at = 0;
    for (name, tensor) in tensors {
        text(&mut metadata, name);
        head(&mut metadata, 5, 3);
        text(&mut metadata, "dtype");
        text(&mut metadata, "F32");
        text(&mut metadata, "shape");
        head(&mut metadata, 4, tensor.shape.len());
        tensor.shape.iter().for_each(|d| head(&mut metadata, 0, *d));
        text(&mut metadata, "data_offsets");
        head(&mut metadata, 4, 2);
        head(&mut metadata, 0, at);
        at += tensor.values.len() * 4;
        head(&mut metadata, 0, at);
    }
    let mut file = b"NRUB\x01\x00".to_vec();
    file.extend_from_slice(&(metadata.len() as u32).to_le_bytes());
    file.append(&mut metadata);
    file.resize(file.len().next_multiple_of(ALIGNMENT), 0);
    let values = tensors.values().flat_map(|t| &t.values);
    file.extend(values.flat_map(|v| v.to_le_bytes()));
    file
}

/// Major type and argument of an item.
fn head(out: &mut Vec<u8>, major: u8, n: usize) {
    match u32::try_from(n) {
        Ok(small @ 0..24) => out.push(major << 5 | small as u8),
        Ok(n) => {
            out.push(major << 5 | 26);
            out.extend_from_slice(&n.to_be_bytes());
        }
        Err(_) => {
            out.push(major << 5 | 27);
            out.extend_from_slice(&(n as u64).to_be_bytes());
        }
    }
}

fn text(out: &mut Vec<u8>, text: &str) {
    head(out, 3, text.len());
    out.extend_from_slice(text.as_bytes());
}

fn tensor(cbor: &mut Cbor<'_>, data: &[u8]) -> Result<Tensor, String> {
    let (mut shape, mut range) = (None, None);
    for _ in 0..cbor.map()? {
        match cbor.text()? {
            "dtype" => {
                let found = cbor.text().map_err(|_| "expected dtype F32, found another")?;
                if found != "F32" {
                    return Err(format!("expected dtype F32, found {found}"));
                }
            }
            "shape" => {
                let rank = cbor.array()?;
                let dims: Result<Vec<usize>, String> =
                    (0..rank.min(9)).map(|_| cbor.number()).collect();
                shape = Some(dims?);
            }
            "data_offsets" => {
                if cbor.array()? != 2 {
                    return Err("expected two data offsets".into());
                }
                range = Some(cbor.number()?..cbor.number()?);
            }
            _ => cbor.skip(0)?,
        }
    }
    let (Some(shape), Some(range)) = (shape, range) else {
        return Err("shape or data offsets are missing".into());
    };
    let values = data
        .get(range.clone())
        .ok_or_else(|| format!("bytes {range:?} are not in the {} of data", data.len()))?;
    let expected = shape.iter().try_fold(4usize, |n, d| n.checked_mul(*d));
    if expected != Some(values.len()) {
        return Err(format!("shape {shape:?} does not fit {} bytes", values.len()));
    }
    let (values, _) = values.as_chunks::<4>();
    Ok(Tensor { shape, values: values.iter().map(|b| f32::from_le_bytes(*b)).collect() })
}

/// The part of CBOR (RFC 8949) that the metadata uses.
struct Cbor<'a> {
    rest: &'a [u8],
}

impl<'a> Cbor<'a> {
    fn take(&mut self, n: usize) -> Result<&'a [u8], String> {
        let (taken, rest) =
            self.rest.split_at_checked(n).ok_or("the metadata ends in the middle of a value")?;
        self.rest = rest;
        Ok(taken)
    }

    /// Major type and argument of the next item.
    fn head(&mut self) -> Result<(u8, u64), String> {
        let first = self.take(1)?.first().copied().unwrap_or(0);
        let argument = match first & 31 {
            small @ 0..24 => u64::from(small),
            size @ 24..28 => {
                let bytes = self.take(1 << (size - 24))?;
                bytes.iter().fold(0, |n, b| (n << 8) | u64::from(*b))
            }
            _ => return Err("the metadata holds an item of indefinite length".into()),
        };
        Ok((first >> 5, argument))
    }

    fn expect(&mut self, major: u8, what: &str) -> Result<usize, String> {
        match self.head()? {
            (found, n) if found == major => {
                usize::try_from(n).map_err(|_| format!("{n} is too large"))
            }
            _ => Err(format!("the metadata holds something else where {what} was expected")),
        }
    }

    fn number(&mut self) -> Result<usize, String> {
        self.expect(0, "a number")
    }

    fn array(&mut self) -> Result<usize, String> {
        self.expect(4, "a list")
    }

    fn map(&mut self) -> Result<usize, String> {
        self.expect(5, "a map")
    }

    fn text(&mut self) -> Result<&'a str, String> {
        let length = self.expect(3, "a text")?;
        std::str::from_utf8(self.take(length)?).map_err(|e| e.to_string())
    }

    /// Passes over one item.
    fn skip(&mut self, depth: u32) -> Result<(), String> {
        if depth > MAX_DEPTH {
            return Err("the metadata is nested too deeply".into());
        }
        let (major, n) = self.head()?;
        let items = match major {
            2 | 3 => {
                self.take(usize::try_from(n).map_err(|_| format!("{n} is too large"))?)?;
                0
            }
            4 => n,
            5 => n.saturating_mul(2),
            6 => 1,
            _ => 0,
        };
        for _ in 0..items {
            self.skip(depth + 1)?;
        }
        Ok(())
    }
}
