//! The topic gets more partitions under load; then the ingestors are restarted one by one and use them. Answers about one
//! service, which lies in two partitions from then on, have all of it. Sessions go on across it, each batch kept once; nothing
//! is sent with a key, for a request that is sent again across that moment may be kept twice (docs/ingest.md).

use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use super::admin::Admin;
use crate::lab::Lab;
use crate::load::Plan;
use crate::rows::{Outcome, wait};
use crate::stack::Wanted;
use crate::writer::Kind;

pub(crate) async fn run(lab: &mut Lab) -> Result<Outcome> {
    let mut stack = lab.stack(&Wanted::default().of(2, 2, 1)).await?;
    let admin = Admin::new(&stack.servers.kafka.address(), &stack.topic)?;
    let mut run = lab.begin(&stack.site(), Plan { services: 6, kinds: Kind::WITHOUT_KEYS, ..Plan::default() });
    run.more(500).await?;
    ensure!(admin.partitions()? == 4, "the topic has four partitions");
    admin.grow(7).await?;
    run.more(300).await?;
    let name = "loglake_process_partitions";
    wait::metrics(&stack.processors, name, "", Duration::from_secs(60), |count| count >= 7.0).await?;
    for ingestor in &mut stack.ingestors {
        ingestor.process.stop().await;
        ingestor.restart().await;
        run.more(300).await?;
    }
    let used = admin.ends()?.iter().skip(4).filter(|(_, latest)| *latest > 0).count();
    ensure!(used > 0, "a new partition has records");

    // By service and all at once, the answers hold the same.
    run.stop_load().await;
    let http = reqwest::Client::new();
    for tenant in run.ledger.tenants() {
        let base = &stack.queries[0].http;
        let all = count(&http, base, tenant, json!({})).await?;
        let mut by_service = 0;
        for service in 0..6 {
            by_service += count(&http, base, tenant, json!({"service": format!("service-{service}")})).await?;
        }
        ensure!(all == by_service, "{tenant}: {all} records in all, {by_service} service by service");
    }
    Ok(Outcome::new(format!("7 partitions instead of 4, {used} new ones in use"), run.finish().await?))
}

/// How many records the complete answers to `body` have.
async fn count(http: &reqwest::Client, base: &str, tenant: &str, mut body: Value) -> Result<u64> {
    body["limit"] = json!(1000);
    let mut count = 0;
    loop {
        let request = http.post(format!("{base}/v1/query")).header("x-scope-orgid", tenant).json(&body);
        let page: Value = request.send().await?.error_for_status()?.json().await?;
        ensure!(page["complete"] == json!(true), "an answer is not complete: {}", page["missing"]);
        count += page["items"].as_array().map_or(0, Vec::len) as u64;
        match &page["next_cursor"] {
            Value::Null => return Ok(count),
            cursor => body["cursor"] = cursor.clone(),
        }
    }
}
