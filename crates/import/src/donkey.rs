//! donkeycar's tub, version 2: a manifest that names catalogs, which are JSON lines.

use std::collections::BTreeSet;

use caril_core::NavCommand;
use serde_json::Value;

use crate::row::{BadKind, BadRow, Row, Table};
use crate::source::{Source, parent};
use crate::{ImportError, table};

const LIMIT: u64 = 1 << 30;
/// Fields with a speed in m/s: of the wheel encoder, of the simulator.
const SPEEDS: [&str; 2] = ["enc/speed", "pos/speed"];

/// All records of the tub at `key` (its manifest), in order.
pub(crate) fn read(source: &Source, key: &str, steer_scale: f64) -> Result<Table, ImportError> {
    let text = |key: &str| -> Result<String, ImportError> {
        let path = source.path().join(key);
        let bytes = source.read(key, LIMIT).map_err(ImportError::io("reading the tub", &path))?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    let failed = |why: &str| ImportError::Table { why: why.into(), path: key.to_owned() };
    let manifest = text(key)?;
    // Inputs, types, metadata, the manifest's own metadata, and last the catalogs.
    let catalogs = manifest
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line.trim()).ok())
        .rfind(|line| line.get("paths").is_some())
        .ok_or_else(|| failed("expected a tub's manifest, got no line with \"paths\""))?;
    let list = |name: &str| catalogs.get(name).and_then(Value::as_array).into_iter().flatten();
    let deleted: BTreeSet<u64> = list("deleted_indexes").filter_map(Value::as_u64).collect();
    let mut tub =
        Tub { deleted, steer_scale, speed: None, session: None, drive: 0, table: Table::default() };
    let mut line = 0;
    for name in list("paths") {
        let name = name.as_str().ok_or_else(|| failed("a catalog's path is no text"))?;
        let folder = parent(key);
        let catalog = if folder.is_empty() { name.into() } else { format!("{folder}/{name}") };
        if !source.contains(&catalog) {
            return Err(failed(&format!("the manifest names {name}, which is not there")));
        }
        for record in text(&catalog)?.lines() {
            line += 1;
            if !record.trim().is_empty() {
                tub.push(line, record.trim());
            }
        }
    }
    Ok(tub.table)
}

struct Tub {
    deleted: BTreeSet<u64>,
    steer_scale: f64,
    /// The field that holds the speed, as the first record tells.
    speed: Option<Option<&'static str>>,
    session: Option<String>,
    drive: u64,
    table: Table,
}

impl Tub {
    fn push(&mut self, line: u64, text: &str) {
        let record = match serde_json::from_str::<Value>(text) {
            Ok(record) if record.is_object() => record,
            other => {
                // Python's way to write numbers that JSON does not know.
                let nan = ["NaN", "Infinity"].iter().any(|n| text.contains(n));
                let kind = if nan { BadKind::NotANumber } else { BadKind::Malformed };
                let why = other.map_or_else(|e| e.to_string(), |_| "no JSON object".to_owned());
                let bad = BadRow { row: line, kind, why, picture: String::new() };
                self.table.rows.push(Err(bad));
                return;
            }
        };
        let index = record.get("_index").and_then(Value::as_u64).unwrap_or(line - 1);
        if self.deleted.contains(&index) {
            self.table.deleted += 1;
            return;
        }
        let in_record = || SPEEDS.into_iter().find(|name| record.get(name).is_some());
        let speed = *self.speed.get_or_insert_with(in_record);
        let session = record.get("_session_id").and_then(Value::as_str);
        if session != self.session.as_deref() {
            self.session = session.map(str::to_owned);
            self.drive += 1;
        }
        let row = self.row(line, &record, speed);
        self.table.rows.push(row);
    }

    fn row(&self, line: u64, record: &Value, speed: Option<&str>) -> Result<Row, BadRow> {
        let text = |name: &str| record.get(name).and_then(Value::as_str);
        let mut row = Row {
            row: line,
            picture: text("cam/image_array").unwrap_or("").to_owned(),
            time_ns: None,
            drive: self.drive,
            steer: 0.0,
            throttle: 0.0,
            brake: 0.0,
            speed_mps: None,
            nav: NavCommand::Follow,
            position: None,
        };
        if row.picture.is_empty() {
            return Err(row.bad(BadKind::Malformed, "no cam/image_array"));
        }
        // Where a pilot steers, user/angle is not what turned the wheels.
        if let Some(mode) = text("user/mode").filter(|mode| *mode != "user") {
            return Err(row.bad(BadKind::NotDriven, format!("user/mode is {mode:?}")));
        }
        let number = |name: &str| -> Result<f64, BadRow> {
            let got = record.get(name);
            got.and_then(Value::as_f64).filter(|x| x.is_finite()).ok_or_else(|| {
                let got = got.map_or_else(|| "missing".to_owned(), Value::to_string);
                row.bad(BadKind::NotANumber, format!("{name} is {got}"))
            })
        };
        let steer = number("user/angle")?;
        let throttle =
            if record.get("user/throttle").is_some() { number("user/throttle")? } else { 0.0 };
        let speed = speed.map(number).transpose()?;
        let ms = record.get("_timestamp_ms").and_then(Value::as_i64);
        let ns = ms.and_then(|ms| ms.checked_mul(1_000_000));
        let no_time = || row.bad(BadKind::NotANumber, "_timestamp_ms is missing or no number");
        row.time_ns = Some(ns.ok_or_else(no_time)?);
        table::labels(&mut row, steer, self.steer_scale, 1.0)?;
        table::pedals(&mut row, throttle, 0.0)?;
        if let Some(v) = speed {
            row.speed_mps = Some(table::speed_mps(&row, v)?);
        }
        Ok(row)
    }
}
