use std::time::Duration;

use bytes::Bytes;
use loglake_model::{Clock, Timestamp};
use loglake_store::{Create, ObjectStore, list_all};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::keys::incarnations_folder;
use crate::{Error, sealed};

/// The version of the format that is written. Version 1, which is read too, has no checksum.
const INCARNATION_VERSION: u32 = 2;

/// The largest incarnation object read, in bytes.
const MAX_BYTES: u64 = 64 << 10;
/// How long a store that does not answer is asked again.
const PATIENCE: Duration = Duration::from_secs(60);
const WAIT: Duration = Duration::from_millis(200);
const WAIT_MAX: Duration = Duration::from_secs(5);

/// One life of the topic, as it is stored.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Incarnation {
    version: u32,
    topic_id: String,
    partitions: u32,
    created: String,
}

/// The small number of the topic life `topic_id`, assigned by conditional create the first time it is seen.
///
/// A topic made anew starts at offset 0 again: without this number every new record would look committed already. Where the
/// cluster has other lives already, a new one is taken only when `accepts_new` says so: the other broker may be a mistake.
///
/// A store that does not answer is asked again for a minute: it often starts together with those that need it.
///
/// # Errors
/// `Invalid` for a new life that is not accepted; `Corrupt` when a stored life cannot be read; `Unavailable`, a minute after
/// the first failure.
pub async fn incarnation(
    store: &dyn ObjectStore,
    cluster: &str,
    topic_id: &str,
    partitions: u32,
    clock: &dyn Clock,
    accepts_new: bool,
) -> Result<u32, Error> {
    let began = Instant::now();
    let mut wait = WAIT;
    loop {
        let error = match find(store, cluster, topic_id, partitions, clock, accepts_new).await {
            Ok(number) => return Ok(number),
            Err(error) => error,
        };
        if !error.kind().is_retryable() || began.elapsed() + wait > PATIENCE {
            return Err(error);
        }
        tracing::warn!(
            %error,
            wait_ms = wait.as_millis() as u64,
            "the topic's incarnation is not known: the object store does not answer, trying again"
        );
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(WAIT_MAX);
    }
}

async fn find(
    store: &dyn ObjectStore,
    cluster: &str,
    topic_id: &str,
    partitions: u32,
    clock: &dyn Clock,
    accepts_new: bool,
) -> Result<u32, Error> {
    let folder = incarnations_folder(cluster);
    loop {
        let mut next = 0_u32;
        let mut newest = None;
        for life in lives(store, cluster).await? {
            let life = life?;
            if life.topic_id == topic_id {
                return Ok(life.number);
            }
            if life.number >= next {
                next = life.number + 1;
                newest = Some(life.topic_id);
            }
        }
        if let Some(known) = newest.filter(|_| !accepts_new) {
            let (cluster, topic_id) = (cluster.to_owned(), topic_id.to_owned());
            return Err(Error::NewTopic { cluster, topic_id, known });
        }
        let life = Incarnation {
            version: INCARNATION_VERSION,
            topic_id: topic_id.to_owned(),
            partitions,
            created: Timestamp(clock.now_ns()).to_string(),
        };
        let key = format!("{folder}{next}.json");
        let body =
            serde_json::to_vec(&life).map_err(|error| Error::Corrupt { key: key.clone(), what: error.to_string() })?;
        if store.create(&key, Bytes::from(sealed::seal(body))).await? == Create::Created {
            tracing::info!(incarnation = next, topic_id, "new incarnation of the topic");
        } else {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        // Read back what won, whoever wrote it.
    }
}

/// The name of some other cluster that has chains in the same bucket; `None` when `cluster` has it for itself. A cluster
/// writes its first incarnation down before its first chunk, so whoever saw a chunk of another sees that.
///
/// # Errors
/// `Unavailable`.
pub async fn other_cluster(store: &dyn ObjectStore, cluster: &str) -> Result<Option<String>, Error> {
    const ALL: &str = "commits/";
    let own = format!("{ALL}{cluster}/");
    // All own keys stand in one run: others come before its first or after its last.
    let past_own = format!("{ALL}{cluster}0");
    let first = store.list(ALL, None).await?;
    let last = store.list(ALL, Some(&past_own)).await?;
    let mut both = first.objects.into_iter().chain(last.objects).map(|object| object.key);
    let other = both.find(|key| !key.starts_with(&own));
    Ok(other.and_then(|key| key.strip_prefix(ALL)?.split('/').next().map(ToOwned::to_owned)))
}

/// A life of the topic, as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Life {
    /// Its number.
    pub number: u32,
    /// The topic's id.
    pub topic_id: String,
    /// How many partitions it had when it was first seen.
    pub partitions: u32,
    /// When that was, RFC 3339.
    pub created: String,
}

