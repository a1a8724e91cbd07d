//! What the rig's tests share.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

/// The rig's program in the source tree's folder; it finds `caril` beside itself.
pub fn rig_command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_caril-hil"));
    command.current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("..")).args(args);
    command
}

/// Runs it.
pub fn rig(args: &[&str]) -> Output {
    rig_command(args).output().expect("the rig runs")
}

/// Output as text.
pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The one object on stdout.
pub fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|e| panic!("not one JSON object: {e}\n{}", text(&output.stderr)))
}

/// Budgets of a file, in a folder of its own.
pub fn budgets(text: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("budgets.toml");
    std::fs::write(&path, text).expect("budgets");
    (folder, path)
}
