use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use loglake_api::internal::v1::admin_service_server::AdminServiceServer;
use loglake_api::internal::v1::tail_service_server::TailServiceServer;
use loglake_auth::internal::InternalKey;
use loglake_broker::{Assignment, Consumer, Reader, Trim};
use loglake_index::ChunkIndex;
use loglake_model::{Clock, ReadyFlag};
use loglake_store::ObjectStore;
use loglake_transport::{Entrance, Places, Speaks, Tls};
use parking_lot::RwLock;
use tokio::sync::watch;
use tokio_stream::wrappers::UnboundedReceiverStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use tonic::service::Routes;

use crate::admin_service::Admin;
use crate::budget::Budget;
use crate::collect::Collector;
use crate::metrics::Metrics;
use crate::older::Older;
use crate::shared::Shared;
use crate::supervisor;
use crate::surroundings::{Incoming, Surroundings};
use crate::tail_service::Tails;
use crate::workshop::Workshop;
use crate::{Config, Error, tail_server};

/// How long to wait before asking a broker that failed for the assignment again.
const ASSIGNMENT_WAIT: Duration = Duration::from_secs(1);
/// Connections at once: a few of each query service.
const MAX_CONNECTIONS: usize = 1_024;
const DAY: Duration = Duration::from_secs(86_400);
const MINUTE: Duration = Duration::from_secs(60);

/// The live parts that the processor works with.
pub struct Parts {
    /// The group's member.
    pub consumer: Arc<dyn Consumer>,
    /// Offsets of the broker.
    pub reader: Arc<dyn Reader>,
    /// Gives space back where the broker is the embedded log.
    pub trim: Option<Arc<dyn Trim>>,
    /// Where chunks and chains go.
    pub store: Arc<dyn ObjectStore>,
    /// The index of this incarnation.
    pub index: Arc<dyn ChunkIndex>,
    /// Which life of the topic this is.
    pub incarnation: u32,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Checks the calls of the query service.
    pub internal: InternalKey,
    /// Takes the metrics.
    pub registry: prometheus::Registry,
    /// Told when all assigned partitions are served.
    pub ready: ReadyFlag,
}

/// The processor role: its tail service listens, its workers run with [`Processor::run`].
pub struct Processor {
    shared: Arc<Shared>,
    incoming: Incoming,
    key: InternalKey,
    tls: Option<Tls>,
    ready: ReadyFlag,
}

impl std::fmt::Debug for Processor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Processor").field("tail", &self.shared.config.tail_listen).finish_non_exhaustive()
    }
}

/// A running worker.
struct Running {
    revoked: CancellationToken,
    started: watch::Receiver<bool>,
    /// Ends with the role: what is dropped does not go on behind its back.
    task: AbortOnDropHandle<()>,
}

impl Processor {
    /// Binds the tail service and registers the metrics.
    ///
    /// # Errors
    /// `Invalid` when the address is taken or a setting cannot be used; `Unavailable` when the broker is.
    pub async fn bind(mut config: Config, parts: Parts) -> Result<Self, Error> {
        let listen = |source| Error::Listen { address: config.tail_listen, source };
        let listener = loglake_transport::listen(config.tail_listen).map_err(listen)?;
        config.tail_listen = listener.local_addr().map_err(listen)?;
        Self::within(config, parts, Surroundings::of_machine(listener)).await
    }

