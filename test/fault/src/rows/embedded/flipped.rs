//! A bit of the local log is wrong in its middle: the process says where, and does not start as if nothing were. With the
//! bit set right, everything is there.

use anyhow::{Result, ensure};
use rand::prelude::*;

use super::{newest_segment, refuses_to_start};
use crate::lab::Lab;
use crate::load::Plan;
use crate::rows::Outcome;
use crate::site::Site;

pub(crate) async fn run(lab: &mut Lab) -> Result<Outcome> {
    let mut dev = lab.dev(&[("LOGLAKE_PROCESSOR_FLUSH_INTERVAL", "1h")]).await;
    let mut run = lab.begin(&Site::of_dev(&dev), Plan::default());
    run.more(500).await?;
    run.stop_load().await;
    dev.process.kill();
    let path = newest_segment(dev.data())?;
    let right = std::fs::read(&path)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut flips = 0;
    for _ in 0..5 {
        let mut wrong = right.clone();
        // The last group may be taken for a torn tail; the first half never.
        let at = lab.random.random_range(0..right.len() / 2);
        wrong[at] ^= 1 << lab.random.random_range(0..8);
        std::fs::write(&path, &wrong)?;
        refuses_to_start(&mut dev, &name).await?;
        ensure!(std::fs::read(&path)? == wrong, "a log that cannot be read was changed");
        flips += 1;
    }
    std::fs::write(&path, &right)?;
    dev.restart().await;
    run.start_load();
    run.more(100).await?;
    Ok(Outcome::new(format!("{flips} flipped bits refused, file named"), run.finish().await?))
}
