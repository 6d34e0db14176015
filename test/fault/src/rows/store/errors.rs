//! Thirty of a hundred requests are answered with 500 or 503.

use anyhow::Result;

use super::strike;
use crate::lab::Lab;
use crate::proxy::S3Fault;
use crate::rows::Outcome;

pub(crate) async fn run(lab: &mut Lab) -> Result<Outcome> {
    strike(lab, &[(S3Fault::Answer(500), "/", 0.15), (S3Fault::Answer(503), "/", 0.18)], true).await
}
