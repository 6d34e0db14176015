//! Messages that could not be read: which there are, and putting them into the log again once they can be.

mod attempts;
mod object;
mod redrive;

#[cfg(test)]
mod tests;

use loglake_commit::Quarantined;
use serde::Serialize;

pub use self::object::Message;
pub use self::redrive::{Redriven, Target, redrive};
use crate::{Error, Lake};

/// An object with messages that could not be read.
#[derive(Clone, Debug, Serialize)]
pub struct QuarantineObject {
    /// Which life of the topic.
    pub incarnation: u32,
    /// The partition.
    pub partition: u32,
    /// The entry of the chain that names it.
    pub seq: u64,
    /// The object's key.
    pub key: String,
    /// Its length, in bytes.
    pub length: u64,
    /// How many messages it holds, as the chain says.
    pub count: u64,
    /// The messages; empty when the object cannot be read.
    pub messages: Vec<Message>,
    /// Offsets of messages that were put into the log again.
    pub redriven: Vec<u64>,
    /// Why the object cannot be read.
    pub problem: Option<String>,
    #[serde(skip)]
    pub(crate) named: Quarantined,
}

/// All quarantine objects that chains name, ascending by life, partition and entry. Messages come without their payloads.
///
/// # Errors
/// `Corrupt` when a chain cannot be read; `Unavailable`.
pub async fn quarantine(lake: &Lake) -> Result<Vec<QuarantineObject>, Error> {
    let mut objects = Vec::new();
    for (incarnation, partition) in loglake_commit::chains(lake.store.as_ref(), &lake.cluster).await?.0 {
        for named in lake.chain(incarnation, partition).read().await?.quarantine {
            let (messages, problem) = match object::read(lake, &named).await? {
                Ok(messages) => (messages.into_iter().map(|(message, _)| message).collect(), None),
                Err(problem) => (Vec::new(), Some(problem)),
            };
            let attempts = attempts::read(lake, &named.key).await?;
            objects.push(QuarantineObject {
                incarnation,
                partition,
                seq: named.seq,
                key: named.key.clone(),
                length: named.length,
                count: named.messages,
                messages,
                redriven: attempts.done.into_iter().collect(),
                problem,
                named,
            });
        }
    }
    Ok(objects)
}
