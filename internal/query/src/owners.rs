//! Finds the owners of partitions and asks each of them once for all of its own.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use loglake_api::internal::v1::Want;
use tokio::time::Instant;

use crate::shared::Shared;
use crate::tail_ask::{TailAsk, TailPart};

/// The longest an owner may take: it waits up to a second for a position, then looks through what it holds. It never gets more than
/// a quarter of the query's time, so that the broker can be read instead.
const MAX_WAIT: Duration = Duration::from_secs(3);
/// How often the leases are looked up.
const ROUNDS: u32 = 2;

/// What became of a partition.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Somebody holds all that is wanted; this is what it has of it.
    Covered(TailPart),
    /// Its owner holds less than the index left over: the index has moved on and is to be read again.
    Stale,
    /// Nobody answers for it.
    None,
}

/// Asks for `wants` (each partition once). Ownership is only a hint: what an answer covers decides. A partition without a good
/// answer is looked up again, and another holder asked, if there is one by then.
pub(crate) async fn ask(
    shared: &Arc<Shared>,
    ask: &TailAsk,
    wants: Vec<Want>,
    deadline: Instant,
) -> BTreeMap<u32, Verdict> {
    let mut verdicts: BTreeMap<u32, Verdict> = wants.iter().map(|want| (want.partition, Verdict::None)).collect();
    let mut tried: HashMap<u32, String> = HashMap::new();
    let mut left = wants;
    for _ in 0..ROUNDS {
        let mut by_owner = BTreeMap::<String, Vec<Want>>::new();
        for (want, address) in left.iter().zip(addresses(shared, &left).await) {
            let Some(address) = address else { continue };
            if tried.get(&want.partition) != Some(&address) {
                tried.insert(want.partition, address.clone());
                by_owner.entry(address).or_default().push(*want);
            }
        }
        by_owner.retain(|address, _| {
            let may_ask = shared.failing.may_ask(address);
            if !may_ask {
                shared.metrics.owners.with_label_values(&["passed_over"]).inc();
            }
            may_ask
        });
        if by_owner.is_empty() {
            break;
        }
        let within = MAX_WAIT.min(deadline.saturating_duration_since(Instant::now()) / 4);
        let calls = by_owner.into_iter().map(|(address, wants)| async move {
            let answer = shared.tails.ask(&address, ask, &wants, within).await;
            (address, wants, answer)
        });
        for (address, wants, answer) in join_all(calls).await {
            let answer = match answer {
                Ok(answer) => {
                    shared.failing.answered(&address);
                    shared.metrics.owners.with_label_values(&["answered"]).inc();
                    answer
                }
                Err(error) => {
                    shared.failing.failed(&address);
                    shared.metrics.owners.with_label_values(&["failed"]).inc();
                    tracing::warn!(%address, partitions = wants.len(), %error, "tail not read");
                    continue;
                }
            };
            for (want, (coverage, part)) in wants.iter().zip(answer) {
                let verdict = if !coverage.held {
                    Verdict::None
                } else if coverage.floor > want.from {
                    Verdict::Stale
                } else if coverage.position < want.until {
                    Verdict::None
                } else {
                    Verdict::Covered(part)
                };
                verdicts.insert(want.partition, verdict);
            }
        }
        left.retain(|want| verdicts.get(&want.partition) == Some(&Verdict::None));
        if left.is_empty() {
            break;
        }
    }
    verdicts
}

/// The address of each partition's owner, as the leases tell.
async fn addresses(shared: &Shared, wants: &[Want]) -> Vec<Option<String>> {
    let names: Vec<String> =
        wants.iter().map(|want| format!("owner:{}:{}", shared.incarnation, want.partition)).collect();
    match shared.index.leases(&names).await {
        Ok(leases) => leases.into_iter().map(|lease| lease.map(|lease| lease.value)).collect(),
        Err(error) => {
            tracing::warn!(%error, "leases not read");
            vec![None; wants.len()]
        }
    }
}
