//! How many bytes are stored of each tenant: sums beside a partition's chunks, changed by the scripts that change those.
//!
//! What a program wrote that keeps no sums is added up by the first that asks, one at a time.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use loglake_model::TenantName;

use super::answer::{Dumped, corrupt, failed, split_watermark};
use super::{DUMP_ATTEMPTS, RedisIndex, stage};
use crate::{ChunkIndex as _, Error, Stored, StoredByTenant, Watermark, stored_by_tenant};

/// Tenants asked about in one call.
const TENANTS: usize = 1_000;
/// Partitions asked about at a time.
const WIDTH: usize = 32;
/// How long one who adds a partition up keeps others from doing the same.
const LEASE: Duration = Duration::from_secs(60);

/// What is known of a partition's sums.
enum Sums {
    /// As the script answers them.
    Known(Watermark, Vec<Vec<u8>>),
    /// Somebody is adding them up.
    Unknown,
    /// There is no watermark.
    Lost,
}

impl RedisIndex {
    pub(super) async fn stored(&self, tenants: &[TenantName], partitions: &[u32]) -> Result<Stored, Error> {
        let partitions: BTreeSet<u32> = partitions.iter().copied().collect();
        let (mut bytes, mut lacking) = (Vec::with_capacity(tenants.len()), BTreeSet::new());
        for piece in tenants.chunks(TENANTS) {
            let calls: Vec<_> = partitions.iter().map(|partition| self.sums(*partition, piece)).collect();
            let answers: Vec<Sums> = stream::iter(calls).buffered(WIDTH).try_collect().await?;
            let mut sums = vec![0_u64; piece.len()];
            for (partition, answer) in partitions.iter().zip(answers) {
                let Sums::Known(_, told) = answer else {
                    lacking.insert(*partition);
                    continue;
                };
                if told.len() != sums.len() {
                    return Err(corrupt("stored bytes", "the script answers with something else"));
                }
                for (sum, told) in sums.iter_mut().zip(&told) {
                    *sum = sum.saturating_add(number(told)?);
                }
            }
            bytes.extend(sums);
        }
        Ok(Stored { bytes, lacking: lacking.into_iter().collect() })
    }

    pub(super) async fn stored_of_all(&self, partition: u32) -> Result<Option<StoredByTenant>, Error> {
        let (watermark, fields) = match self.sums(partition, &[]).await? {
            Sums::Known(watermark, fields) => (watermark, fields),
            Sums::Lost => return Ok(None),
            Sums::Unknown => {
                let reason = format!("partition {partition} is being added up");
                return Err(Error::Unavailable { what: "stored bytes".to_owned(), reason });
            }
        };
        let mut sums = BTreeMap::new();
        for [tenant, bytes] in fields.as_chunks::<2>().0 {
            let tenant = std::str::from_utf8(tenant).ok().and_then(|name| TenantName::parse(name).ok());
            let tenant = tenant.ok_or_else(|| corrupt("stored bytes", "a sum names no tenant"))?;
            sums.insert(tenant, number(bytes)?);
        }
        Ok(Some((watermark, sums)))
    }

    /// The sums of `tenants`, or of all for none, which are added up where they are not known.
    async fn sums(&self, partition: u32, tenants: &[TenantName]) -> Result<Sums, Error> {
        for _ in 0..2 {
            let mut call = self.scripts.stored.on(&self.keys(partition).all());
            for tenant in tenants {
                call.arg(tenant.as_str());
            }
            let answer: Vec<Vec<u8>> = call.run(&self.link).await.map_err(|error| failed("stored bytes", &error))?;
            let Some((watermark, rest)) = split_watermark(&answer)? else { return Ok(Sums::Lost) };
            match rest {
                [known, sums @ ..] if known == b"1" => return Ok(Sums::Known(watermark, sums.to_vec())),
                [_, ..] if self.sum_up_alone(partition).await? => {}
                [_, ..] => return Ok(Sums::Unknown),
                [] => return Err(corrupt("stored bytes", "the script answers with something else")),
            }
        }
        Ok(Sums::Unknown)
    }

    /// Adds a partition up from its chunks, unless another does; returns whether it was tried.
    async fn sum_up_alone(&self, partition: u32) -> Result<bool, Error> {
        let name = format!("sums:{}:{partition}", self.incarnation);
        let holder = format!("{:032x}", rand::random::<u128>());
        if self.acquire(&name, &holder, "", LEASE).await?.holder != holder {
            return Ok(false);
        }
        let done = self.sum_up(partition).await;
        if let Err(error) = self.release(&name, &holder).await {
            tracing::debug!(%error, name, "lease stays until its time to live ends");
        }
        done.map(|()| true)
    }

    async fn sum_up(&self, partition: u32) -> Result<(), Error> {
        let keys = self.keys(partition);
        for _ in 0..DUMP_ATTEMPTS {
            let snapshot = match self.try_dump(partition).await? {
                Dumped::Whole(Some(snapshot)) => snapshot,
                Dumped::Whole(None) => return Ok(()),
                Dumped::Torn => continue,
            };
            let sums = stored_by_tenant(&snapshot.live);
            let aside = format!("{}:{:032x}", keys.sums, rand::random::<u128>());
            stage::put_sums(&self.link, &aside, &sums).await?;
            let mut call = self.scripts.sum_up.on(&[&keys.all()[..], &[&aside]].concat());
            call.arg(snapshot.watermark.seq).arg(snapshot.watermark.next).arg(sums.len());
            let done: u8 = call.run(&self.link).await.map_err(|error| failed("add up", &error))?;
            if done == 1 {
                tracing::info!(partition, tenants = sums.len(), "stored bytes added up: the index had no sums");
                return Ok(());
            }
        }
        Ok(())
    }
}

fn number(text: &[u8]) -> Result<u64, Error> {
    let number = std::str::from_utf8(text).ok().and_then(|text| text.parse().ok());
    number.ok_or_else(|| corrupt("stored bytes", "a sum is no number"))
}
