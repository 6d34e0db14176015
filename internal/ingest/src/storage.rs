//! Asks how much is stored of the tenants that send and have a limit of it. While nobody answers, what was told last holds for some
//! minutes; then nobody is refused for what is stored.

use std::time::Duration;

use loglake_auth::limits::{AtRest, StoredBytes};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::shared::Shared;

/// How often it is looked who is to be asked about.
const LOOK: Duration = Duration::from_secs(1);
/// The pause after a question that was not answered.
const PAUSE: Duration = Duration::from_secs(2);
/// How long an answer may take: an index that kept no sums adds them up first.
const TIMEOUT: Duration = Duration::from_secs(60);
/// After so long without an answer the limit is not enforced; as long as an answer holds.
const GOOD_NS: i64 = 300_000_000_000;

/// Asks until `shutdown`.
pub(crate) async fn run(shared: &Shared, source: &dyn StoredBytes, shutdown: &CancellationToken) {
    let (mut is_answered, mut answered_ns, mut pause) = (true, shared.clock.now_ns(), LOOK);
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(pause) => pause = LOOK,
        }
        let now_ns = shared.clock.now_ns();
        let tenants = shared.quotas.unknown_storage(now_ns);
        if tenants.is_empty() {
            // All that need be known is.
            answered_ns = if is_answered { now_ns } else { answered_ns };
        } else {
            let answer = tokio::select! {
                () = shutdown.cancelled() => return,
                answer = tokio::time::timeout(TIMEOUT, source.of(&tenants)) => answer,
            };
            let answer = answer.map_err(|_| format!("no answer within {TIMEOUT:?}"));
            let lacks = match answer.and_then(|answer| answer.map_err(|why| why.0)) {
                Ok(AtRest { bytes, lacks }) => {
                    shared.quotas.stored(&tenants, &bytes, lacks.is_none(), now_ns);
                    for (tenant, bytes) in tenants.iter().zip(&bytes) {
                        shared.metrics.stored(tenant, *bytes);
                    }
                    lacks
                }
                Err(error) => Some(error),
            };
            match lacks {
                None => {
                    answered_ns = now_ns;
                    if !std::mem::replace(&mut is_answered, true) {
                        info!("stored bytes of tenants are known again");
                    }
                }
                Some(error) => {
                    pause = PAUSE;
                    shared.metrics.storage_failures.inc();
                    if std::mem::replace(&mut is_answered, false) {
                        warn!(error, "stored bytes of tenants not known; in five minutes their limit holds no more");
                    }
                }
            }
        }
        let is_enforced = now_ns.saturating_sub(answered_ns) < GOOD_NS;
        shared.metrics.storage_enforced.set(i64::from(is_enforced));
    }
}
