//! What the kernel tells of processes: proc(5).

use std::fs;
use std::time::Duration;

use anyhow::{Context as _, bail};

/// Memory of a process, bytes; 0 once it is gone.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Memory {
    /// What it holds now.
    pub(crate) resident_bytes: u64,
    /// The most it has held.
    pub(crate) peak_bytes: u64,
}

/// The memory of process `id`.
pub(crate) fn memory(id: u32) -> Memory {
    let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|text| text.trim().split(' ').next()?.parse::<u64>().ok()).unwrap_or(0) * 1024
    };
    Memory { resident_bytes: field("VmRSS:"), peak_bytes: field("VmHWM:") }
}

/// The threads of process `id` with their CPU so far: number, name, CPU. Those that have ended are not among them.
pub(crate) fn threads(id: u32) -> Vec<(u32, String, Duration)> {
    let Ok(tasks) = fs::read_dir(format!("/proc/{id}/task")) else { return Vec::new() };
    let each = tasks.filter_map(|task| {
        let number = task.ok()?.file_name().to_string_lossy().parse::<u32>().ok()?;
        let stat = fs::read_to_string(format!("/proc/{id}/task/{number}/stat")).ok()?;
        let name = stat.split_once('(')?.1.rsplit_once(')')?.0.to_owned();
        Some((number, name, cpu_of(&stat, 11)?))
    });
    each.collect()
}

/// CPU of all children that have ended and were waited for.
pub(crate) fn children_cpu() -> anyhow::Result<Duration> {
    let stat = fs::read_to_string("/proc/self/stat").context("reading /proc/self/stat")?;
    match cpu_of(&stat, 13) {
        Some(cpu) => Ok(cpu),
        None => bail!("/proc/self/stat does not tell the children's CPU"),
    }
}

/// User and system time: the field `at` of a `stat` file, counted behind the program's name, which may hold blanks, and the next.
fn cpu_of(stat: &str, at: usize) -> Option<Duration> {
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = |at: usize| fields.get(at)?.parse::<u64>().ok();
    let ticks = ticks(at)? + ticks(at + 1)?;
    Some(Duration::from_secs_f64(ticks as f64 / rustix::param::clock_ticks_per_second() as f64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_with_blanks_in_its_name_is_read() {
        let stat = "7 (a ) b) S 1 1 1 0 -1 4194304 1 2 3 4 300 200 50 25 20 0 1 0 5 6 7";
        let tick = 1.0 / rustix::param::clock_ticks_per_second() as f64;
        assert_eq!(cpu_of(stat, 11), Some(Duration::from_secs_f64(500.0 * tick)));
        assert_eq!(cpu_of(stat, 13), Some(Duration::from_secs_f64(75.0 * tick)));
        assert_eq!(cpu_of("7 (a) S 1", 11), None);
    }

    #[test]
    fn this_process_has_memory_and_threads() {
        let me = std::process::id();
        let memory = memory(me);
        assert!(memory.resident_bytes > 0 && memory.peak_bytes >= memory.resident_bytes);
        assert!(!threads(me).is_empty());
        assert_eq!(super::memory(u32::MAX).resident_bytes, 0);
    }
}
