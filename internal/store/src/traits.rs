//! The contract of an object store.

use std::ops::Range;
use std::sync::Arc;

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

/// The most objects in a page of a listing.
pub const PAGE: usize = 1000;

/// Immutable objects under keys. A key is `/`-separated and relative, 1..=1,024 bytes of visible ASCII; no part of it is
/// empty, longer than 255 bytes or begins with a dot ([`crate::key`]). No key is a folder of another one (`a` and `a/b`): a
/// local folder cannot hold both.
///
/// Reads see every write that ended before they began (S3 has promised so since December 2020). A call whose future is
/// dropped may still take effect.
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
    /// Only where nothing can have been written: `Invalid` key, `Exhausted`, `Forbidden`, `Unavailable` before anything was
    /// sent. Everything doubtful is [`Create::Unknown`].
    async fn create(&self, key: &str, body: Bytes) -> Result<Create, Error>;

    /// Reads a whole object of at most `max_bytes`.
    ///
    /// # Errors
    /// `NotFound`; `TooLarge` over `max_bytes`, before it is read; `Unavailable`.
    async fn get(&self, key: &str, max_bytes: u64) -> Result<Bytes, Error>;

    /// Reads `range` of an object. The answer has exactly its length; an empty range is answered without looking.
    ///
    /// # Errors
    /// `NotFound`; `Corrupt` when the object is shorter; `Invalid` for a range that ends before it starts; `Unavailable`.
    async fn get_range(&self, key: &str, range: Range<u64>) -> Result<Bytes, Error>;

    /// How many bytes come in the time that one more request takes, about: who wants a part of what lies together reads so much at
    /// once, and no more.
    fn request_bytes(&self) -> u64 {
        // Of a store behind a network.
        80 << 10
    }

    /// Lists objects whose keys begin with `prefix`, ascending by the bytes of their keys, only those after `after` where
    /// given, at most [`PAGE`] a page. The prefix may end anywhere. What stands in the bucket under names that are no keys
    /// is left out. A page may be shorter than [`PAGE`] and have more after it, but never empty.
    ///
    /// # Errors
    /// `Invalid` for a prefix that no key begins with; `Unavailable`.
    async fn list(&self, prefix: &str, after: Option<&str>) -> Result<Listing, Error>;

    /// Deletes an object; one that is not there counts as deleted.
    ///
    /// # Errors
    /// `Unavailable`.
    async fn delete(&self, key: &str) -> Result<(), Error>;
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<S: ObjectStore + ?Sized> ObjectStore for Arc<S> {
    async fn put(&self, key: &str, body: Bytes) -> Result<(), Error> {
        (**self).put(key, body).await
    }

    async fn create(&self, key: &str, body: Bytes) -> Result<Create, Error> {
        (**self).create(key, body).await
    }

    async fn get(&self, key: &str, max_bytes: u64) -> Result<Bytes, Error> {
        (**self).get(key, max_bytes).await
    }

    async fn get_range(&self, key: &str, range: Range<u64>) -> Result<Bytes, Error> {
        (**self).get_range(key, range).await
    }

    fn request_bytes(&self) -> u64 {
        (**self).request_bytes()
    }

    async fn list(&self, prefix: &str, after: Option<&str>) -> Result<Listing, Error> {
        (**self).list(prefix, after).await
    }

    async fn delete(&self, key: &str) -> Result<(), Error> {
        (**self).delete(key).await
    }
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
