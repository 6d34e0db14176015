//! A store that ignores `If-None-Match` cannot keep the chain: processor and query service refuse to start on it. On the same
//! store with the condition, all goes well.

use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use rand::prelude::*;

use crate::lab::Lab;
use crate::load::Plan;
use crate::proxy::{S3Fault, S3Proxy};
use crate::rows::Outcome;
use crate::servers::{Moto, local};
use crate::stack::Wanted;

pub(crate) async fn run(lab: &mut Lab) -> Result<Outcome> {
    // moto checks no signatures, so that the header can be taken away.
    let moto = Moto::start(lab.folder().to_owned()).await?;
    let proxy = S3Proxy::start(local(moto.port), lab.random.random()).await?;
    let mut stack = lab.stack(&Wanted::default().with("S3_ENDPOINT", proxy.url()).of(1, 0, 0)).await?;
    proxy.add(S3Fault::DropCondition, "/", 1.0, u64::MAX);
    stack.add("processor");
    let began = Instant::now();
    let said = loop {
        let processor = &mut stack.processors[0].process;
        if let Some(status) = processor.ended() {
            ensure!(!status.success(), "it ended with success");
            break processor.log_text();
        }
        if began.elapsed() > Duration::from_secs(60) {
            bail!("the processor runs on a store without conditions:\n{}", processor.log_text());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    ensure!(said.to_lowercase().contains("condition"), "it does not say why:\n{said}");
    let fired = proxy.fired();
    ensure!(fired > 0, "no condition was taken away");
    proxy.heal();
    stack.processors[0].restart().await;
    stack.add("query");
    stack.queries[0].wait_ready().await;
    let run = lab.begin(&stack.site(), Plan::default());
    run.more(200).await?;
    Ok(Outcome::new(format!("{fired} conditions taken away, start refused"), run.finish().await?))
}
