//! What a power cut leaves at the end of the log: a group that is written in part, or noise. It is cut, and nothing that was
//! acknowledged goes with it.

use std::fs::OpenOptions;
use std::io::Write as _;

use anyhow::{Result, ensure};
use rand::prelude::*;

use super::newest_segment;
use crate::lab::Lab;
use crate::load::Plan;
use crate::rows::Outcome;
use crate::site::Site;

pub(crate) async fn run(lab: &mut Lab) -> Result<Outcome> {
    let mut dev = lab.dev(&[]).await;
    let run = lab.begin(&Site::of_dev(&dev), Plan::default());
    let mut cut = 0;
    for turn in 0..6 {
        run.more(60).await?;
        dev.process.kill();
        let path = newest_segment(dev.data())?;
        let bytes = std::fs::read(&path)?;
        let mut file = OpenOptions::new().append(true).open(&path)?;
        let torn = match turn % 3 {
            // The beginning of what looks like a group: some bytes of an earlier one.
            0 if bytes.len() > 400 => bytes[200..200 + lab.random.random_range(1..150)].to_vec(),
            // Noise.
            1 => (0..lab.random.random_range(1..5_000)).map(|_| lab.random.random()).collect(),
            // Blocks that were allotted and never written; fewer zeros than a block are how every killed process leaves the log.
            _ => vec![0; lab.random.random_range(4_096..70_000)],
        };
        file.write_all(&torn)?;
        drop(file);
        dev.restart().await;
        let said = dev.process.log_text();
        let last = said.rfind("starting").unwrap_or_default();
        cut += usize::from(said.get(last..).unwrap_or(&said).contains("torn tail cut"));
    }
    ensure!(cut == 6, "the torn tail was cut {cut} times of 6");
    Ok(Outcome::new(format!("{cut} torn tails cut"), run.finish().await?))
}
