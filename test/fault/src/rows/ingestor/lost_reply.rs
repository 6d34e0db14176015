//! The broker has a batch, and its acknowledgement never reaches the client: once because the connection breaks before the
//! answer (a proxy), once because the ingestor itself takes a confirmed append for a failed one (a fail-point). Nobody
//! knows then whether the records are there: those that are not sent again may be, and those that are (with a key, in a
//! session) are there once, and their repetitions dropped.

use anyhow::{Result, ensure};

use crate::lab::Lab;
use crate::load::Plan;
use crate::proxy::{Tcp, TcpProxy};
use crate::rows::{Outcome, wait};
use crate::servers::local;
use crate::site::{Ingest, Site};
use crate::stack::Wanted;

/// Appends that are taken for failed ones after they were confirmed.
const FAILED: u64 = 5;

pub(crate) async fn run(lab: &mut Lab) -> Result<Outcome> {
    let rounds = if lab.is_short { 3 } else { 30 };
    let mut stack = lab.stack(&Wanted::default()).await?;
    let rules: Vec<String> = (0..FAILED).map(|at| format!("ingest.appended=error@{}", 20 + 7 * at)).collect();
    stack.ingestors[0].process.stop().await;
    stack.ingestors[0].set("LOGLAKE_FAILPOINTS", &rules.join(";"));
    stack.ingestors[0].restart().await;

    let direct = stack.site();
    let port = |url: &str| url.rsplit(':').next().and_then(|port| port.parse().ok()).unwrap_or_default();
    let grpc = TcpProxy::start(0, local(port(&stack.ingestors[0].grpc))).await?;
    let http = TcpProxy::start(0, local(port(&stack.ingestors[0].http))).await?;
    let proxied = Ingest { grpc: format!("http://{}", grpc.address), http: format!("http://{}", http.address) };
    let site = Site::new(vec![proxied], direct.queries(), direct.admin.clone());
    let run = lab.begin(&site, Plan::default());
    for _ in 0..rounds {
        run.more(100).await?;
        grpc.set(Tcp::CutAfter(0));
        http.set(Tcp::CutAfter(0));
        // Long enough for every writer to lose an answer.
        tokio::time::sleep(std::time::Duration::from_millis(400)).await;
        grpc.set(Tcp::Pass);
        http.set(Tcp::Pass);
    }
    let cuts = [grpc.fired(), http.fired()];
    ensure!(cuts.iter().all(|cut| *cut > 0), "answers were cut: {cuts:?}");
    let said = stack.ingestors[0].process.said();
    let failed = said.matches("failpoint ingest.appended hit").count() as u64;
    ensure!(failed == FAILED, "{failed} confirmed appends were taken for failed ones");
    let verdict = run.finish().await?;
    let unknown = verdict.returned.saturating_sub(verdict.acknowledged);
    ensure!(unknown > 0, "the broker had records whose acknowledgement was lost: {verdict:?}");
    ensure!(verdict.resent > 0, "nothing was sent again: {verdict:?}");
    let dropped = wait::sum(&stack.processors, "loglake_repeats_dropped_total", "").await;
    ensure!(dropped > 0.0, "no repetition was dropped, of {} records sent again", verdict.resent);
    let fired = format!("{} answers cut, {failed} appends taken for failed", cuts.iter().sum::<u64>());
    Ok(Outcome::new(fired, verdict)
        .noting(format!("{unknown} records stored though never acknowledged; {dropped} messages dropped as repeated")))
}
