//! What the system says of itself, from /proc and /sys. Every reader takes the root of the file
//! system, so that tests can lay out a machine; what is not there is not known, and no error.

use std::path::{Path, PathBuf};

use serde::Serialize;

/// The processor.
#[derive(Debug, PartialEq, Serialize)]
pub struct Cpu {
    /// Its name; a board's name where processors have none.
    pub model: String,
    /// Cores that there are.
    pub cores: usize,
    /// What the cores' frequency governors are, each once.
    pub governors: Vec<String>,
}

/// Memory, MiB.
#[derive(Debug, PartialEq, Serialize)]
pub struct Memory {
    /// All of it.
    pub total_mib: u64,
    /// What programs can still have.
    pub available_mib: u64,
    /// Swap.
    pub swap_mib: u64,
}

/// A graphics processor.
#[derive(Debug, PartialEq, Serialize)]
pub struct Gpu {
    /// Its name, or vendor and device number.
    pub name: String,
    /// Kernel driver, with its version where it tells.
    pub driver: String,
}

/// The clock.
#[derive(Debug, PartialEq, Serialize)]
pub struct Clock {
    /// What the kernel counts time by.
    pub source: String,
    /// Whether it is kept in step with a time server; `None`: not known.
    pub synchronised: Option<bool>,
}

fn text(path: PathBuf) -> Option<String> {
    Some(std::fs::read_to_string(path).ok()?.trim_end_matches(['\n', '\0']).trim().to_owned())
}

/// Entries of a folder whose names begin so, in order.
fn entries(folder: PathBuf, begin: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
    let named = |e: &std::fs::DirEntry| e.file_name().to_string_lossy().starts_with(begin);
    let mut found: Vec<PathBuf> = entries.filter(named).map(|e| e.path()).collect();
    found.sort();
    found
}

/// The value of `key: value` or `key  value`.
fn value(text: &str, key: &str) -> Option<String> {
    let line = text.lines().find(|line| line.starts_with(key))?;
    Some(line.get(key.len()..)?.trim_start_matches([' ', '\t', ':']).trim().to_owned())
}

/// The processor.
pub fn cpu(root: &Path) -> Cpu {
    let info = text(root.join("proc/cpuinfo")).unwrap_or_default();
    let board = || text(root.join("proc/device-tree/model"));
    let model = value(&info, "model name").or_else(board).unwrap_or_else(|| "unknown".into());
    let mut governors: Vec<String> = entries(root.join("sys/devices/system/cpu"), "cpu")
        .into_iter()
        .filter_map(|cpu| text(cpu.join("cpufreq/scaling_governor")))
        .collect();
    governors.sort();
    governors.dedup();
    let cores = info.lines().filter(|l| l.starts_with("processor")).count();
    Cpu { model, cores, governors }
}

/// Memory.
pub fn memory(root: &Path) -> Option<Memory> {
    let info = text(root.join("proc/meminfo"))?;
    let mib = |key| Some(value(&info, key)?.split(' ').next()?.parse::<u64>().ok()? / 1024);
    Some(Memory {
        total_mib: mib("MemTotal")?,
        available_mib: mib("MemAvailable")?,
        swap_mib: mib("SwapTotal").unwrap_or(0),
    })
}

/// Graphics processors that the kernel has a driver for.
pub fn gpus(root: &Path) -> Vec<Gpu> {
    let version = text(root.join("proc/driver/nvidia/version")).unwrap_or_default();
    // "NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.15  Tue …"
    let number = |w: &&str| w.contains('.') && w.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    let version = version.split_whitespace().find(number).unwrap_or("").to_owned();
    let nvidia = |path: PathBuf| {
        let info = text(path.join("information"))?;
        let driver = format!("nvidia {version}").trim().to_owned();
        Some(Gpu { name: value(&info, "Model")?, driver })
    };
    let mut found: Vec<Gpu> =
        entries(root.join("proc/driver/nvidia/gpus"), "").into_iter().filter_map(nvidia).collect();
    for card in entries(root.join("sys/class/drm"), "card") {
        // card0-HDMI-A-1 is a plug of card0.
        if card.file_name().is_some_and(|n| n.to_string_lossy().contains('-')) {
            continue;
        }
        let driver = std::fs::read_link(card.join("device/driver")).ok();
        let driver = driver.and_then(|d| Some(d.file_name()?.to_string_lossy().into_owned()));
        let Some(driver) = driver.filter(|d| d != "nvidia") else { continue };
        let read = |name: &str| text(card.join("device").join(name));
        let name = match (read("vendor"), read("device")) {
            (Some(vendor), Some(device)) => format!("{vendor}:{device}"),
            _ => card.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        };
        found.push(Gpu { name, driver });
    }
    found
}

