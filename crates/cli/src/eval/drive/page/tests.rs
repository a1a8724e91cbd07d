//! The page: whole, escaped, without references to the outside.

use caril_eval::stats::Bootstrap;
use caril_eval::suite::{Arm, compare};

use super::*;
use crate::eval::drive::testing;

#[test]
fn the_page_is_one_file_and_says_what_the_drives_say() {
    let results = testing::results(6);
    let run = RunFacts {
        version: "0".into(),
        suites: vec![testing::suite()],
        roles: Vec::new(),
        trials: [("made_up".to_owned(), 6)].into(),
    };
    let arms: Vec<Arm> = ["off", "calibrated"].iter().map(|a| Arm::parse(a).unwrap()).collect();
    let tables = compare(&results, &arms, &Bootstrap { resamples: 100, ..Bootstrap::new(1) });
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), &run, &results, &tables).unwrap();
    let page = std::fs::read_to_string(dir.path().join("report.html")).unwrap();
    assert!(page.contains("better than off: Cross-track error, mean −50 %"), "verdict");
    assert!(page.contains("made_up: all") && page.contains("<svg"));
    for outside in ["http://", "https://", "src=\"/", "@import"] {
        let found = page.replace("http://www.w3.org/2000/svg", "");
        assert!(!found.contains(outside), "{outside}");
    }
}
