//! What the suite for every broker does not ask: files, crashes, damage, failing disks.

mod damage;
mod format;
mod life;
mod model;

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use loglake_model::{Clock, ManualClock};

use super::{Closed, Config, EmbeddedLog};
use crate::{Error, Message, Producer as _, Reader as _};

/// Small files, so that there are many.
fn small() -> Config {
    Config {
        partitions: 3,
        segment_bytes: 4 << 10,
        max_bytes: 1 << 30,
        disk_reserve_bytes: Some(0),
        ..Config::default()
    }
}

fn clock() -> Arc<dyn Clock> {
    Arc::new(ManualClock::at(1_700_000_000_000_000_000))
}

fn open(dir: &Path, config: &Config) -> Result<Arc<EmbeddedLog>, Error> {
    EmbeddedLog::open(dir, config.clone(), clock())
}

fn payload(number: usize) -> Bytes {
    Bytes::from(format!("payload {number:04}"))
}

async fn append(log: &EmbeddedLog, partition: u32, numbers: std::ops::Range<usize>) {
    for number in numbers {
        log.append(partition, payload(number)).await.unwrap();
    }
}

async fn all(log: &EmbeddedLog, partition: u32) -> Vec<Message> {
    let offsets = log.offsets(&[partition]).await.unwrap()[0];
    let mut messages = Vec::new();
    let mut position = offsets.earliest;
    while position < offsets.latest {
        let fetched = log.read(partition, position, offsets.latest, 1 << 20).await.unwrap();
        assert!(fetched.position > position);
        position = fetched.position;
        messages.extend(fetched.messages);
    }
    messages
}

/// Copies the folder as a power cut would leave it: what is on the disk, and no closing mark.
fn snapshot(dir: &Path) -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(dir).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), copy.path().join(entry.file_name())).unwrap();
    }
    copy
}

fn segments(dir: &Path) -> Vec<std::path::PathBuf> {
    let mut found: Vec<_> = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    found.retain(|path| path.extension().is_some_and(|extension| extension == "log"));
    found.sort();
    found
}
