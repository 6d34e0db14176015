use std::collections::BTreeMap;
use std::ops::{Bound, Range};

use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;

use crate::{Create, Error, Listing, Object, ObjectStore, PAGE, key};

/// Objects in memory: for tests and simulations. Durable as long as the value lives.
#[derive(Debug, Default)]
pub struct MemoryStore {
    objects: Mutex<BTreeMap<String, Bytes>>,
}

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn read(&self, key: &str) -> Result<Bytes, Error> {
        key::check(key)?;
        self.objects.lock().get(key).cloned().ok_or_else(|| Error::NotFound { key: key.to_owned() })
    }
}

#[async_trait]
impl ObjectStore for MemoryStore {
    async fn put(&self, key: &str, body: Bytes) -> Result<(), Error> {
        key::check(key)?;
        self.objects.lock().insert(key.to_owned(), body);
        Ok(())
    }

    async fn create(&self, key: &str, body: Bytes) -> Result<Create, Error> {
        key::check(key)?;
        let mut objects = self.objects.lock();
        if objects.contains_key(key) {
            return Ok(Create::Exists);
        }
        objects.insert(key.to_owned(), body);
        Ok(Create::Created)
    }

    async fn get(&self, key: &str, max_bytes: u64) -> Result<Bytes, Error> {
        let body = self.read(key)?;
        let length = body.len() as u64;
        if length > max_bytes {
            return Err(Error::TooLarge { key: key.to_owned(), length, max_bytes });
        }
        Ok(body)
    }

    async fn get_range(&self, key: &str, range: Range<u64>) -> Result<Bytes, Error> {
        key::check(key)?;
        if key::check_range(key, &range)? {
            return Ok(Bytes::new());
        }
        let body = self.read(key)?;
        let end = usize::try_from(range.end).ok().filter(|end| *end <= body.len());
        let start = usize::try_from(range.start).ok();
        match (start, end) {
            (Some(start), Some(end)) => Ok(body.slice(start..end)),
            _ => Err(Error::Short { key: key.to_owned(), end: range.end }),
        }
    }

    async fn list(&self, prefix: &str, after: Option<&str>) -> Result<Listing, Error> {
        key::check_prefix(prefix)?;
        let from = match after {
            Some(after) if after >= prefix => Bound::Excluded(after),
            _ => Bound::Included(prefix),
        };
        let objects = self.objects.lock();
        let mut page: Vec<Object> = objects
            .range::<str, _>((from, Bound::Unbounded))
            .take_while(|(key, _)| key.starts_with(prefix))
            .take(PAGE + 1)
            .map(|(key, body)| Object { key: key.clone(), length: body.len() as u64 })
            .collect();
        let has_more = page.len() > PAGE;
        page.truncate(PAGE);
        Ok(Listing { objects: page, has_more })
    }

    async fn delete(&self, key: &str) -> Result<(), Error> {
        key::check(key)?;
        self.objects.lock().remove(key);
        Ok(())
    }
}
