//! Looking at processes from outside while they work: memory, and CPU by thread.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::anyhow;
use serde::Serialize;

use crate::proc;
use crate::stats::median;

/// How often memory and threads are looked at.
const EVERY: Duration = Duration::from_millis(50);

/// Looks at processes from outside while they work.
#[derive(Debug)]
pub(crate) struct Watch {
    is_over: Arc<AtomicBool>,
    thread: JoinHandle<Seen>,
}

/// What was seen.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    /// Resident bytes of all processes together, one a look.
    resident: Vec<u64>,
    /// By process and thread: the names of both, and the thread's CPU when it was seen last.
    threads: BTreeMap<(u32, u32), (String, Duration)>,
}

/// How memory went while records came in.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Memory {
    /// The median of each quarter of the time, MiB.
    pub quarters_mib: [f64; 4],
}

impl Memory {
    /// Whether it still rose in the second half, by more than a sixth: flat otherwise.
    #[must_use]
    pub fn is_growing(&self) -> bool {
        self.quarters_mib[3] > self.quarters_mib[1] * 7.0 / 6.0
    }
}

impl Watch {
    /// Begins to look at `processes`: ids and names.
    pub(crate) fn begin(processes: Vec<(u32, String)>) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let ending = Arc::clone(&is_over);
        let thread = std::thread::spawn(move || {
            let mut seen = Seen::default();
            while !ending.load(Ordering::Relaxed) {
                seen.look(&processes);
                std::thread::sleep(EVERY);
            }
            seen
        });
        Self { is_over, thread }
    }

    /// Ends, and tells what was seen.
    pub(crate) fn end(self) -> anyhow::Result<Seen> {
        self.is_over.store(true, Ordering::Relaxed);
        self.thread.join().map_err(|_| anyhow!("the thread that watches panicked"))
    }
}

impl Seen {
    fn look(&mut self, processes: &[(u32, String)]) {
        let resident: u64 = processes.iter().map(|(id, _)| proc::memory(*id).resident_bytes).sum();
        if resident > 0 {
            self.resident.push(resident);
        }
        for (id, process) in processes {
            for (thread, name, cpu) in proc::threads(*id) {
                let name = if processes.len() > 1 { format!("{process}: {name}") } else { name };
                self.threads.insert((*id, thread), (name, cpu));
            }
        }
    }

    /// What all processes held at the last look, bytes.
    pub(crate) fn last_bytes(&self) -> u64 {
        self.resident.last().copied().unwrap_or(0)
    }

    /// How memory went.
    pub(crate) fn memory(&self) -> Memory {
        let quarter = |at: usize| {
            let length = self.resident.len();
            let part = &self.resident[length * at / 4..length * (at + 1) / 4];
            median(part.iter().map(|bytes| *bytes as f64 / 1024.0 / 1024.0))
        };
        Memory { quarters_mib: [0, 1, 2, 3].map(quarter) }
    }

    /// CPU by the names of threads, most first. What threads did that ended between two looks is missing.
    pub(crate) fn threads(&self) -> Vec<(String, Duration)> {
        let mut by_name: BTreeMap<&str, Duration> = BTreeMap::new();
        for (name, cpu) in self.threads.values() {
            *by_name.entry(name).or_default() += *cpu;
        }
        let mut all: Vec<_> = by_name.into_iter().map(|(name, cpu)| (name.to_owned(), cpu)).collect();
        all.sort_by_key(|(_, cpu)| std::cmp::Reverse(*cpu));
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_grows_or_is_flat() {
        let mib = |values: &[u64]| Seen { resident: values.iter().map(|mib| mib << 20).collect(), ..Seen::default() };
        let flat = mib(&[10, 20, 100, 104, 98, 101, 99, 100]).memory();
        assert_eq!(flat.quarters_mib, [15.0, 102.0, 99.5, 99.5]);
        assert!(!flat.is_growing() && mib(&[100, 150, 200, 250]).memory().is_growing());
        assert!(mib(&[]).memory().quarters_mib[0].is_nan() && !mib(&[]).memory().is_growing());
    }

    #[test]
    fn this_process_is_seen() {
        let watch = Watch::begin(vec![(std::process::id(), "me".to_owned())]);
        std::thread::sleep(4 * EVERY);
        let seen = watch.end().unwrap();
        assert!(seen.memory().quarters_mib[3] > 0.0 && !seen.threads().is_empty());
    }
}
