//! `config/default.toml` is the program's defaults, all of them.

use caril_core::Config;

#[test]
fn default_toml_is_the_default() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../config/default.toml");
    let written = toml::to_string_pretty(&Config::default()).expect("defaults serialise");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        let head = "# The defaults, as they are in the program (a test compares them). A file for --config may\n# give any part of this. Meanings and units: crates/core/src/config.rs.\n\n";
        std::fs::write(path, format!("{head}{written}")).expect("write");
    }
    let text = std::fs::read_to_string(path).expect(path);
    assert_eq!(toml::from_str::<Config>(&text).expect("valid"), Config::default());
    let body: String = text.lines().filter(|l| !l.starts_with('#')).collect::<Vec<_>>().join("\n");
    assert_eq!(body.trim(), written.trim(), "every default stands in the file");
}

#[test]
fn unknown_keys_are_refused() {
    assert!(toml::from_str::<Config>("[gate]\nlate_msec = 3").is_err());
}
