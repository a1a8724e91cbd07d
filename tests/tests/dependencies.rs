//! What we build is what we may use: licences and sources of every dependency, by the lists of
//! deny.toml. `cargo deny check` says more (advisories), but takes minutes to compile and its data
//! base from the network; this needs neither.

use std::collections::BTreeMap;
use std::process::Command;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// Whether an SPDX expression can be met with allowed licences alone. `/` is an old way to say OR.
fn may_use(expression: &str, allowed: &dyn Fn(&str) -> bool) -> bool {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut at = 0;
    let met = any(&words, &mut at, allowed);
    met && at == words.len()
}

fn any(words: &[&str], at: &mut usize, allowed: &dyn Fn(&str) -> bool) -> bool {
    let mut met = all(words, at, allowed);
    while words.get(*at) == Some(&"OR") {
        *at += 1;
        met |= all(words, at, allowed);
    }
    met
}

fn all(words: &[&str], at: &mut usize, allowed: &dyn Fn(&str) -> bool) -> bool {
    let mut met = one(words, at, allowed);
    while words.get(*at) == Some(&"AND") {
        *at += 1;
        met &= one(words, at, allowed);
    }
    met
}

fn one(words: &[&str], at: &mut usize, allowed: &dyn Fn(&str) -> bool) -> bool {
    let Some(word) = words.get(*at) else { return false };
    *at += 1;
    if *word == "(" {
        let met = any(words, at, allowed);
        *at += 1;
        return met;
    }
    if words.get(*at) == Some(&"WITH") {
        *at += 2;
        return allowed(&words[*at - 3..*at].join(" "));
    }
    allowed(word)
}

#[test]
fn expressions_are_understood() {
    let allowed = |l: &str| ["MIT", "Zlib", "Apache-2.0 WITH LLVM-exception"].contains(&l);
    for (expression, met) in [
        ("MIT", true),
        ("GPL-3.0", false),
        ("GPL-3.0 OR MIT", true),
        ("GPL-3.0/MIT", true),
        ("MIT AND GPL-3.0", false),
        ("(MIT OR GPL-3.0) AND Zlib", true),
        ("(MIT OR GPL-3.0) AND GPL-2.0", false),
        ("Apache-2.0 WITH LLVM-exception", true),
        ("Apache-2.0 WITH other OR Apache-2.0", false),
        ("MIT MIT", false),
        ("", false),
    ] {
        assert_eq!(may_use(expression, &allowed), met, "{expression}");
    }
}

#[test]
fn every_dependency_has_an_allowed_licence() {
    let deny: toml::Table =
        toml::from_str(&std::fs::read_to_string(format!("{ROOT}/deny.toml")).expect("deny.toml"))
            .expect("its TOML");
    let names = |list: &toml::Value| -> Vec<String> {
        list.as_array()
            .expect("a list")
            .iter()
            .map(|v| v.as_str().expect("a name").into())
            .collect()
    };
    let licenses = &deny["licenses"];
    let allow = names(&licenses["allow"]);
    let exceptions: BTreeMap<String, Vec<String>> = licenses["exceptions"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|e| (e["name"].as_str().expect("a name").into(), names(&e["allow"])))
        .collect();

    // Of this platform: what is built here is there, without a network.
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--workspace", "--locked", "--offline", "-e", "normal,build"])
        .args(["--prefix", "none", "-f", "{p}|{l}|"])
        .current_dir(ROOT)
        .output()
        .expect("cargo tree");
    let text = String::from_utf8(output.stdout).expect("its text");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let (mut seen, mut wrong) = (0, Vec::new());
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        let mut parts = line.split('|');
        let (package, license) = (parts.next().unwrap_or(""), parts.next().unwrap_or(""));
        let name = package.split(' ').next().unwrap_or("");
        let special = exceptions.get(name);
        let allowed = |l: &str| {
            allow.iter().any(|a| a == l) || special.is_some_and(|s| s.iter().any(|a| a == l))
        };
        seen += 1;
        if !may_use(license, &allowed) {
            wrong.push(format!("{package}: {license:?}"));
        }
    }
    assert!(seen > 100, "cargo tree said too little: {seen} lines");
    assert!(wrong.is_empty(), "not in deny.toml:\n{}", wrong.join("\n"));
}

#[test]
fn every_dependency_comes_from_the_registry_with_its_checksum() {
    let lock = std::fs::read_to_string(format!("{ROOT}/Cargo.lock")).expect("Cargo.lock");
    let lock: toml::Table = toml::from_str(&lock).expect("its TOML");
    for package in lock["package"].as_array().expect("packages") {
        let name = package["name"].as_str().expect("a name");
        match package.get("source").and_then(toml::Value::as_str) {
            None => assert!(name.starts_with("caril-"), "{name} is none of ours and has no source"),
            Some(source) => {
                let registry = "registry+https://github.com/rust-lang/crates.io-index";
                assert_eq!(source, registry, "{name}");
                assert!(package.get("checksum").is_some(), "{name} has no checksum");
            }
        }
    }
}
