//! 409 to a conditional create with nothing stored, as S3 answers when two race: nobody may be taken for the winner.

use anyhow::Result;

use super::strike;
use crate::lab::Lab;
use crate::proxy::S3Fault;
use crate::rows::Outcome;

pub(crate) async fn run(lab: &mut Lab) -> Result<Outcome> {
    strike(lab, &[(S3Fault::Answer(409), "/commits/", 0.6)], false).await
}
