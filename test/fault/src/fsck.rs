//! `loglake admin fsck --deep`: every object named by a chain is there, whole, and says what its entry says.

use std::process::Command;

use anyhow::{Result, bail};
use loglake_integration::programs;

use crate::site::Admin;

/// Runs it over everything.
///
/// # Errors
/// When something is not clean, with what it found.
pub fn clean(admin: &Admin) -> Result<()> {
    let mut command = Command::new(programs::loglake());
    let output = command.args(["admin", "fsck", "--deep"]).args(&admin.args).envs(&admin.env).output()?;
    if !output.status.success() {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        bail!("fsck: {}\n{}\n{}", output.status, text(&output.stdout), text(&output.stderr));
    }
    Ok(())
}
