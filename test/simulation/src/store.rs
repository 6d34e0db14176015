//! The bucket, as one process reaches it.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use loglake_store::{Create, Error, Listing, MemoryStore, ObjectStore};

use crate::dice::Dice;
use crate::faults::{Faults, Life, Part, Reply};
use crate::mutation::Mutation;

/// The bucket as one process sees it.
#[derive(Clone, Debug)]
pub struct FaultyStore {
    /// What all processes share.
    pub inner: Arc<MemoryStore>,
    /// What becomes of calls.
    pub faults: Faults,
    /// Who calls.
    pub life: Life,
    /// For what is doubtful in more than one way.
    pub dice: Dice,
    /// The rule that it breaks.
    pub mutation: Option<Mutation>,
}

impl FaultyStore {
    async fn call<T: std::fmt::Debug + Send + 'static>(
        &self,
        what: &str,
        key: &str,
        is_write: bool,
        work: impl Future<Output = Result<T, Error>> + Send + 'static,
    ) -> Result<T, Error> {
        match self.faults.call(&self.life, Part::Store, format!("{what} {key}"), is_write, work).await {
            Reply::Done(outcome) => outcome,
            Reply::Refused | Reply::Lost => Err(unavailable(what)),
        }
    }
}

/// A checkpoint whose sessions are gone.
fn without_sessions(checkpoint: &[u8]) -> Option<Bytes> {
    let mut checkpoint: serde_json::Value = serde_json::from_slice(checkpoint).ok()?;
    *checkpoint.get_mut("sessions")? = serde_json::json!({});
    Some(checkpoint.to_string().into())
}

fn unavailable(what: &str) -> Error {
    Error::Unavailable { what: what.to_owned(), reason: "simulated".to_owned() }
}

#[async_trait]
impl ObjectStore for FaultyStore {
    async fn put(&self, key: &str, body: Bytes) -> Result<(), Error> {
        let (inner, owned) = (Arc::clone(&self.inner), key.to_owned());
        self.call("put", key, true, async move { inner.put(&owned, body).await }).await
    }

    async fn create(&self, key: &str, body: Bytes) -> Result<Create, Error> {
        let (inner, owned, mutation) = (Arc::clone(&self.inner), key.to_owned(), self.mutation);
        let create = async move {
            if mutation == Some(Mutation::StoreOverwrites) {
                inner.put(&owned, body).await?;
                return Ok(Create::Created);
            }
            inner.create(&owned, body).await
        };
        let what = format!("create {key}");
        let reply = self.faults.call(&self.life, Part::Store, what, true, create).await;
        if self.mutation == Some(Mutation::StoreSaysCreated) && !matches!(reply, Reply::Done(Err(_)) | Reply::Refused) {
            return Ok(Create::Created);
        }
        match reply {
            Reply::Done(outcome) => outcome,
            // Before it was sent, or a 409 with nothing there.
            Reply::Refused if self.dice.chance(500) => Err(unavailable("create")),
            Reply::Refused | Reply::Lost => Ok(Create::Unknown),
        }
    }

    async fn get(&self, key: &str, max_bytes: u64) -> Result<Bytes, Error> {
        let (inner, owned) = (Arc::clone(&self.inner), key.to_owned());
        let read = self.call("get", key, false, async move { inner.get(&owned, max_bytes).await }).await?;
        let is_forgotten = self.mutation == Some(Mutation::CheckpointForgetsSessions) && key.contains("/checkpoint-");
        Ok(if is_forgotten { without_sessions(&read).unwrap_or(read) } else { read })
    }

    async fn get_range(&self, key: &str, range: Range<u64>) -> Result<Bytes, Error> {
        let (inner, owned) = (Arc::clone(&self.inner), key.to_owned());
        let read = self.call("get_range", key, false, async move { inner.get_range(&owned, range).await }).await?;
        if read.is_empty() || !self.faults.is_flipped(Part::Store) {
            return Ok(read);
        }
        self.faults.note(&self.life, format_args!("get_range {key} -> a wrong byte"));
        let mut wrong = read.to_vec();
        let at = usize::try_from(self.dice.within(0..wrong.len() as u64)).expect("a place in memory");
        wrong[at] ^= 1 << self.dice.within(0..8);
        Ok(wrong.into())
    }

    async fn list(&self, prefix: &str, after: Option<&str>) -> Result<Listing, Error> {
        let (inner, owned, after) = (Arc::clone(&self.inner), prefix.to_owned(), after.map(str::to_owned));
        self.call("list", prefix, false, async move { inner.list(&owned, after.as_deref()).await }).await
    }

    async fn delete(&self, key: &str) -> Result<(), Error> {
        let (inner, owned) = (Arc::clone(&self.inner), key.to_owned());
        self.call("delete", key, true, async move { inner.delete(&owned).await }).await
    }
}

/// All that a bucket holds under `prefix`.
///
/// # Errors
/// Never: it is memory.
pub async fn all_objects(store: &MemoryStore, prefix: &str) -> Result<BTreeMap<String, u64>, Error> {
    let objects = loglake_store::list_all(store, prefix).await?;
    Ok(objects.into_iter().map(|object| (object.key, object.length)).collect())
}
