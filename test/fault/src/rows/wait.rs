//! Waiting for what a row needs to see before it goes on.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use loglake_integration::stack::Role;

use crate::stack::metric;

/// Between two looks.
const LOOK: Duration = Duration::from_millis(50);

/// Waits until `is_so` says so.
///
/// # Errors
/// When that takes longer than `within`; with `what` was waited for.
pub(super) async fn until(what: &str, within: Duration, mut is_so: impl FnMut() -> bool) -> Result<()> {
    let began = Instant::now();
    while !is_so() {
        if began.elapsed() > within {
            bail!("not within {within:?}: {what}");
        }
        tokio::time::sleep(LOOK).await;
    }
    Ok(())
}

/// Waits until a process has said `text` in its log.
///
/// # Errors
/// When that takes longer than `within`.
pub(super) async fn said(role: &Role, text: &str, within: Duration) -> Result<()> {
    until(&format!("the {} says {text:?}", role.role), within, || role.process.said().contains(text)).await
}

/// Waits until the sum of a metric's series that contain `label`, over `roles`, is as `is_so` wants it. A role that does not
/// answer counts as 0.
///
/// # Errors
/// When that takes longer than `within`.
pub(super) async fn metrics(
    roles: &[Role],
    name: &str,
    label: &str,
    within: Duration,
    is_so: impl Fn(f64) -> bool,
) -> Result<()> {
    let began = Instant::now();
    loop {
        let now = sum(roles, name, label).await;
        if is_so(now) {
            return Ok(());
        }
        if began.elapsed() > within {
            bail!("not within {within:?}: {name} {label} is {now}");
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// The sum of a metric's series that contain `label`, over `roles`. A role that does not answer counts as 0.
pub(super) async fn sum(roles: &[Role], name: &str, label: &str) -> f64 {
    let mut all = 0.0;
    for role in roles {
        all += metric(&role.metrics, name, label).await.unwrap_or_default();
    }
    all
}

/// The letter of the process's state, as the system says it: `T` for one that is stopped.
pub(super) fn state(pid: u32) -> char {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    after_name.trim().chars().next().unwrap_or('?')
}

/// The memory of a process that is in RAM, in bytes.
pub(super) fn resident_bytes(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    line.trim().trim_end_matches(" kB").trim().parse::<u64>().unwrap_or_default() * 1024
}