/// The clock.
pub fn clock(root: &Path) -> Clock {
    let folder = "sys/devices/system/clocksource/clocksource0/current_clocksource";
    let source = text(root.join(folder)).unwrap_or_else(|| "unknown".into());
    // systemd-timesyncd leaves this file once it has set the clock; another daemon leaves nothing.
    let file = root.join("run/systemd/timesync/synchronized");
    let runs = root.join("run/systemd/timesync").exists();
    Clock { source, synchronised: if file.exists() { Some(true) } else { runs.then_some(false) } }
}

/// The kernel's way to preempt: `preempt_rt`, `preempt`, or empty.
pub fn preemption(root: &Path) -> String {
    let version = text(root.join("proc/sys/kernel/version")).unwrap_or_default();
    let realtime = text(root.join("sys/kernel/realtime")).is_some_and(|t| t == "1");
    let word = version.split_whitespace().find(|w| w.starts_with("PREEMPT"));
    match word {
        _ if realtime => "preempt_rt".into(),
        Some(word) => word.to_lowercase(),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = root.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        root
    }

    #[test]
    fn a_box_with_a_graphics_card_is_read() {
        let root = machine(&[
            ("proc/cpuinfo", "processor\t: 0\nmodel name\t: Some CPU @ 3 GHz\n\nprocessor\t: 1\n"),
            ("sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "powersave\n"),
            ("sys/devices/system/cpu/cpu1/cpufreq/scaling_governor", "powersave\n"),
            ("proc/meminfo", "MemTotal:  2097152 kB\nMemAvailable:  1048576 kB\nSwapTotal: 0 kB\n"),
            ("proc/driver/nvidia/version", "NVRM version: NVIDIA Kernel Module  550.54.15  Tue\n"),
            ("proc/driver/nvidia/gpus/0000:01:00.0/information", "Model: \t\t NVIDIA T4\n"),
            ("sys/devices/system/clocksource/clocksource0/current_clocksource", "tsc\n"),
            ("run/systemd/timesync/synchronized", ""),
            ("proc/sys/kernel/version", "#1 SMP PREEMPT_DYNAMIC Debian\n"),
        ]);
        let root = root.path();
        let governors = vec!["powersave".to_owned()];
        assert_eq!(cpu(root), Cpu { model: "Some CPU @ 3 GHz".into(), cores: 2, governors });
        let memory = memory(root).unwrap();
        assert_eq!((memory.total_mib, memory.available_mib, memory.swap_mib), (2048, 1024, 0));
        let gpu = Gpu { name: "NVIDIA T4".into(), driver: "nvidia 550.54.15".into() };
        assert_eq!(gpus(root), [gpu]);
        assert_eq!(clock(root), Clock { source: "tsc".into(), synchronised: Some(true) });
        assert_eq!(preemption(root), "preempt_dynamic");
    }

    #[test]
    fn a_board_without_anything_is_no_error() {
        let root = machine(&[
            ("proc/cpuinfo", "processor\t: 0\nBogoMIPS\t: 62.50\n"),
            ("proc/device-tree/model", "Some Board Rev 2\0"),
            ("sys/kernel/realtime", "1\n"),
        ]);
        let root = root.path();
        assert_eq!(cpu(root).model, "Some Board Rev 2");
        assert_eq!(memory(root), None);
        assert_eq!(gpus(root), []);
        assert_eq!(clock(root), Clock { source: "unknown".into(), synchronised: None });
        assert_eq!(preemption(root), "preempt_rt");
    }
}
