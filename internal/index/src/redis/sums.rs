//! Sums that all processes of a cluster add to: no part of the index, and of no value once a minute has passed.

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use loglake_model::TenantName;

use super::answer::failed;
use super::config::Config;
use super::keys;
use super::link::Link;
use crate::Error;

/// A sum that nobody has added to for so long is forgotten.
const TTL_MS: u64 = 60_000;
/// Sums asked for at a time, over the one connection.
const WIDTH: usize = 256;

/// What tenants take, added up by all that let them: bytes and records.
pub struct RedisSums {
    link: Link,
    cluster: String,
}

impl std::fmt::Debug for RedisSums {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RedisSums").field("cluster", &self.cluster).finish_non_exhaustive()
    }
}

impl RedisSums {
    /// Prepares a connection to the servers of `config`, whose incarnation does not matter; it is made with the first call.
    ///
    /// # Errors
    /// `Invalid` when the address is wrong.
    pub fn new(config: Config) -> Result<Self, Error> {
        Ok(Self { link: Link::prepare(&config)?, cluster: config.cluster })
    }

    /// Adds to each tenant's sums, and returns them after it, in the same order.
    ///
    /// # Errors
    /// `Unavailable`; some may have been added to then.
    pub async fn add(&self, added: &[(TenantName, [u64; 2])]) -> Result<Vec<[u64; 2]>, Error> {
        let sums: Vec<_> = added.iter().map(|(tenant, amounts)| self.add_one(tenant, *amounts)).collect();
        stream::iter(sums).buffered(WIDTH).try_collect().await
    }

    async fn add_one(&self, tenant: &TenantName, amounts: [u64; 2]) -> Result<[u64; 2], Error> {
        let key = keys::sums(&self.cluster, tenant);
        let mut all = redis::pipe();
        for (field, amount) in ["b", "r"].into_iter().zip(amounts) {
            all.cmd("HINCRBY").arg(&key).arg(field).arg(amount);
        }
        all.cmd("PEXPIRE").arg(&key).arg(TTL_MS).ignore();
        let sums: (u64, u64) =
            all.query_async(&mut self.link.clone()).await.map_err(|error| failed("add up", &error))?;
        Ok(sums.into())
    }
}
