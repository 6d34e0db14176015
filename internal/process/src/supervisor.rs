//! Keeps a worker running for as long as its partition is assigned.

use std::sync::Arc;
use std::time::Duration;

use loglake_commit::Chain;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::shared::Shared;
use crate::worker::Worker;

/// How long after a worker's panic the next one begins: a message that makes each of them panic must not keep a core busy.
const WAIT: Duration = Duration::from_secs(2);

/// Runs workers of `partition`, one after another, until it is `revoked` or the process is to end. A worker that panics has lost
/// nothing but what it held in memory: the next one starts from the chain's tail, as another process would.
pub(crate) async fn run(
    shared: Arc<Shared>,
    partition: u32,
    revoked: CancellationToken,
    shutdown: CancellationToken,
    started: watch::Sender<bool>,
) {
    let started = Arc::new(started);
    loop {
        let chain = Chain::new(Arc::clone(&shared.store), &shared.config.cluster, shared.incarnation, partition);
        let worker = Worker {
            shared: Arc::clone(&shared),
            chain,
            revoked: revoked.clone(),
            shutdown: shutdown.clone(),
            started: Arc::clone(&started),
        };
        let ended = AbortOnDropHandle::new(tokio::spawn(worker.run())).await;
        let Err(error) = ended else { return };
        if error.is_cancelled() {
            // The runtime ends.
            return;
        }
        started.send_replace(false);
        shared.metrics.worker_restarts.inc();
        tracing::error!(partition, %error, "worker ended abnormally, starting another one from the chain's tail");
        tokio::select! {
            biased;
            () = revoked.cancelled() => return,
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(WAIT) => {}
        }
    }
}
