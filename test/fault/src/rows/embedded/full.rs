//! The disk is full: writes are refused and say so, reads go on, and with room again everything does.

use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use loglake_integration::Dev;

use super::Small;
use crate::lab::{DEV, Lab};
use crate::load::Plan;
use crate::read::{Reader, Said};
use crate::rows::Outcome;
use crate::site::{Ingest, Site};

pub(crate) async fn run(lab: &mut Lab) -> Result<Outcome> {
    let disk = Small::mount(&lab.folder().join("disk"), "size=96m")?;
    let mut dev = Dev::start(&lab.folder().join("disk/data"), &DEV).await;
    let site = Site::of_dev(&dev);
    let run = lab.begin(&site, Plan::default());
    run.more(300).await?;
    // Somebody else fills it, all but nothing.
    let filler = lab.folder().join("disk/filler");
    fill(&filler)?;
    let refusal = refused(&site.ingestors()[0], &filler).await?;
    let reader = Reader::new(&site);
    let said = reader.page(0, "alpha", &serde_json::json!({"limit": 10})).await;
    ensure!(matches!(said, Said::Page { .. }), "reads do not go on: {said:?}");
    tokio::time::sleep(Duration::from_secs(5)).await;
    // A crash does not make it worse.
    dev.process.kill();
    std::fs::remove_file(&filler)?;
    dev.restart().await;
    fill(&filler)?;
    refused(&site.ingestors()[0], &filler).await?;
    std::fs::remove_file(&filler)?;
    let verdict = run.finish().await?;
    drop(dev);
    drop(disk);
    Ok(Outcome::new(format!("ingest answered {refusal}"), verdict))
}

fn fill(path: &std::path::Path) -> Result<()> {
    use std::io::Write as _;
    let mut file = std::fs::OpenOptions::new().create(true).append(true).open(path)?;
    let block = vec![7; 4 << 10];
    while file.write_all(&block).is_ok() {}
    Ok(())
}

/// Writes until it is refused; returns the status. What is written here belongs to a tenant that nobody judges.
async fn refused(to: &Ingest, filler: &std::path::Path) -> Result<u16> {
    let began = Instant::now();
    let body: String = (0..500).map(|n| format!("{{\"service\":\"filler\",\"message\":\"{n:01000}\"}}\n")).collect();
    loop {
        // What is flushed or trimmed makes room.
        fill(filler)?;
        let answer = reqwest::Client::new()
            .post(format!("{}/v1/ingest", to.http))
            .header("content-type", "application/x-ndjson")
            .header("x-scope-orgid", "nobody")
            .body(body.clone())
            .send()
            .await?;
        let status = answer.status().as_u16();
        if !answer.status().is_success() {
            ensure!([429, 503, 507].contains(&status), "a full disk is answered with {status}");
            return Ok(status);
        }
        if began.elapsed() > Duration::from_secs(60) {
            bail!("a full disk does not end the writing");
        }
    }
}