    /// Makes a processor whose tail service is reached as `surroundings` say. See [`Processor::bind`].
    ///
    /// # Errors
    /// `Invalid` when a setting cannot be used; `Unavailable` when the broker is.
    pub async fn within(config: Config, parts: Parts, surroundings: Surroundings) -> Result<Self, Error> {
        let is_divisor = !config.window.is_zero()
            && config.window.as_nanos().is_multiple_of(MINUTE.as_nanos())
            && DAY.as_nanos().is_multiple_of(config.window.as_nanos());
        if !is_divisor {
            return Err(Error::Config(format!(
                "processor.window is {:?}; it must be a whole number of minutes that divides a day, such as 1h",
                config.window
            )));
        }
        let advertise = config.tail_advertise.clone().unwrap_or_else(|| format!("http://{}", config.tail_listen));
        // The topic may have been made anew since the incarnation was found out: both come from what the bucket says of it.
        let known = loglake_commit::topic_of(parts.store.as_ref(), &config.cluster, parts.incarnation).await?;
        let topic_id = match known {
            Some(topic_id) => topic_id,
            None => parts.reader.topic().await?.id,
        };
        let older = Older::all(parts.store.as_ref(), parts.index.as_ref(), &config.cluster, parts.incarnation).await?;
        let Surroundings { incoming, nonce, is_single_threaded } = surroundings;
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        let shared = Shared {
            budget: Budget::new(config.memory_bytes),
            consumer: parts.consumer,
            reader: parts.reader,
            trim: parts.trim,
            store: parts.store,
            index: parts.index,
            incarnation: parts.incarnation,
            older,
            topic_id,
            clock: parts.clock,
            metrics: Metrics::register(&parts.registry, config.metric_tenants)?,
            workshop: if is_single_threaded { Workshop::in_line() } else { Workshop::new(cores)? },
            tails: RwLock::default(),
            holder: format!("processor {advertise} {}", nonce()),
            advertise,
            nonce,
            is_single_threaded,
            config,
        };
        Ok(Self { shared: Arc::new(shared), incoming, key: parts.internal, tls: None, ready: parts.ready })
    }

    /// Secures the connections to the tail service; without one they are as they come. `tail_advertise` says which it is.
    #[must_use]
    pub fn with_tls(self, tls: Option<Tls>) -> Self {
        Self { tls, ..self }
    }

    /// Where the tail service listens.
    #[must_use]
    pub fn tail_addr(&self) -> SocketAddr {
        self.shared.config.tail_listen
    }

    /// Consumes and serves until `shutdown`, then flushes everything and leaves the group.
    ///
    /// Dropping it is like a crash: it does nothing more, to nobody.
    ///
    /// # Errors
    /// When the tail service ends by itself.
    pub async fn run(self, shutdown: CancellationToken) -> Result<(), Error> {
        let Self { shared, incoming, key, tls, ready } = self;
        // The tail is served to the very end: queries go on while the last flush runs.
        let stop_serving = CancellationToken::new();
        let stopping = stop_serving.clone();
        let admin = AdminServiceServer::new(Admin { shared: Arc::clone(&shared), key: key.clone() });
        let service = TailServiceServer::new(Tails { shared: Arc::clone(&shared), key });
        let routes = Routes::new(service).add_service(admin);
        let server = match incoming {
            Incoming::Tcp(listener) => {
                let places = Places::new(MAX_CONNECTIONS, shared.metrics.displaced_connections.clone());
                let tls = tls.map(|tls| tls.for_machines(Speaks::Http2));
                let serving = tail_server::serve(Entrance::new(listener, tls, places), routes, stopping);
                tokio::spawn(async move {
                    serving.await;
                    Ok(())
                })
            }
            Incoming::Memory(connections) => {
                let connections = UnboundedReceiverStream::new(connections).map(Ok::<_, std::io::Error>);
                let server = tonic::transport::Server::builder().add_routes(routes);
                let stopping = async move { stopping.cancelled().await };
                tokio::spawn(server.serve_with_incoming_shutdown(connections, stopping))
            }
        };
        let mut server = AbortOnDropHandle::new(server);
        // Ends with the role: what it leaves the next one finds.
        let _collector = AbortOnDropHandle::new(tokio::spawn(Collector::new(Arc::clone(&shared)).run()));
        let served = tokio::select! {
            biased;
            () = consume(&shared, &ready, &shutdown) => None,
            served = &mut server => Some(served),
        };
        ready.set(false);
        match served {
            Some(served) => Ok(served??),
            None => {
                shared.consumer.leave().await;
                stop_serving.cancel();
                // A caller that does not hang up must not hold up the end.
                match tokio::time::timeout(Duration::from_secs(2), &mut server).await {
                    Ok(served) => Ok(served??),
                    Err(_) => {
                        server.abort();
                        Ok(())
                    }
                }
            }
        }
    }
}

