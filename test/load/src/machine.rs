//! Where figures were taken.

use std::fs;

/// The machine, as its kernel describes it.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Machine {
    /// The processor's name.
    pub cpu: String,
    /// How many logical processors this process may use.
    pub cores: usize,
    /// The kernel's release.
    pub kernel: String,
    /// The machine's memory, MiB.
    pub memory_mib: u64,
}

impl Machine {
    /// Asks the kernel; what it does not tell is called unknown.
    #[must_use]
    pub fn describe() -> Self {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let field = |text: &str, name: &str| {
            let line = text.lines().find(|line| line.starts_with(name));
            line.and_then(|line| line.split_once(':')).map(|(_, value)| value.trim().to_owned())
        };
        let unknown = || "unknown".to_owned();
        let memory_kib =
            field(&read("/proc/meminfo"), "MemTotal").and_then(|text| text.split(' ').next()?.parse::<u64>().ok());
        let kernel = read("/proc/sys/kernel/osrelease").trim().to_owned();
        Self {
            cpu: field(&read("/proc/cpuinfo"), "model name").unwrap_or_else(unknown),
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            kernel: if kernel.is_empty() { unknown() } else { kernel },
            memory_mib: memory_kib.unwrap_or(0) / 1024,
        }
    }
}

/// The revision of the tree that this runs in, as git describes it; the version of this program where there is no git.
#[must_use]
pub fn revision() -> String {
    let said = std::process::Command::new("git").args(["describe", "--always", "--dirty", "--exclude", "*"]).output();
    let said = said.ok().filter(|output| output.status.success());
    let revision = said.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    match revision.filter(|revision| !revision.is_empty()) {
        Some(revision) => format!("revision {revision}"),
        None => format!("version {}", env!("CARGO_PKG_VERSION")),
    }
}
