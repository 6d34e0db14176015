//! The clock of `loglake dev` starts an hour off and steps to and fro by hours. (Of `loglake dev` only: librdkafka waits for ever
//! under libfaketime.) Keys are good for ten minutes of the log's time, which may be over at once here: repetitions come in sessions only.

use std::time::Duration;

use anyhow::{Result, ensure};
use rand::prelude::*;

use super::faketime;
use crate::lab::Lab;
use crate::load::Plan;
use crate::rows::Outcome;
use crate::site::Site;
use crate::writer::Kind;

pub(crate) async fn run(lab: &mut Lab) -> Result<Outcome> {
    let library = faketime()?.display().to_string();
    let file = lab.folder().join("clock");
    std::fs::write(&file, "+1h")?;
    let path = file.display().to_string();
    let mut dev = lab
        .dev(&[
            ("LD_PRELOAD", &library),
            ("FAKETIME_TIMESTAMP_FILE", &path),
            ("FAKETIME_NO_CACHE", "1"),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
            // Records of now must not be refused as of the future.
            ("LOGLAKE_INGEST_MAX_FUTURE", "1d"),
        ])
        .await;
    let run = lab.begin(&Site::of_dev(&dev), Plan { kinds: Kind::WITHOUT_KEYS, ..Plan::default() });
    let turns = if lab.is_short { 8 } else { 60 };
    for turn in 0..turns {
        run.more(40).await?;
        let minutes = lab.random.random_range(-120..120);
        std::fs::write(&file, format!("{minutes:+}m"))?;
        tokio::time::sleep(Duration::from_millis(lab.random.random_range(200..1_500))).await;
        if turn % 4 == 3 {
            dev.process.kill();
            dev.restart().await;
        }
    }
    let map = std::fs::read_to_string(format!("/proc/{}/maps", dev.process.id()))?;
    ensure!(map.contains("libfaketime"), "the clock is the real one");
    Ok(Outcome::new(format!("{turns} steps of up to two hours each way"), run.finish().await?))
}
