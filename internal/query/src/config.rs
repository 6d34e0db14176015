use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use loglake_auth::Authenticator;
use loglake_auth::internal::InternalKey;
use loglake_auth::limits::TenantLimits;
use loglake_broker::Reader;
use loglake_index::ChunkIndex;
use loglake_model::{Clock, Readiness, ReadyFlag};
use loglake_store::ObjectStore;

/// The settings of the query role.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where HTTP is served.
    pub listen: SocketAddr,
    /// The longest a query may take.
    pub timeout: Duration,
    /// The largest page, in bytes of lines. A page that reaches it ends early and has a cursor.
    pub page_bytes: usize,
    /// How many queries run at once; others wait for their turn, within their time.
    pub concurrent: usize,
    /// How much memory large plans may take, in bytes, two at a time; each other query that runs may have a thirty-second of it. Past
    /// it queries wait, or are refused.
    pub plan_bytes: usize,
    /// How many bytes a query reads ahead of what it has merged.
    pub look_ahead_bytes: usize,
    /// How many bytes of chunk footers stay in memory.
    pub footer_cache_bytes: usize,
    /// How many bytes of stored blocks stay in memory; 0 for none.
    pub cache_memory_bytes: usize,
    /// A folder on a local disk where blocks and footers are kept that were read of objects, over restarts too; none to keep none.
    /// No other process may use it.
    pub cache_dir: Option<PathBuf>,
    /// How many bytes that folder may take, whole blocks of the disk counted.
    pub cache_disk_bytes: u64,
    /// How many tenants have a label of their own in the metrics; all others share one.
    pub metric_tenants: usize,
    /// The name of the cluster, as the chains in the bucket carry it.
    pub cluster: String,
}

/// The live parts that the query role works with.
pub struct Parts {
    /// Offsets and messages of the broker.
    pub reader: Arc<dyn Reader>,
    /// Where the chunks are.
    pub store: Arc<dyn ObjectStore>,
    /// The index of this incarnation, with the leases of the tails.
    pub index: Arc<dyn ChunkIndex>,
    /// Which life of the topic this is.
    pub incarnation: u32,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Knows the credentials.
    pub auth: Arc<Authenticator>,
    /// How much each tenant may ask for.
    pub limits: TenantLimits,
    /// Signs the calls to the processors' tails.
    pub internal: InternalKey,
    /// Signs cursors.
    pub cursor_key: [u8; 32],
    /// Takes the metrics.
    pub registry: prometheus::Registry,
    /// The roles of this process, for `/ready`.
    pub readiness: Readiness,
    /// This role's part of it.
    pub ready: ReadyFlag,
}

impl std::fmt::Debug for Parts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Parts").field("incarnation", &self.incarnation).finish_non_exhaustive()
    }
}
