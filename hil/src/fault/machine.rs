//! Pressure on the machine that rig and controller share.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use super::Kind;

/// Takes processors or memory until `off`.
pub fn press(kind: Kind, severity: f64, off: &Arc<AtomicBool>) -> Vec<JoinHandle<Vec<String>>> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let spin = |off: Arc<AtomicBool>| {
        std::thread::spawn(move || {
            let mut n = 0_u64;
            while !off.load(Ordering::Relaxed) {
                n = std::hint::black_box(n.wrapping_add(1));
            }
            Vec::new()
        })
    };
    match kind {
        Kind::MemoryPressure => {
            let off = Arc::clone(off);
            let bytes = (severity * f64::from(1_u32 << 30)) as usize;
            vec![std::thread::spawn(move || {
                let mut taken = vec![0_u8; bytes];
                while !off.load(Ordering::Relaxed) {
                    // Touched over and over, or it would not stay in memory.
                    for page in taken.chunks_mut(4096) {
                        page[0] = page[0].wrapping_add(1);
                    }
                    std::thread::sleep(Duration::from_millis(20));
                }
                vec![format!("{} MiB", taken.len() >> 20)]
            })]
        }
        _ => {
            let threads = ((severity * 4.0 * cores as f64).round() as usize).max(1);
            (0..threads).map(|_| spin(Arc::clone(off))).collect()
        }
    }
}
