//! 512 MiB of memory, and more coming in than that: it is never killed for it.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use loglake_integration::Dev;

use crate::lab::{DEV, Lab};
use crate::load::Plan;
use crate::rows::Outcome;
use crate::site::Site;

/// A memory group of the kernel (version 1 or 2); removed when dropped.
struct Group(PathBuf);

impl Group {
    fn new(bytes: u64) -> Result<Self> {
        let root = PathBuf::from("/sys/fs/cgroup");
        let is_first = root.join("memory/memory.limit_in_bytes").exists();
        let folder = if is_first { root.join("memory") } else { root };
        let folder = folder.join(format!("loglake-fault-{}", std::process::id()));
        std::fs::create_dir_all(&folder).context("a memory group (needs root)")?;
        let group = Self(folder);
        let file = if is_first { "memory.limit_in_bytes" } else { "memory.max" };
        std::fs::write(group.0.join(file), bytes.to_string()).context("the limit of a memory group")?;
        Ok(group)
    }

    /// The most that was used.
    fn peak(&self) -> u64 {
        ["memory.max_usage_in_bytes", "memory.peak"]
            .iter()
            .find_map(|file| std::fs::read_to_string(self.0.join(file)).ok()?.trim().parse().ok())
            .unwrap_or_default()
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // Fails while a process is in it; an empty group left behind does no harm.
        let _left = std::fs::remove_dir(&self.0);
    }
}

pub(crate) async fn run(lab: &mut Lab) -> Result<Outcome> {
    let group = Group::new(512 << 20)?;
    let enter = format!("echo $$ > {}/cgroup.procs && exec \"$0\" \"$@\"", group.0.display());
    let env = [
        DEV[1],
        DEV[2],
        // A flush comes when memory asks for it.
        ("LOGLAKE_PROCESSOR_FLUSH_INTERVAL", "1h"),
        // What deploy/README.md tells to begin with for so little memory.
        ("LOGLAKE_PROCESSOR_MEMORY_BYTES", "96MiB"),
        ("LOGLAKE_BROKER_TAIL_BYTES", "16MiB"),
        ("LOGLAKE_QUERY_PAGE_BYTES", "4MiB"),
        ("LOGLAKE_QUERY_FOOTER_CACHE_BYTES", "16MiB"),
        ("LOGLAKE_PROCESSOR_FLUSH_BYTES", "64MiB"),
    ];
    let mut dev = Dev::launch(&["sh", "-c", &enter], &lab.folder().join("data"), &env);
    dev.wait_ready().await;
    let plan = Plan {
        writers: 9,
        batch: 100..300,
        text: 1_000..6_000,
        pause: Duration::ZERO,
        watch_pause: Duration::from_secs(5),
        ..Plan::default()
    };
    let run = lab.begin(&Site::of_dev(&dev), plan);
    let mut sent = 0;
    let wanted: u64 = if lab.is_short { 20_000 } else { 200_000 };
    while sent < wanted {
        run.more(1_000).await?;
        sent += 1_000;
        ensure!(dev.process.ended().is_none(), "it ended:\n{}", dev.process.log_text());
    }
    let verdict = run.finish().await?;
    ensure!(dev.process.ended().is_none(), "it ended:\n{}", dev.process.log_text());
    let peak = group.peak() >> 20;
    dev.process.kill();
    Ok(Outcome::new(format!("peak {peak} MiB of 512 MiB, page cache included"), verdict))
}