/// Follows the assignment with a worker a partition, until shutdown; then waits for the workers' last flushes.
async fn consume(shared: &Arc<Shared>, ready: &ReadyFlag, shutdown: &CancellationToken) {
    let mut workers = BTreeMap::<u32, Running>::new();
    let mut is_assigned = false;
    loop {
        let started: Vec<bool> = workers.values().map(|worker| *worker.started.borrow()).collect();
        ready.set(is_assigned && !started.contains(&false));
        let assignment = tokio::select! {
            biased;
            () = shutdown.cancelled() => break,
            assignment = shared.consumer.next_assignment() => assignment,
            () = one_changes(&workers, &started) => continue,
        };
        match assignment {
            Ok(Assignment::Assigned(partitions)) => {
                is_assigned = true;
                for partition in partitions {
                    stop(workers.remove(&partition)).await;
                    workers.insert(partition, start(shared, partition, shutdown));
                }
            }
            Ok(Assignment::Revoked(partitions)) => revoke(shared, &mut workers, &partitions).await,
            Err(error) => {
                tracing::warn!(%error, "assignment not known, asking again");
                tokio::select! {
                    biased;
                    () = shutdown.cancelled() => break,
                    () = tokio::time::sleep(ASSIGNMENT_WAIT) => {}
                }
            }
        }
        shared.metrics.partitions.set(workers.len() as i64);
    }
    // Partitions may still be taken away while the last flushes run.
    while let Some((&partition, worker)) = workers.iter_mut().next() {
        let task = &mut worker.task;
        tokio::select! {
            biased;
            ended = task => {
                if let Err(error) = ended {
                    tracing::error!(partition, %error, "worker ended abnormally");
                }
                workers.remove(&partition);
            }
            assignment = shared.consumer.next_assignment() => match assignment {
                Ok(Assignment::Revoked(partitions)) => revoke(shared, &mut workers, &partitions).await,
                Ok(Assignment::Assigned(_)) => {}
                Err(_) => tokio::time::sleep(ASSIGNMENT_WAIT).await,
            },
        }
    }
}

fn start(shared: &Arc<Shared>, partition: u32, shutdown: &CancellationToken) -> Running {
    let revoked = CancellationToken::new();
    let (started, is_started) = watch::channel(false);
    let worker = supervisor::run(Arc::clone(shared), partition, revoked.clone(), shutdown.clone(), started);
    Running { revoked, started: is_started, task: AbortOnDropHandle::new(tokio::spawn(worker)) }
}

/// Gives partitions up: from the first moment none of them is served or committed any more, whatever ending their workers takes.
async fn revoke(shared: &Shared, workers: &mut BTreeMap<u32, Running>, partitions: &[u32]) {
    let stopping: Vec<_> = partitions.iter().filter_map(|partition| workers.remove(partition)).collect();
    for worker in &stopping {
        worker.revoked.cancel();
    }
    shared.tails.write().retain(|partition, _| !partitions.contains(partition));
    tracing::info!(?partitions, "partitions revoked");
    futures_util::future::join_all(stopping.into_iter().map(|worker| stop(Some(worker)))).await;
}

/// Stops a worker at once: it neither serves nor commits from here on.
async fn stop(worker: Option<Running>) {
    let Some(worker) = worker else { return };
    worker.revoked.cancel();
    if let Err(error) = worker.task.await {
        tracing::error!(%error, "worker ended abnormally");
    }
}

/// Waits until a partition begins to be served that was not, or is no longer served that was.
async fn one_changes(workers: &BTreeMap<u32, Running>, before: &[bool]) {
    if workers.is_empty() {
        return std::future::pending().await;
    }
    let waiting = workers.values().zip(before.iter().copied()).map(|(worker, before)| {
        let mut started = worker.started.clone();
        Box::pin(async move {
            if started.wait_for(|started| *started != before).await.is_err() {
                // A worker that ended has no sender any more; it is not waited for.
                std::future::pending::<()>().await;
            }
        })
    });
    futures_util::future::select_all(waiting).await;
}
