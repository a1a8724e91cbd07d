//! A step as one flat JSON object that plots well and reads back bit for bit.
//!
//! Numbers are the shortest decimal that gives the same bits again. JSON knows no NaN and no
//! infinity: such a field is left out (0 inside `probs`), so that plots show a gap, and the string
//! `non_finite` says what it was: `key=bits` in hexadecimal, separated by spaces.

use std::fmt::Write as _;

use caril_core::{BIN_COUNT, Fault, ImageCheck, StepRecord, Truth};

use crate::RecordError;
use crate::step_fields::{NEWER, Visitor, visit};

/// Appends the JSON of `step` to `out`, which is cleared first.
pub fn step_to_json(step: &StepRecord, out: &mut String) {
    out.clear();
    let mut copy = *step;
    let mut writer = Writer { out, lost: String::new() };
    writer.out.push('{');
    // Writing to a string cannot fail.
    let _ = visit(&mut copy, &mut writer);
    let lost = std::mem::take(&mut writer.lost);
    let _ = write!(out, "\"non_finite\":\"{}\",\"fault_names\":\"", lost.trim_end());
    for (i, fault) in step.faults.iter().enumerate() {
        let _ = write!(out, "{}{}", if i == 0 { "" } else { " " }, fault.name());
    }
    out.push_str("\"}");
}

/// The step of which `json` was written. Unknown keys are passed over.
///
/// # Errors
/// [`RecordError::Step`] if a key is missing or a value is not what belongs there.
pub fn step_from_json(json: &str) -> Result<StepRecord, RecordError> {
    let fields = parse(json).ok_or_else(|| RecordError::Step("not a flat JSON object".into()))?;
    let mut reader = Reader { lost: "", fields, next: 0 };
    reader.lost = reader.find("non_finite").unwrap_or("").trim_matches('"');
    let mut step = StepRecord::default();
    visit(&mut step, &mut reader)?;
    if !reader.has(NEWER) {
        guess_inputs(&mut step);
    }
    Ok(step)
}

/// Recordings of before these fields do not say what the picture's check found, nor which faults
/// came from outside. The faults of the step tell most of it.
fn guess_inputs(step: &mut StepRecord) {
    let has = |fault| step.faults.contains(fault);
    step.image = ImageCheck {
        mean_luma: match () {
            () if has(Fault::ImageBlack) => 0.0,
            () if has(Fault::ImageBlownOut) => 255.0,
            () => 128.0,
        },
        // Pictures that follow each other are different, but for frozen ones.
        fingerprint: if has(Fault::ImageFrozen) { 0 } else { step.frame_id.0.wrapping_add(1) },
        malformed: has(Fault::ImageMalformed),
    };
    let outside = [Fault::MessageMalformed, Fault::StopRequested];
    step.observe_faults = outside.into_iter().filter(|f| has(*f)).collect();
}

/// JSON schema of a step, as the record on `/step` carries it.
pub(crate) fn step_schema() -> String {
    let mut schema = Schema(String::from(
        r#"{"title":"caril.StepRecord","description":"One step of the controller; absent numbers are not finite, see non_finite","type":"object","properties":{"#,
    ));
    let mut step = StepRecord { truth: Some(Truth::default()), ..StepRecord::default() };
    let _ = visit(&mut step, &mut schema);
    schema.0.push_str(
        r#""non_finite":{"type":"string","description":"key=bits of numbers that are not finite"},"fault_names":{"type":"string","description":"names of the faults"}}}"#,
    );
    schema.0
}

struct Writer<'a> {
    out: &'a mut String,
    lost: String,
}

