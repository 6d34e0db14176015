//! A PUT is applied and its answer is lost: of chunks, and of entries, where the writer must know its own when it meets it.

use anyhow::Result;

use super::strike;
use crate::lab::Lab;
use crate::proxy::S3Fault;
use crate::rows::Outcome;

pub(crate) async fn run(lab: &mut Lab) -> Result<Outcome> {
    strike(lab, &[(S3Fault::LoseReply, "/commits/", 0.5), (S3Fault::LoseReply, "/data/", 0.3)], false).await
}
