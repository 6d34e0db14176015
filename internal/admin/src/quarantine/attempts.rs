//! What is written down of putting an object's messages into the log again, so that a crash in between neither loses nor
//! repeats one.
//!
//! ```text
//! redrive/<key of the object>/<attempt, 5 digits>-begun.json   before anything is appended: what, and where each partition ended
//! redrive/<key of the object>/<attempt, 5 digits>-done.json    all of it is in the log
//! ```
//! Created, never replaced. An attempt without its end is gone on with, by whoever comes next.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use loglake_store::{Create, list_all};
use serde::{Deserialize, Serialize};

use crate::{Error, Lake};

const MAX_BYTES: u64 = 64 << 20;

/// What an attempt is about to append.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Begun {
    pub(super) version: u32,
    /// The topic's id: another one's offsets say nothing.
    pub(super) topic_id: String,
    /// Offsets of the quarantined messages.
    pub(super) offsets: Vec<u64>,
    /// The broker's latest offset of each partition that is appended to: nothing of the attempt lies below.
    pub(super) from: BTreeMap<u32, u64>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Done {
    version: u32,
    offsets: Vec<u64>,
}

/// All attempts at an object.
#[derive(Debug, Default)]
pub(super) struct Attempts {
    /// Offsets that are in the log again.
    pub(super) done: BTreeSet<u64>,
    /// The attempt that has not ended.
    pub(super) open: Option<(u32, Begun)>,
    last: u32,
}

fn key(object: &str, attempt: u32, what: &str) -> String {
    format!("redrive/{object}/{attempt:05}-{what}.json")
}

/// Reads what is written down of the object at `object`.
pub(super) async fn read(lake: &Lake, object: &str) -> Result<Attempts, Error> {
    let (mut attempts, mut begun) = (Attempts::default(), BTreeMap::new());
    let folder = format!("redrive/{object}/");
    for found in list_all(lake.store.as_ref(), &folder).await? {
        let corrupt = |what: String| Error::Redrive { key: found.key.clone(), what };
        let name = found.key.strip_prefix(&folder).and_then(|name| name.strip_suffix(".json"));
        let (number, what) = name.and_then(|name| name.split_once('-')).unwrap_or_default();
        let number: u32 = number.parse().map_err(|_| corrupt("no object of this name belongs here".to_owned()))?;
        let body = lake.store.get(&found.key, MAX_BYTES).await?;
        attempts.last = attempts.last.max(number);
        if what == "done" {
            let done: Done = serde_json::from_slice(&body).map_err(|error| corrupt(error.to_string()))?;
            attempts.done.extend(done.offsets);
            begun.insert(number, None);
        } else {
            let of: Begun = serde_json::from_slice(&body).map_err(|error| corrupt(error.to_string()))?;
            begun.entry(number).or_insert(Some(of));
        }
    }
    attempts.open = begun.into_iter().find_map(|(number, of)| Some((number, of?)));
    Ok(attempts)
}

/// Begins the next attempt; `false` when another process began one meanwhile.
pub(super) async fn begin(lake: &Lake, object: &str, attempts: &Attempts, begun: &Begun) -> Result<bool, Error> {
    create(lake, &key(object, attempts.last + 1, "begun"), serde_json::to_vec(begun)).await
}

/// Ends attempt `number`.
pub(super) async fn end(lake: &Lake, object: &str, number: u32, offsets: &[u64]) -> Result<(), Error> {
    let done = Done { version: 1, offsets: offsets.to_vec() };
    // Whoever was faster wrote the same.
    create(lake, &key(object, number, "done"), serde_json::to_vec(&done)).await.map(drop)
}

/// Whether this call, or an earlier try of it, made the object.
async fn create(lake: &Lake, key: &str, body: serde_json::Result<Vec<u8>>) -> Result<bool, Error> {
    let body = body.map_err(|error| Error::Redrive { key: key.to_owned(), what: error.to_string() })?;
    match lake.store.create(key, Bytes::from(body.clone())).await? {
        Create::Created => Ok(true),
        Create::Exists | Create::Unknown => Ok(lake.store.get(key, MAX_BYTES).await? == body),
    }
}
