//! A table's records: fields, and the line on which each record begins.

use csv_core::{ReadRecordResult, Reader, ReaderBuilder};

/// One record, its fields without the blanks around them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Record {
    /// From 1.
    pub line: u64,
    pub fields: Vec<String>,
}

impl Record {
    pub fn get(&self, i: usize) -> Option<&str> {
        self.fields.get(i).map(String::as_str)
    }
}

/// Walks a table; empty lines are passed over.
pub(crate) struct Records<'a> {
    rest: &'a [u8],
    reader: Reader,
    line: u64,
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl<'a> Records<'a> {
    pub fn new(text: &'a str) -> Self {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let line = text.lines().find(|l| !l.trim().is_empty()).unwrap_or("");
        // A comma in a table with semicolons is somebody's decimal comma.
        let delimiter = [b'\t', b';'].into_iter().find(|c| line.as_bytes().contains(c));
        Self {
            rest: text.as_bytes(),
            reader: ReaderBuilder::new().delimiter(delimiter.unwrap_or(b',')).build(),
            line: 1,
            bytes: vec![0; 1024],
            ends: vec![0; 16],
        }
    }

    fn take(&mut self, n: usize) {
        let (taken, rest) = self.rest.split_at(n.min(self.rest.len()));
        self.line += taken.iter().filter(|b| **b == b'\n').count() as u64;
        self.rest = rest;
    }
}

impl Iterator for Records<'_> {
    type Item = Record;

    fn next(&mut self) -> Option<Record> {
        let empty = self.rest.iter().take_while(|b| matches!(b, b'\r' | b'\n')).count();
        self.take(empty);
        let line = self.line;
        let (mut filled, mut ended) = (0, 0);
        loop {
            let bytes = self.bytes.get_mut(filled..)?;
            let ends = self.ends.get_mut(ended..)?;
            let (result, read, out, end) = self.reader.read_record(self.rest, bytes, ends);
            self.take(read);
            filled += out;
            ended += end;
            match result {
                // Asked again with nothing, it ends the last record.
                ReadRecordResult::InputEmpty => {}
                ReadRecordResult::OutputFull => self.bytes.resize(2 * self.bytes.len(), 0),
                ReadRecordResult::OutputEndsFull => self.ends.resize(2 * self.ends.len(), 0),
                ReadRecordResult::Record => break,
                ReadRecordResult::End => return None,
            }
        }
        let mut start = 0;
        let fields = self.ends.iter().take(ended).map(|end| {
            let field = self.bytes.get(start..*end).unwrap_or_default();
            start = *end;
            String::from_utf8_lossy(field).trim().to_owned()
        });
        Some(Record { line, fields: fields.collect() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &str) -> Vec<(u64, Vec<String>)> {
        Records::new(text).map(|r| (r.line, r.fields)).collect()
    }

    #[test]
    fn lines_are_those_of_an_editor() {
        let expected = [(2, "a|b"), (3, "1|x, \"y\""), (5, "2|two\nlines"), (7, "3|")];
        for newline in ["\n", "\r\n"] {
            let text = "\u{feff}\na , b\n1,\"x, \"\"y\"\"\"\n\n2,\"two\nlines\"\n3,";
            let text = text.replace('\n', newline);
            let got: Vec<(u64, String)> =
                all(&text).into_iter().map(|(n, f)| (n, f.join("|").replace('\r', ""))).collect();
            assert_eq!(got, expected.map(|(n, f)| (n, f.to_owned())), "{newline:?}");
        }
    }

    #[test]
    fn delimiters_and_lengths_do_not_matter() {
        assert_eq!(all("a;b\n1,5;2\n")[1].1, ["1,5", "2"]);
        assert_eq!(all("a\tb")[0].1, ["a", "b"]);
        assert_eq!(all(""), []);
        assert_eq!(all("\r\n\r\n"), []);
        let long = "x".repeat(5000);
        let many = vec![long.as_str(); 40].join(",");
        let got = all(&format!("{many}\n1"));
        assert_eq!((got[0].1.len(), got[1].0), (40, 2));
        assert!(got[0].1.iter().all(|field| *field == long));
        // A quote that nobody closes takes the rest, but loses nothing and ends.
        assert_eq!(all("a\n\"b\nc").len(), 2);
    }
}
