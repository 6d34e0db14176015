//! How cost grows with the number of records.

use std::sync::Arc;

use loglake_agent::thousands;
use serde::Serialize;

use crate::bench::{Settings, Site, queries, send_all};
use crate::corpus::Corpus;
use crate::footers::{self, Footers};
use crate::process::Cost;
use crate::queries::{Latency, Way};
use crate::send::{Job, Protocol};

/// What so many records cost.
#[derive(Clone, Debug, Serialize)]
pub struct Step {
    /// How many.
    pub records: u64,
    /// CPU of our processes, microseconds a record.
    pub us_per_record: f64,
    /// Records a second until the last was acknowledged.
    pub records_per_second: f64,
    /// The highest memory, all processes together, MiB.
    pub peak_mib: f64,
    /// Bytes of all objects a record.
    pub bytes_per_record: f64,
    /// Bytes of the index.
    pub index_bytes: u64,
    /// How many chunks.
    pub chunks: u64,
    /// Their footers; on a folder only, where chunks are files.
    pub footers: Option<Footers>,
    /// Each query.
    pub latencies: Vec<Latency>,
}

/// Ingests a corpus, flushes it and asks each query.
///
/// # Errors
/// The server fails, refuses a record, or returns another number of records than match.
pub async fn step(settings: &Settings, corpus: &Arc<Corpus>) -> anyhow::Result<Step> {
    let site = Site::make(settings, "scale")?;
    let server = site.start(settings).await?;
    let sent = send_all(corpus, &server, &Job::whole(Protocol::Grpc, corpus)).await?;
    server.wait_until_consumed(sent.acknowledged).await?;
    let cost = Cost::of_all(&server.stop().await?);
    let at_rest = site.place.at_rest()?;
    let index_bytes = site.place.index_bytes()?;
    let footers = if settings.stack.is_none() { Some(footers::measure(&site.place.chunk_files()?)?) } else { None };
    let latencies = queries(settings, corpus, &site).await?;
    let count = corpus.settings.records as f64;
    Ok(Step {
        records: corpus.settings.records,
        us_per_record: cost.cpu.as_secs_f64() * 1e6 / count,
        records_per_second: sent.rate(),
        peak_mib: cost.peak_bytes as f64 / 1024.0 / 1024.0,
        bytes_per_record: at_rest.object_bytes as f64 / count,
        index_bytes,
        chunks: at_rest.chunks,
        footers,
        latencies,
    })
}

/// The steps as tables of Markdown.
#[must_use]
pub fn table(steps: &[Step]) -> String {
    let mut text = String::from("| |");
    let mut row = |name: &str, value: &dyn Fn(&Step) -> String| {
        text += &format!("\n| {name} |");
        for step in steps {
            text += &format!(" {} |", value(step));
        }
    };
    row("records", &|step| thousands(step.records));
    row("---", &|_| "---".to_owned());
    row("CPU, us a record", &|step| format!("{:.2}", step.us_per_record));
    row("records/s", &|step| thousands(step.records_per_second as u64));
    row("peak MiB", &|step| format!("{:.0}", step.peak_mib));
    row("bytes a record at rest", &|step| format!("{:.1}", step.bytes_per_record));
    row("chunks", &|step| step.chunks.to_string());
    row("index bytes", &|step| thousands(step.index_bytes));
    row("index bytes a chunk", &|step| format!("{:.0}", step.index_bytes as f64 / step.chunks.max(1) as f64));
    let footer = |step: &Step, value: fn(&Footers) -> f64| {
        step.footers.as_ref().map_or("not measured".to_owned(), |footers| thousands(value(footers) as u64))
    };
    row("bytes of a chunk", &|step| footer(step, |footers| footers.chunk_bytes));
    row("of them footer", &|step| footer(step, |footers| footers.footer_bytes));
    for (at, name) in steps.first().iter().flat_map(|step| &step.latencies).map(|latency| latency.name).enumerate() {
        row(&format!("{name}: cold / then, ms"), &|step| match step.latencies.get(at) {
            Some(latency) if latency.way != Way::NotThere => format!("{:.1} / {:.1}", latency.cold_ms, latency.warm_ms),
            _ => "not there".to_owned(),
        });
    }
    // The first row is the head: what stood before it was only to begin with.
    text.trim_start_matches("| |\n").to_owned() + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_stand_beside_each_other() {
        let step = |records| Step {
            records,
            us_per_record: 1.5,
            records_per_second: 2e5,
            peak_mib: 100.0,
            bytes_per_record: 99.0,
            index_bytes: 1_000,
            chunks: 10,
            footers: None,
            latencies: vec![Latency { name: "one trace", way: Way::Page, cold_ms: 4.0, warm_ms: 1.0 }],
        };
        let text = table(&[step(1_000), step(4_000)]);
        assert!(text.starts_with("| records | 1,000 | 4,000 |\n| --- | --- | --- |\n"), "{text}");
        assert!(text.contains("| one trace: cold / then, ms | 4.0 / 1.0 | 4.0 / 1.0 |\n"), "{text}");
    }
}
