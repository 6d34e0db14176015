//! A second process on the same folder refuses to start, and the first goes on.

use anyhow::Result;
use loglake_integration::Dev;

use super::refuses_to_start;
use crate::lab::{DEV, Lab};
use crate::load::Plan;
use crate::rows::Outcome;
use crate::site::Site;

pub(crate) async fn run(lab: &mut Lab) -> Result<Outcome> {
    let dev = lab.dev(&[]).await;
    let run = lab.begin(&Site::of_dev(&dev), Plan::default());
    run.more(200).await?;
    let mut second = Dev::launch(&[], dev.data(), &DEV);
    for _ in 0..3 {
        refuses_to_start(&mut second, "another process").await?;
        run.more(50).await?;
    }
    let verdict = run.finish().await?;
    drop(dev);
    Ok(Outcome::new("3 starts refused, the folder named", verdict))
}
