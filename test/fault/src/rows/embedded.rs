//! `loglake dev`: one process, its disk, and what can happen to them.

pub(super) mod flipped;
pub(super) mod full;
pub(super) mod kill;
pub(super) mod read_only;
pub(super) mod second;
pub(super) mod torn;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use loglake_integration::Dev;

/// The segment of the local log that is written to.
fn newest_segment(data: &Path) -> Result<PathBuf> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(data.join("log"))? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "log") {
            all.push(path);
        }
    }
    all.sort();
    all.pop().context("the log has a segment")
}

/// Starts `dev` and waits until it has refused to: it ends, not with success, and says `why`.
async fn refuses_to_start(dev: &mut Dev, why: &str) -> Result<()> {
    dev.start_again();
    let began = Instant::now();
    loop {
        if let Some(status) = dev.process.ended() {
            ensure!(!status.success(), "it ended with success");
            let said = dev.process.log_text();
            let tail: String = said.chars().rev().take(1_500).collect::<Vec<_>>().into_iter().rev().collect();
            ensure!(tail.contains(why), "it does not say '{why}':\n{tail}");
            return Ok(());
        }
        if began.elapsed() > Duration::from_secs(30) {
            bail!("it runs");
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// A small file system in memory; unmounted when dropped. Needs root.
#[derive(Debug)]
struct Small(PathBuf);

impl Small {
    fn mount(at: &Path, options: &str) -> Result<Self> {
        std::fs::create_dir_all(at)?;
        mount(&["-t", "tmpfs", "-o", options, "tmpfs", &at.display().to_string()])?;
        Ok(Self(at.to_owned()))
    }

    fn again(&self, options: &str) -> Result<()> {
        mount(&["-o", &format!("remount,{options}"), &self.0.display().to_string()])
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        // Lazily: a process that still holds a file must not keep the mount for ever.
        let _gone = std::process::Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

fn mount(arguments: &[&str]) -> Result<()> {
    let output = std::process::Command::new("mount").args(arguments).output().context("mount")?;
    ensure!(
        output.status.success(),
        "mount {arguments:?} (it needs root): {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}
