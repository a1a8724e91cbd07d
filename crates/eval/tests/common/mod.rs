//! Reads the stored vectors: `case NAME`, then lines of a key and numbers.
//!
//! Plain text, since Rust reads its decimals exactly; a JSON reader may be off by a bit.

use std::collections::BTreeMap;

/// One case of a file.
#[derive(Default)]
pub struct Case {
    /// What it is called.
    pub name: String,
    values: BTreeMap<String, Vec<f64>>,
}

impl Case {
    /// The numbers of a key.
    pub fn all(&self, key: &str) -> &[f64] {
        self.values.get(key).unwrap_or_else(|| panic!("{}: no {key}", self.name))
    }

    /// The only number of a key.
    pub fn one(&self, key: &str) -> f64 {
        assert_eq!(self.all(key).len(), 1, "{}: {key}", self.name);
        self.all(key)[0]
    }
}

/// All cases of a text.
pub fn cases(text: &str) -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    for line in text.lines() {
        let (key, rest) = line.split_once(' ').expect("key and values");
        if key == "case" {
            cases.push(Case { name: rest.to_owned(), ..Case::default() });
            continue;
        }
        let numbers = rest.split(' ').map(|v| v.parse().expect("a number")).collect();
        let case = cases.last_mut().expect("a case first");
        assert!(case.values.insert(key.to_owned(), numbers).is_none(), "{key} twice");
    }
    cases
}

/// Whether two numbers agree to `relative`, or to 1e-9 near zero.
#[track_caller]
pub fn assert_close(what: &str, got: f64, expected: f64, relative: f64) {
    let apart = (got - expected).abs();
    assert!(apart <= relative * expected.abs() + 1e-9, "{what}: {got}, expected {expected}");
}
