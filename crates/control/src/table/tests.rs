//! Tests of the table, also against docs/safety.md.

use super::*;
use std::string::String;
use std::vec::Vec;

const SAFETY: &str = include_str!("../../../../docs/safety.md");

#[test]
fn every_fault_has_its_own_row() {
    for fault in Fault::ALL {
        assert_eq!(rule(fault).fault, fault);
    }
}

/// The rows of the first markdown table whose first heading is `fault`, cells without ticks.
fn rows() -> Vec<Vec<String>> {
    let cells = |line: &str| {
        let line = line.trim().trim_matches('|');
        line.split('|').map(|c| c.trim().trim_matches('`').into()).collect::<Vec<String>>()
    };
    SAFETY
        .lines()
        .skip_while(|l| !l.starts_with("| fault |"))
        .take_while(|l| l.starts_with('|'))
        .skip(2)
        .map(cells)
        .collect()
}

#[test]
fn safety_md_is_this_table() {
    let rows = rows();
    assert_eq!(rows.len(), TABLE.len(), "one row per fault in docs/safety.md");
    for (row, rule) in rows.iter().zip(TABLE) {
        let mode = match rule.class {
            Class::Latent => "degraded",
            Class::SinglePoint => "safe_stop",
        };
        let expected = [
            rule.fault.name(),
            rule.class.name(),
            mode,
            rule.manoeuvre.name(),
            rule.steering.name(),
            rule.recovery.name(),
        ];
        assert_eq!(row[..6], expected, "docs/safety.md");
    }
}

#[test]
fn rows_are_made_as_they_are_named() {
    // The table is made by the compiler; here its two makers run.
    let made = latent(Fault::FrameLate, Steering::Live);
    assert_eq!(made, rule(Fault::FrameLate));
    let (manoeuvre, steering) = (Manoeuvre::HardStop, Steering::Held);
    let made = stop(Fault::Internal, manoeuvre, steering, Recovery::Never);
    assert_eq!(made, rule(Fault::Internal));
}

#[test]
fn latent_faults_slow_down_and_single_point_faults_stop() {
    for rule in TABLE {
        assert_eq!(rule.class == Class::Latent, rule.manoeuvre == Manoeuvre::Slow);
        assert_eq!(rule.class == Class::Latent, rule.recovery == Recovery::CleanFrames);
    }
}