/// All lives of the topic of `cluster` that are written down, ascending by number, each with what is wrong with it instead
/// where it cannot be read.
///
/// # Errors
/// `Unavailable`.
pub async fn lives(store: &dyn ObjectStore, cluster: &str) -> Result<Vec<Result<Life, Error>>, Error> {
    let folder = incarnations_folder(cluster);
    let mut lives = Vec::new();
    for object in list_all(store, &folder).await? {
        let bytes = match store.get(&object.key, MAX_BYTES).await {
            Ok(bytes) => bytes,
            Err(error) if error.kind().is_retryable() => return Err(error.into()),
            Err(error) => {
                lives.push(Err(error.into()));
                continue;
            }
        };
        lives.push(read(&folder, &object.key, &bytes));
    }
    lives.sort_by_key(|life| life.as_ref().map_or(u32::MAX, |life| life.number));
    Ok(lives)
}

fn read(folder: &str, key: &str, bytes: &[u8]) -> Result<Life, Error> {
    let corrupt = |what: String| Error::Corrupt { key: key.to_owned(), what };
    let number = key.strip_prefix(folder).and_then(|name| name.strip_suffix(".json"));
    let number = number.and_then(|number| number.parse().ok()).ok_or_else(|| corrupt("it has no number".to_owned()))?;
    let life = decode(key, bytes)?;
    Ok(Life { number, topic_id: life.topic_id, partitions: life.partitions, created: life.created })
}

/// A life of the topic before the present one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OlderIncarnation {
    /// Its number.
    pub number: u32,
    /// The partitions that have a chain of it, ascending.
    pub partitions: Vec<u32>,
}

/// The lives before `incarnation`, ascending. Their chains move no more; their records are still there.
///
/// # Errors
/// `Unavailable`.
pub async fn older_incarnations(
    store: &dyn ObjectStore,
    cluster: &str,
    incarnation: u32,
) -> Result<Vec<OlderIncarnation>, Error> {
    let mut older = Vec::new();
    for number in 0..incarnation {
        let chains = format!("commits/{cluster}/{number}/");
        let mut partitions = Vec::new();
        let mut after: Option<String> = None;
        // From one partition to the next: a listing each, however long its chain is.
        while let Some(object) = store.list(&chains, after.as_deref()).await?.objects.first() {
            let digits = object.key[chains.len()..].split('/').next().unwrap_or_default();
            partitions.extend(digits.parse::<u32>().ok());
            // Sorts right after everything below the folder.
            after = Some(format!("{chains}{digits}0"));
        }
        older.push(OlderIncarnation { number, partitions });
    }
    Ok(older)
}

/// The id of the topic whose life `incarnation` is; `None` when nobody has written it down.
///
/// # Errors
/// `Corrupt` when what is stored cannot be read; `Unavailable`.
pub async fn topic_of(store: &dyn ObjectStore, cluster: &str, incarnation: u32) -> Result<Option<String>, Error> {
    Ok(stored(store, cluster, incarnation).await?.map(|life| life.topic_id))
}

/// How many partitions the topic had when its life `incarnation` was first seen; `None` when nobody has written it down.
/// Streams may lie where any count from this one to today's puts them.
///
/// # Errors
/// `Corrupt` when what is stored cannot be read; `Unavailable`.
pub async fn first_partitions(store: &dyn ObjectStore, cluster: &str, incarnation: u32) -> Result<Option<u32>, Error> {
    Ok(stored(store, cluster, incarnation).await?.map(|life| life.partitions))
}

async fn stored(store: &dyn ObjectStore, cluster: &str, incarnation: u32) -> Result<Option<Incarnation>, Error> {
    let key = format!("{}{incarnation}.json", incarnations_folder(cluster));
    let bytes = match store.get(&key, MAX_BYTES).await {
        Ok(bytes) => bytes,
        Err(loglake_store::Error::NotFound { .. }) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    decode(&key, &bytes).map(Some)
}

fn decode(key: &str, bytes: &[u8]) -> Result<Incarnation, Error> {
    let corrupt = |what: String| Error::Corrupt { key: key.to_owned(), what };
    let (json, is_sealed) = sealed::open(bytes).map_err(corrupt)?;
    crate::version::check(key, "incarnation", INCARNATION_VERSION, &json)?;
    let life: Incarnation = serde_json::from_slice(&json).map_err(|error| corrupt(error.to_string()))?;
    if !is_sealed && life.version > 1 {
        return Err(corrupt("its checksum is missing".to_owned()));
    }
    Ok(life)
}
