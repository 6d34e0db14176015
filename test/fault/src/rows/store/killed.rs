//! The store is killed and comes back.

use std::time::Duration;

use anyhow::Result;

use crate::lab::Lab;
use crate::load::Plan;
use crate::rows::Outcome;
use crate::servers::{pid, signal};
use crate::stack::Wanted;

pub(crate) async fn run(lab: &mut Lab) -> Result<Outcome> {
    let stack = lab.stack(&Wanted::default()).await?;
    let run = lab.begin(&stack.site(), Plan::default());
    let minio = &stack.servers.minio;
    let turns = if lab.is_short { 1 } else { 4 };
    for _ in 0..turns {
        run.more(200).await?;
        tokio::time::sleep(Duration::from_secs(2)).await;
        signal(pid(minio, "minio.pid")?, "KILL")?;
        // What comes in meanwhile is acknowledged: it needs the broker only.
        run.more(200).await?;
        tokio::time::sleep(Duration::from_secs(5)).await;
        minio.start_again();
    }
    Ok(Outcome::new(format!("MinIO killed {turns} times"), run.finish().await?))
}