impl Visitor for Writer<'_> {
    type Error = std::fmt::Error;

    fn f32(&mut self, key: &'static str, _: &'static str, v: &mut f32) -> std::fmt::Result {
        if v.is_finite() {
            write!(self.out, "\"{key}\":{v:?},")
        } else {
            write!(self.lost, "{key}={:08x} ", v.to_bits())
        }
    }

    fn f64(&mut self, key: &'static str, _: &'static str, v: &mut f64) -> std::fmt::Result {
        if v.is_finite() {
            write!(self.out, "\"{key}\":{v:?},")
        } else {
            write!(self.lost, "{key}={:016x} ", v.to_bits())
        }
    }

    fn u64(&mut self, key: &'static str, _: &'static str, v: &mut u64) -> std::fmt::Result {
        write!(self.out, "\"{key}\":{v},")
    }

    fn bool(&mut self, key: &'static str, _: &'static str, v: &mut bool) -> std::fmt::Result {
        write!(self.out, "\"{key}\":{v},")
    }

    fn probs(
        &mut self,
        key: &'static str,
        _: &'static str,
        v: &mut [f32; BIN_COUNT],
    ) -> std::fmt::Result {
        write!(self.out, "\"{key}\":[")?;
        for (k, p) in v.iter().enumerate() {
            let comma = if k == 0 { "" } else { "," };
            if p.is_finite() {
                write!(self.out, "{comma}{p:?}")?;
            } else {
                write!(self.out, "{comma}0.0")?;
                write!(self.lost, "{key}[{k}]={:08x} ", p.to_bits())?;
            }
        }
        write!(self.out, "],")
    }

    fn name(
        &mut self,
        key: &'static str,
        _: &'static str,
        names: &'static [&'static str],
        v: &mut usize,
    ) -> std::fmt::Result {
        write!(self.out, "\"{key}\":\"{}\",", names.get(*v).unwrap_or(&""))
    }

    fn misfit(&self, _: &'static str) -> std::fmt::Error {
        std::fmt::Error
    }
}

struct Reader<'a> {
    lost: &'a str,
    fields: Vec<(&'a str, &'a str)>,
    next: usize,
}

impl<'a> Reader<'a> {
    /// The value of `key` as it stands in the JSON. Our own writer's order makes this one look.
    fn find(&mut self, key: &str) -> Option<&'a str> {
        let n = self.fields.len();
        for i in (self.next..n).chain(0..self.next.min(n)) {
            if let Some((k, value)) = self.fields.get(i)
                && *k == key
            {
                self.next = i + 1;
                return Some(value);
            }
        }
        None
    }

    fn value<T: std::str::FromStr>(&mut self, key: &'static str) -> Result<T, RecordError> {
        let text = self.find(key).ok_or_else(|| missing(key))?;
        text.parse().map_err(|_| RecordError::Step(format!("{key} is {text:?}")))
    }

    /// Bits of a number that is not finite.
    fn bits(&self, key: &str) -> Option<u64> {
        let hex = self.lost.split(' ').find_map(|w| w.strip_prefix(key)?.strip_prefix('='))?;
        u64::from_str_radix(hex, 16).ok()
    }
}

fn missing(key: &str) -> RecordError {
    RecordError::Step(format!("{key} is missing"))
}

