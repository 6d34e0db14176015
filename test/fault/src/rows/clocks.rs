//! Clocks that are wrong, and event times from anywhere.

pub(super) mod event_times;
pub(super) mod stepping;

use std::path::PathBuf;

use anyhow::{Context as _, Result};

/// libfaketime, of Debian's package `faketime`; installed if need be.
fn faketime() -> Result<PathBuf> {
    loglake_integration::programs::tools(&["faketime"]);
    let found = ["/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib"]
        .map(|folder| PathBuf::from(folder).join("faketime/libfaketimeMT.so.1"))
        .into_iter()
        .find(|path| path.exists());
    found.context("libfaketime is not where Debian puts it")
}
