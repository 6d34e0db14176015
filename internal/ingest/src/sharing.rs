//! Tells the other ingestors what was taken of the tenants' rates here, and hears what they took: an estimate, a second old. While
//! nobody answers this ingestor goes by what it takes itself, as if it were alone.

use std::time::Duration;

use loglake_auth::limits::Counters;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::shared::Shared;

/// How often they are told.
const INTERVAL: Duration = Duration::from_secs(1);
/// How long an answer may take. It is of no use later.
const TIMEOUT: Duration = Duration::from_millis(800);

/// Shares until `shutdown`.
pub(crate) async fn run(shared: &Shared, counters: &dyn Counters, shutdown: &CancellationToken) {
    let mut is_shared = false;
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(INTERVAL) => {}
        }
        let told = shared.quotas.untold(shared.clock.now_ns());
        let answer = tokio::time::timeout(TIMEOUT, counters.add(&told)).await;
        match answer.map_err(|_| format!("no answer within {TIMEOUT:?}")).and_then(|sums| sums.map_err(|why| why.0)) {
            Ok(sums) => {
                shared.quotas.told(&told, &sums, shared.clock.now_ns());
                if !std::mem::replace(&mut is_shared, true) {
                    info!("limits of tenants shared with the other ingestors");
                }
            }
            Err(error) => {
                shared.quotas.alone();
                shared.metrics.sharing_failures.inc();
                if std::mem::replace(&mut is_shared, false) {
                    warn!(error, "limits of tenants not shared; each ingestor goes by itself");
                }
            }
        }
        shared.metrics.limits_shared.set(i64::from(is_shared));
    }
}