impl Visitor for Reader<'_> {
    type Error = RecordError;

    fn f32(&mut self, key: &'static str, _: &'static str, v: &mut f32) -> Result<(), RecordError> {
        *v = match self.bits(key) {
            Some(bits) => f32::from_bits(bits as u32),
            None => self.value(key)?,
        };
        Ok(())
    }

    fn f64(&mut self, key: &'static str, _: &'static str, v: &mut f64) -> Result<(), RecordError> {
        *v = match self.bits(key) {
            Some(bits) => f64::from_bits(bits),
            None => self.value(key)?,
        };
        Ok(())
    }

    fn u64(&mut self, key: &'static str, _: &'static str, v: &mut u64) -> Result<(), RecordError> {
        *v = self.value(key)?;
        Ok(())
    }

    fn bool(
        &mut self,
        key: &'static str,
        _: &'static str,
        v: &mut bool,
    ) -> Result<(), RecordError> {
        *v = self.value(key)?;
        Ok(())
    }

    fn probs(
        &mut self,
        key: &'static str,
        _: &'static str,
        v: &mut [f32; BIN_COUNT],
    ) -> Result<(), RecordError> {
        let text = self.find(key).ok_or_else(|| missing(key))?;
        let wrong = || RecordError::Step(format!("{key} is {text:?}"));
        let list = text.strip_prefix('[').and_then(|t| t.strip_suffix(']')).ok_or_else(wrong)?;
        let mut items = list.split(',');
        for p in v.iter_mut() {
            *p = items.next().and_then(|t| t.trim().parse().ok()).ok_or_else(wrong)?;
        }
        if items.next().is_some() {
            return Err(wrong());
        }
        for word in self.lost.split(' ') {
            if let Some(rest) = word.strip_prefix(key).and_then(|r| r.strip_prefix('['))
                && let Some((k, hex)) = rest.split_once("]=")
                && let Some(p) = k.parse::<usize>().ok().and_then(|k| v.get_mut(k))
                && let Ok(bits) = u32::from_str_radix(hex, 16)
            {
                *p = f32::from_bits(bits);
            }
        }
        Ok(())
    }

    fn name(
        &mut self,
        key: &'static str,
        _: &'static str,
        names: &'static [&'static str],
        v: &mut usize,
    ) -> Result<(), RecordError> {
        let text = self.find(key).ok_or_else(|| missing(key))?;
        let name = text.trim_matches('"');
        *v = names
            .iter()
            .position(|n| *n == name)
            .ok_or_else(|| RecordError::Step(format!("{key} is {text}")))?;
        Ok(())
    }

    fn has(&mut self, key: &'static str) -> bool {
        self.fields.iter().rev().any(|(k, _)| *k == key)
    }

    fn misfit(&self, key: &'static str) -> RecordError {
        RecordError::Step(format!("{key} does not fit its field"))
    }
}

/// Keys and raw values of a flat JSON object (no nested objects, no escapes in strings: all that
/// [`step_to_json`] writes, and another writer's record may use any white space and order).
fn parse(json: &str) -> Option<Vec<(&str, &str)>> {
    let mut rest = json.trim().strip_prefix('{')?.strip_suffix('}')?.trim();
    let mut fields = Vec::with_capacity(64);
    while !rest.is_empty() {
        let (key, after) = rest.strip_prefix('"')?.split_once('"')?;
        let value = after.trim_start().strip_prefix(':')?.trim_start();
        let end = match value.as_bytes().first()? {
            b'"' => value.get(1..)?.find('"')? + 2,
            b'[' => value.find(']')? + 1,
            _ => value.find(',').unwrap_or(value.len()),
        };
        let (value, after) = value.split_at_checked(end)?;
        fields.push((key, value.trim_end()));
        let after = after.trim_start();
        rest = match after.strip_prefix(',') {
            Some(more) => more.trim_start(),
            None if after.is_empty() => after,
            None => return None,
        };
    }
    Some(fields)
}

struct Schema(String);

impl Schema {
    fn property(&mut self, key: &str, about: &str, kind: &str) -> std::fmt::Result {
        write!(self.0, "\"{key}\":{{\"type\":{kind},\"description\":\"{about}\"}},")
    }
}

impl Visitor for Schema {
    type Error = std::fmt::Error;

    fn f32(&mut self, key: &'static str, about: &'static str, _: &mut f32) -> std::fmt::Result {
        self.property(key, about, "\"number\"")
    }
    fn f64(&mut self, key: &'static str, about: &'static str, _: &mut f64) -> std::fmt::Result {
        self.property(key, about, "\"number\"")
    }
    fn u64(&mut self, key: &'static str, about: &'static str, _: &mut u64) -> std::fmt::Result {
        self.property(key, about, "\"integer\"")
    }
    fn bool(&mut self, key: &'static str, about: &'static str, _: &mut bool) -> std::fmt::Result {
        self.property(key, about, "\"boolean\"")
    }
    fn probs(
        &mut self,
        key: &'static str,
        about: &'static str,
        _: &mut [f32; BIN_COUNT],
    ) -> std::fmt::Result {
        self.property(key, about, "\"array\",\"items\":{\"type\":\"number\"}")
    }
    fn name(
        &mut self,
        key: &'static str,
        about: &'static str,
        _: &'static [&'static str],
        _: &mut usize,
    ) -> std::fmt::Result {
        self.property(key, about, "\"string\"")
    }
    fn misfit(&self, _: &'static str) -> std::fmt::Error {
        std::fmt::Error
    }
}
