//! Whether fresh writes can be read: the end of every fault.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use rand::prelude::*;
use serde_json::json;

use crate::ledger::Ledger;
use crate::read::{Reader, Said};
use crate::site::Site;

/// How long healing may take.
pub const HEALED: Duration = Duration::from_secs(30);

/// Writes for each tenant and reads it back, with a complete answer, within [`HEALED`] from now. Returns how long it took.
///
/// # Errors
/// When it takes longer.
pub async fn fresh(ledger: &Arc<Ledger>, site: &Site) -> Result<Duration> {
    let began = Instant::now();
    let reader = Reader::new(site);
    for tenant in 0..ledger.tenants().len() {
        let mut last = String::new();
        'tenant: loop {
            if began.elapsed() > HEALED {
                bail!("fresh writes of {} cannot be read {HEALED:?} after healing: {last}", ledger.tenants()[tenant]);
            }
            let Some(number) = crate::writer::one(ledger, site, tenant).await else {
                last = "no write was acknowledged".to_owned();
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            };
            let needle = format!("number {number} writer ");
            let query = json!({"contains": needle, "limit": 10});
            while began.elapsed() <= HEALED {
                let at = rand::rng().random_range(0..64);
                match reader.page(at, &ledger.tenants()[tenant], &query).await {
                    Said::Page { items, is_complete: true, .. } if items.len() == 1 => break 'tenant,
                    Said::Page { items, is_complete: true, .. } => {
                        bail!("record {number} was acknowledged, and a complete answer has {} of it", items.len())
                    }
                    other => last = format!("{other:?}").chars().take(400).collect(),
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
    Ok(began.elapsed())
}
