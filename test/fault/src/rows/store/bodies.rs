//! Bodies of GET are too short, cut or wrong in one bit: it is an error or said to be missing, never a wrong row.

use anyhow::Result;

use super::strike;
use crate::lab::Lab;
use crate::proxy::S3Fault;
use crate::rows::Outcome;

pub(crate) async fn truncated(lab: &mut Lab) -> Result<Outcome> {
    strike(lab, &[(S3Fault::Truncate, "/", 0.15), (S3Fault::CutBody, "/", 0.1)], true).await
}

pub(crate) async fn flipped(lab: &mut Lab) -> Result<Outcome> {
    strike(lab, &[(S3Fault::Flip, "/", 0.2)], true).await
}
