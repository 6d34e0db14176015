use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use loglake_auth::limits::Turns;
use loglake_model::ReadyFlag;
use loglake_transport::{Entrance, Places, Speaks, Tls, Trust};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::blocks::Blocks;
use crate::cursor::CursorKey;
use crate::disk_cache::DiskCache;
use crate::failing::Failing;
use crate::footers::Footers;
use crate::heads::HeadReader;
use crate::http;
use crate::metrics::Metrics;
use crate::older::Older;
use crate::room::Room;
use crate::shared::Shared;
use crate::surroundings::Surroundings;
use crate::tail_client::TailClient;
use crate::unsent::Unsent;
use crate::{Config, Error, Parts};

/// How often it is tried whether broker and index answer, until they do.
const READY_WAIT: Duration = Duration::from_millis(200);

/// The query role: listens from [`QueryService::bind`] on, answers while [`QueryService::run`] does.
pub struct QueryService {
    pub(crate) shared: Arc<Shared>,
    listener: TcpListener,
    address: SocketAddr,
    tls: Option<Tls>,
    max_connections: usize,
    ready: ReadyFlag,
}

/// Connections at once. For more, the one that has been idle for longest is closed; where none is idle they wait.
const MAX_CONNECTIONS: usize = 1_024;
/// Bodies of questions, of up to a MiB, that are read at a time; short ones always are.
const MAX_LONG_BODIES: usize = 64;

impl std::fmt::Debug for QueryService {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("QueryService").field("address", &self.address).finish_non_exhaustive()
    }
}

impl QueryService {
    /// Binds the port and registers the metrics.
    ///
    /// # Errors
    /// `Invalid` when the address cannot be listened on; `Unavailable` when the store does not answer.
    pub async fn bind(config: Config, parts: Parts) -> Result<Self, Error> {
        let listen = |source| Error::Listen { address: config.listen, source: Arc::new(source) };
        let listener = loglake_transport::listen(config.listen).map_err(listen)?;
        let address = listener.local_addr().map_err(listen)?;
        let ready = parts.ready.clone();
        let shared = Self::shared(config, parts, Surroundings::default()).await?;
        Ok(Self { shared, listener, address, tls: None, max_connections: MAX_CONNECTIONS, ready })
    }

    /// Secures the port's connections; without one they are as they come.
    #[must_use]
    pub fn with_tls(self, tls: Option<Tls>) -> Self {
        Self { tls, ..self }
    }

    /// Believes those processors whose certificate `trust` vouches for, where they are called over TLS. Default: the system's
    /// authorities.
    #[must_use]
    pub fn trusting(self, trust: Trust) -> Self {
        self.shared.tails.trust(trust);
        self
    }

    /// Serves so many connections at once instead of 1,024.
    #[must_use]
    pub fn with_max_connections(self, max_connections: usize) -> Self {
        Self { max_connections, ..self }
    }

    /// What is answered on the port, for a caller with a way of its own to hand requests over: a simulation.
    ///
    /// # Errors
    /// As [`QueryService::bind`].
    pub async fn within(config: Config, parts: Parts, surroundings: Surroundings) -> Result<axum::Router, Error> {
        Ok(http::router(Self::shared(config, parts, surroundings).await?))
    }

    async fn shared(config: Config, parts: Parts, surroundings: Surroundings) -> Result<Arc<Shared>, Error> {
        let Surroundings { dial, is_single_threaded } = surroundings;
        let metrics = Metrics::register(&parts.registry, config.metric_tenants)?;
        let first_partitions =
            loglake_commit::first_partitions(parts.store.as_ref(), &config.cluster, parts.incarnation).await?;
        let topic_id = loglake_commit::topic_of(parts.store.as_ref(), &config.cluster, parts.incarnation).await?;
        let older = Older::all(parts.store.as_ref(), parts.index.as_ref(), &config.cluster, parts.incarnation).await?;
        let disk = disk_cache(&config, &metrics).await?;
        // A simulated history is the same on every machine.
        let cores = if is_single_threaded { 2 } else { std::thread::available_parallelism().map_or(2, usize::from) };
        let shared = Shared {
            heads: HeadReader::new(Arc::clone(&parts.reader), topic_id),
            tails: TailClient::new(parts.internal, Arc::clone(&parts.clock), parts.incarnation, dial),
            failing: Failing::default(),
            footers: Footers::new(config.footer_cache_bytes, disk.clone(), metrics.clone()),
            blocks: Blocks::new(config.cache_memory_bytes, disk, Arc::clone(&parts.store), metrics.clone()),
            limits: parts.limits,
            tenant_turns: Turns::default(),
            unsent: Unsent::default(),
            bodies: Semaphore::new(MAX_LONG_BODIES),
            tenant_bodies: Turns::default(),
            room: Room::new(config.plan_bytes),
            turns: Semaphore::new(config.concurrent.clamp(1, Semaphore::MAX_PERMITS)),
            is_single_threaded,
            cpu: Arc::new(Semaphore::new(cores)),
            tenant_cpu: Turns::default(),
            cores,
            cursors: CursorKey::new(parts.cursor_key),
            first_partitions,
            older,
            reader: parts.reader,
            store: parts.store,
            index: parts.index,
            incarnation: parts.incarnation,
            clock: parts.clock,
            auth: parts.auth,
            readiness: parts.readiness,
            metrics,
            config,
        };
        Ok(Arc::new(shared))
    }

    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.address
    }

    /// Answers until `shutdown`, then lets what runs finish.
    ///
    /// # Errors
    /// None yet.
    pub async fn run(self, shutdown: CancellationToken) -> Result<(), Error> {
        let Self { shared, listener, tls, max_connections, ready, .. } = self;
        let router = http::router(Arc::clone(&shared));
        let places = Places::new(max_connections, shared.metrics.displaced_connections.clone());
        let entrance = Entrance::new(listener, tls.map(|tls| tls.for_clients(Speaks::Http)), places);
        let serving = http::serve(entrance, router, shutdown.clone());
        let becoming = async {
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = parts_answer(&shared) => ready.set(true),
            }
            shutdown.cancelled().await;
            ready.set(false);
        };
        tokio::select! {
            _ = async { tokio::join!(serving, becoming) } => {}
            // It never ends.
            () = shared.unsent.sweep() => {}
        }
        Ok(())
    }
}

/// Waits until the broker and the index answer.
async fn parts_answer(shared: &Shared) {
    loop {
        let answered: Result<(), Error> = async {
            shared.heads.now().await?;
            shared.index.watermark(0).await?;
            Ok(())
        }
        .await;
        match answered {
            Ok(()) => return,
            Err(error) => tracing::warn!(%error, "not ready yet"),
        }
        tokio::time::sleep(READY_WAIT).await;
    }
}

/// The cache on disk, where one is asked for.
async fn disk_cache(config: &Config, metrics: &Metrics) -> Result<Option<Arc<DiskCache>>, Error> {
    let Some(folder) = config.cache_dir.clone() else { return Ok(None) };
    let (bytes, metrics, opened) = (config.cache_disk_bytes, metrics.clone(), folder.clone());
    // There may be many files.
    let cache = tokio::task::spawn_blocking(move || DiskCache::open(&opened, bytes, metrics)).await?;
    let cache = cache.map_err(|source| Error::CacheFolder { folder, source: Arc::new(source) })?;
    Ok(Some(Arc::new(cache)))
}
