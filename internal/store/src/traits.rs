//! The contract of an object store.

use std::ops::Range;

use async_trait::async_trait;
use bytes::Bytes;

use crate::Error;

/// How a conditional create ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Create {
    /// This call created the object, for certain.
    Created,
    /// An object stands at the key. It may be this caller's own, of an earlier attempt: read it back.
    Exists,
    /// No certain answer (time-out, dropped connection, 409, 5xx): the object may be there, come later, or never. Read the
    /// key.
    Unknown,
}

/// An object in a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    /// Its key.
    pub key: String,
    /// Its length, in bytes.
    pub length: u64,
}

/// A page of a listing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// The objects, ascending by the bytes of their keys.
    pub objects: Vec<Object>,
    /// Whether there are more: go on after the last key.
    pub has_more: bool,
}

/// Immutable objects under keys. Keys are `/`-separated, relative, of printable ASCII, without empty, `.` or `..` parts.
///
/// Reads see every create that ended before they began (S3 has promised so since December 2020).
#[async_trait]
pub trait ObjectStore: Send + Sync {
    /// Writes an object whose key no one else writes (it carries a nonce). All of it is there, durably, or nothing.
    ///
    /// # Errors
    /// `Unavailable`: it may or may not have been written, trying again is harmless; `Exhausted` when the store is full;
    /// `Invalid` for a key outside the rule.
    async fn put(&self, key: &str, body: Bytes) -> Result<(), Error>;

    /// Creates an object only if none stands at `key`. Among any number of concurrent callers at most one is told
    /// [`Create::Created`], and if anything is there afterwards, it is the body of exactly one of them.
    ///
    /// # Errors
    /// Only where nothing can have been written: `Invalid` key, `Exhausted`, `Forbidden`. Everything doubtful is
    /// [`Create::Unknown`].
    async fn create(&self, key: &str, body: Bytes) -> Result<Create, Error>;

    /// Reads a whole object of at most `max_bytes`.
    ///
    /// # Errors
    /// `NotFound`; `TooLarge` over `max_bytes`, before it is read; `Unavailable`.
    async fn get(&self, key: &str, max_bytes: u64) -> Result<Bytes, Error>;

    /// Reads `range` of an object. The answer has exactly its length.
    ///
    /// # Errors
    /// `NotFound`; `Corrupt` when the object is shorter; `Unavailable`.
    async fn get_range(&self, key: &str, range: Range<u64>) -> Result<Bytes, Error>;

    /// Lists objects whose keys begin with `prefix`, in key order, after `after` where given, at most 1,000 a page.
    ///
    /// # Errors
    /// `Unavailable`.
    async fn list(&self, prefix: &str, after: Option<&str>) -> Result<Listing, Error>;

    /// Deletes an object; one that is not there counts as deleted.
    ///
    /// # Errors
    /// `Unavailable`.
    async fn delete(&self, key: &str) -> Result<(), Error>;
}

/// Lists all objects under `prefix`, page by page. See [`ObjectStore::list`].
///
/// # Errors
/// As [`ObjectStore::list`].
pub async fn list_all(store: &dyn ObjectStore, prefix: &str) -> Result<Vec<Object>, Error> {
    let mut all = Vec::<Object>::new();
    loop {
        let page = store.list(prefix, all.last().map(|object| object.key.as_str())).await?;
        let is_last = !page.has_more || page.objects.is_empty();
        all.extend(page.objects);
        if is_last {
            return Ok(all);
        }
    }
}
