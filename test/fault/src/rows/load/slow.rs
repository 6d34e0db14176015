//! Slow readers of large answers, and clients that send a header or a body byte by byte: others are served meanwhile.

use std::time::Duration;

use anyhow::{Result, ensure};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::connect;
use crate::lab::Lab;
use crate::load::Plan;
use crate::rows::Outcome;
use crate::site::Site;

pub(crate) async fn run(lab: &mut Lab) -> Result<Outcome> {
    let dev = lab.dev(&[]).await;
    let run = lab.begin(&Site::of_dev(&dev), Plan { text: 500..2_000, ..Plan::default() });
    run.more(1_000).await?;
    let (query, ingest) = (dev.ports.query_url(), dev.ports.ingest_url());
    let mut slow = tokio::task::JoinSet::new();
    for _ in 0..60 {
        let (query, ingest) = (query.clone(), ingest.clone());
        // Reads a large page, one byte now and then.
        let at = query.clone();
        slow.spawn(async move {
            let body = r#"{"limit":10000}"#;
            let head = format!(
                "POST /v1/query HTTP/1.1\r\nhost: x\r\nx-scope-orgid: alpha\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
                body.len()
            );
            let mut stream = connect(&at).await?;
            stream.write_all(head.as_bytes()).await?;
            loop {
                let mut byte = [0];
                if stream.read(&mut byte).await? == 0 {
                    return Ok::<(), std::io::Error>(());
                }
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
        });
        // Sends a header that has no end.
        slow.spawn(async move {
            let mut stream = connect(&query).await?;
            loop {
                stream.write_all(b"x").await?;
                tokio::time::sleep(Duration::from_millis(300)).await;
            }
        });
        // Announces a body, and sends it byte by byte.
        slow.spawn(async move {
            let mut stream = connect(&ingest).await?;
            stream
                .write_all(
                    b"POST /v1/ingest HTTP/1.1\r\nhost: x\r\nx-scope-orgid: alpha\r\ncontent-length: 1000000\r\n\r\n",
                )
                .await?;
            loop {
                stream.write_all(b" ").await?;
                tokio::time::sleep(Duration::from_millis(300)).await;
            }
        });
    }
    let count = slow.len();
    let seconds = if lab.is_short { 5 } else { 90 };
    for _ in 0..seconds {
        run.more(20).await?;
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    let mut gone = 0;
    while slow.try_join_next().is_some() {
        gone += 1;
    }
    ensure!(count == 180, "{count} slow clients");
    let verdict = run.finish().await?;
    slow.abort_all();
    drop(dev);
    Ok(Outcome::new(format!("{count} slow clients, {gone} of them sent away within {seconds} s"), verdict))
}
