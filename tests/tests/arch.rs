//! The layers: arrows only point down, and each heavy dependency lives behind one crate.
//! ARCHITECTURE.md draws the same table.

use std::collections::BTreeMap;
use std::process::Command;

use serde_json::Value;

/// Crate → crates of ours that it may use.
const LAYERS: &[(&str, &[&str])] = &[
    ("caril-core", &[]),
    ("caril-control", &["caril-core"]),
    ("caril-pack", &["caril-core"]),
    ("caril-policy", &["caril-core", "caril-pack"]),
    ("caril-infer", &["caril-core", "caril-pack"]),
    ("caril-road", &["caril-core"]),
    ("caril-link", &["caril-core"]),
    ("caril-record", &["caril-core"]),
    ("caril-sim", &["caril-core", "caril-road"]),
    ("caril-carla", &["caril-core", "caril-road", "caril-sim"]),
    ("caril-runtime", &["caril-core", "caril-control", "caril-record"]),
    ("caril-view", &["caril-core", "caril-record"]),
    ("caril-train", &["caril-core", "caril-eval", "caril-pack", "caril-policy", "caril-record"]),
    ("caril-import", &["caril-core", "caril-record"]),
    ("caril-eval", &["caril-core"]),
    (
        "caril-cli",
        &[
            "caril-core",
            "caril-control",
            "caril-pack",
            "caril-policy",
            "caril-infer",
            "caril-road",
            "caril-sim",
            "caril-carla",
            "caril-link",
            "caril-record",
            "caril-runtime",
            "caril-view",
            "caril-train",
            "caril-import",
            "caril-eval",
        ],
    ),
    (
        "caril-hil",
        &[
            "caril-core",
            "caril-control",
            "caril-road",
            "caril-sim",
            "caril-link",
            "caril-record",
            "caril-view",
        ],
    ),
    ("caril-tests", &[]),
];

/// Heavy dependency → the only crates that may name it.
const OWNERS: &[(&str, &[&str])] = &[
    ("burn", &["caril-policy", "caril-train"]),
    ("zmq", &["caril-link"]),
    ("snow", &["caril-link"]),
    ("mcap", &["caril-record"]),
    ("clap", &["caril-cli", "caril-hil"]),
    ("roxmltree", &["caril-road"]),
    ("rmpv", &["caril-carla"]),
    ("csv-core", &["caril-import"]),
    ("tar", &["caril-import"]),
    ("httparse", &["caril-view"]),
    ("nix", &["caril-view", "caril-cli"]),
    ("anyhow", &["caril-cli", "caril-train", "caril-hil"]),
];

#[test]
fn arrows_only_point_down() {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo metadata of the workspace");
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("its JSON");
    let array = |v: &Value, key: &str| v[key].as_array().cloned().unwrap_or_default();
    let packages = array(&metadata, "packages");
    let layers: BTreeMap<_, _> = LAYERS.iter().copied().collect();
    let mut wrong = Vec::new();
    for package in &packages {
        let name = package["name"].as_str().expect("a name");
        let Some(allowed) = layers.get(name) else {
            wrong.push(format!("{name} is not in the table of layers"));
            continue;
        };
        // `kind` is null for normal dependencies, else "dev" or "build".
        for dependency in array(package, "dependencies").iter().filter(|d| d["kind"].is_null()) {
            let on = dependency["name"].as_str().expect("a name");
            if on.starts_with("caril-") && !allowed.contains(&on) {
                wrong.push(format!("{name} must not use {on}"));
            }
            if OWNERS.iter().any(|(heavy, owners)| *heavy == on && !owners.contains(&name)) {
                wrong.push(format!("{name} must not use {on}: it lives behind another crate"));
            }
        }
    }
    assert_eq!(packages.len(), LAYERS.len(), "a crate is missing from the table");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_safety_core_builds_without_std() {
    for file in ["control/src/lib.rs", "core/src/lib.rs"] {
        let path = format!("{}/../crates/{file}", env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(&path).expect(&path);
        assert!(text.contains("#![no_std]"), "{path} must be no_std");
    }
    let control = concat!(env!("CARGO_MANIFEST_DIR"), "/../crates/control/src/lib.rs");
    let text = std::fs::read_to_string(control).expect(control);
    assert!(!text.contains("extern crate alloc"), "the safety core must not allocate");
}
