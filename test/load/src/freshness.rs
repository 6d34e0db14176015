//! How soon a record can be found: from its acknowledgement to the answer that holds it.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use loglake_agent::Dice;
use serde::Serialize;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::queries::Asker;
use crate::server::Urls;
use crate::stats::Percentiles;

/// The service of the records that are sent for this.
pub(crate) const SERVICE: &str = "loglake-load-probe";
/// Between two of them.
const EVERY: Duration = Duration::from_millis(250);
/// After so long a record is lost.
const PATIENCE: Duration = Duration::from_secs(30);

/// What became of single records that were sent beside the load, each asked for by its trace id.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Freshness {
    /// From the acknowledgement to the answer that held it, milliseconds.
    pub milliseconds: Percentiles,
    /// Records that the first query after the acknowledgement did not return: a promise broken.
    pub late: usize,
    /// Records that no query returned within half a minute: lost.
    pub lost: usize,
}

/// Sends and asks until `over`.
pub(crate) async fn probe(
    urls: Urls,
    tenant: Option<String>,
    seed: u64,
    over: CancellationToken,
) -> anyhow::Result<Freshness> {
    let asker = Asker::new(&urls, tenant.as_deref());
    let client = reqwest::Client::new();
    let mut dice = Dice::new(seed ^ 0x70_726f_6265);
    let (mut times, mut late, mut lost) = (Vec::new(), 0, 0);
    while !over.is_cancelled() {
        let mut trace_id = String::new();
        dice.hex(&mut trace_id, 32);
        let record = json!({ "service": SERVICE, "level": "info", "message": "a record that is asked for", "trace_id": trace_id });
        let mut request =
            client.post(format!("{}/v1/ingest", urls.http)).header("content-type", "application/x-ndjson");
        if let Some(tenant) = &tenant {
            request = request.header("x-scope-orgid", tenant);
        }
        let answer = request.body(record.to_string()).send().await.context("sending a probe")?;
        let status = answer.status();
        let text = answer.text().await.context("sending a probe")?;
        ensure!(status.is_success(), "a probe was answered with {status}: {text}");
        let acknowledged = Instant::now();
        let mut asked = 0;
        loop {
            asked += 1;
            if !asker.page(&json!({ "trace_id": trace_id, "limit": 1 })).await?.items.is_empty() {
                times.push(acknowledged.elapsed());
                late += usize::from(asked > 1);
                break;
            }
            if acknowledged.elapsed() > PATIENCE {
                lost += 1;
                break;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        tokio::select! {
            () = over.cancelled() => {}
            () = tokio::time::sleep(EVERY) => {}
        }
    }
    Ok(Freshness { milliseconds: Percentiles::of(&times), late, lost })
}
