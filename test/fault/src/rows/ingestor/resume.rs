//! An ingestor dies and stays dead: its clients go on at the other one.

use std::time::Duration;

use anyhow::{Result, ensure};

use crate::lab::Lab;
use crate::load::Plan;
use crate::rows::Outcome;
use crate::site::Site;
use crate::stack::Wanted;

pub(crate) async fn run(lab: &mut Lab) -> Result<Outcome> {
    let mut stack = lab.stack(&Wanted::default().of(2, 1, 1)).await?;
    let both = stack.site();
    let site = Site::new(vec![both.ingestors()[0].clone()], both.queries(), both.admin.clone());
    let run = lab.begin(&site, Plan { patience: Duration::from_secs(5), ..Plan::default() });
    run.more(200).await?;
    stack.ingestors[0].process.kill();
    let left = run.acknowledged();
    // The clients find the other one as a load balancer, or their list of servers, tells them.
    site.set_ingestors(both.ingestors()[1..].to_vec());
    run.more(500).await?;
    ensure!(stack.ingestors[0].process.ended().is_some(), "the first ingestor is dead");
    let verdict = run.finish().await?;
    Ok(Outcome::new(format!("the ingestor of {left} acknowledged records is dead"), verdict))
}
