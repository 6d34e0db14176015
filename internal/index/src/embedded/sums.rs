//! The sums of what is stored of each tenant: written with the chunks that they are of.

use std::collections::BTreeMap;

use fjall::Readable as _;
use loglake_model::{ChunkMeta, TenantName};

use super::state::{Changes, Mark, State, corrupt, json, key, parse, place_of, unavailable};
use crate::{Error, StoredByTenant, place, stored_by_tenant};

/// What an entry changes of a partition's sums.
#[derive(Debug, Default)]
pub(super) struct Sums {
    /// Bytes more, or fewer.
    by_tenant: BTreeMap<TenantName, i128>,
    /// Something that goes cannot be read.
    is_unknown: bool,
}

impl Sums {
    pub(super) fn add(&mut self, chunk: &ChunkMeta) {
        *self.by_tenant.entry(chunk.tenant.clone()).or_default() += i128::from(chunk.length);
    }

    /// Takes off the entry `stored` at `place`.
    pub(super) fn remove(&mut self, place: &[u8], stored: &[u8]) {
        match place::decode_any(place, stored) {
            Ok(chunk) => *self.by_tenant.entry(chunk.tenant).or_default() -= i128::from(chunk.length),
            Err(error) => {
                tracing::warn!(%error, "an entry that is removed cannot be read; stored bytes are added up anew");
                self.is_unknown = true;
            }
        }
    }
}

impl State {
    /// Adds to `changes` what `sums` make of a partition's sums; false when these cannot be right.
    pub(super) fn change_sums(
        &self,
        view: &fjall::Snapshot,
        partition: u32,
        sums: &Sums,
        changes: &mut Changes,
    ) -> Result<bool, Error> {
        if sums.is_unknown {
            return Ok(false);
        }
        let mut changed = Changes::new();
        for (tenant, change) in &sums.by_tenant {
            let key = sum_key(partition, tenant);
            let Ok(sum) = u64::try_from(i128::from(self.sum(view, &key)?) + change) else { return Ok(false) };
            let stored = if sum > 0 { Some(json(&key, &sum)?) } else { None };
            changed.insert(key, stored);
        }
        changes.append(&mut changed);
        Ok(true)
    }

    fn sum(&self, view: &fjall::Snapshot, key: &[u8]) -> Result<u64, Error> {
        let stored = view.get(&self.keys, key).map_err(|error| unavailable("read", &error))?;
        stored.map_or(Ok(0), |stored| parse(key, &stored))
    }

    /// The sums of `tenants` in that order; `None` without a watermark.
    pub(super) fn stored(&self, partition: u32, tenants: &[TenantName]) -> Result<Option<Vec<u64>>, Error> {
        let Some((view, _)) = self.view_of_sums(partition)? else { return Ok(None) };
        tenants.iter().map(|tenant| self.sum(&view, &sum_key(partition, tenant))).collect::<Result<_, _>>().map(Some)
    }

    pub(super) fn stored_by_tenant(&self, partition: u32) -> Result<Option<StoredByTenant>, Error> {
        let Some((view, mark)) = self.view_of_sums(partition)? else { return Ok(None) };
        let mut sums = BTreeMap::new();
        for entry in view.prefix(&self.keys, key(partition, b'b', &[])) {
            let (key, value) = entry.into_inner().map_err(|error| unavailable("read", &error))?;
            let tenant = std::str::from_utf8(place_of(&key)).ok().and_then(|name| TenantName::parse(name).ok());
            let tenant = tenant.ok_or_else(|| corrupt(&key, "it names no tenant".to_owned()))?;
            sums.insert(tenant, parse(&key, &value)?);
        }
        Ok(Some((mark.watermark(), sums)))
    }

    /// A view in which the sums are right: they are added up where a program left them behind.
    fn view_of_sums(&self, partition: u32) -> Result<Option<(fjall::Snapshot, Mark)>, Error> {
        let view = self.db.snapshot();
        match self.mark(&view, partition)? {
            None => return Ok(None),
            Some(mark) if mark.has_sums => return Ok(Some((view, mark))),
            Some(_) => {}
        }
        let _writer = self.writer.lock();
        let view = self.db.snapshot();
        let Some(mark) = self.mark(&view, partition)? else { return Ok(None) };
        if mark.has_sums {
            return Ok(Some((view, mark)));
        }
        let mut changes = Changes::new();
        for entry in view.prefix(&self.keys, key(partition, b'b', &[])) {
            changes.insert(entry.key().map_err(|error| unavailable("read", &error))?.to_vec(), None);
        }
        let mut live = Vec::new();
        for entry in view.prefix(&self.keys, key(partition, b'c', &[])) {
            let (key, value) = entry.into_inner().map_err(|error| unavailable("read", &error))?;
            live.push(place::decode_any(place_of(&key), &value)?);
        }
        let sums = stored_by_tenant(&live);
        tracing::info!(partition, tenants = sums.len(), "stored bytes added up: the index had no sums");
        for (tenant, bytes) in sums {
            let key = sum_key(partition, &tenant);
            let stored = json(&key, &bytes)?;
            changes.insert(key, Some(stored));
        }
        let (mut mark, mark_key) = (mark, key(partition, b'w', &[]));
        mark.has_sums = true;
        let stored = json(&mark_key, &mark)?;
        changes.insert(mark_key, Some(stored));
        self.write(changes)?;
        Ok(Some((self.db.snapshot(), mark)))
    }
}

fn sum_key(partition: u32, tenant: &TenantName) -> Vec<u8> {
    key(partition, b'b', tenant.as_str().as_bytes())
}

#[cfg(test)]
impl State {
    /// Takes from `partition` what a program that keeps no sums would not have written, and makes the sums wrong.
    pub(super) fn forget_sums(&self, partition: u32) {
        let mark = self.mark(&self.db.snapshot(), partition).unwrap().unwrap();
        let mark_key = key(partition, b'w', &[]);
        let mut stored = serde_json::to_value(&mark).unwrap();
        stored.as_object_mut().unwrap().remove("has_sums");
        let wrong = key(partition, b'b', b"t");
        let changes = [(mark_key, Some(stored.to_string().into_bytes())), (wrong, Some(b"7".to_vec()))];
        self.write(Changes::from(changes)).unwrap();
    }
}
