//! A PUT that the writer has given up lands later: after others have claimed, and after the writer has died.

use std::time::Duration;

use anyhow::Result;

use super::strike;
use crate::lab::Lab;
use crate::proxy::S3Fault;
use crate::rows::Outcome;

pub(crate) async fn run(lab: &mut Lab) -> Result<Outcome> {
    let late = S3Fault::Hold(Duration::from_secs(if lab.is_short { 3 } else { 15 }));
    strike(lab, &[(late, "/commits/", 0.4), (late, "/data/", 0.2)], true).await
}
