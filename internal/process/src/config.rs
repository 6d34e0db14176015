use std::net::SocketAddr;
use std::time::Duration;

/// The processor's settings. Defaults and meanings stand in `docs/configuration.md`.
#[derive(Clone, Debug)]
pub struct Config {
    /// Names the chains in the bucket.
    pub cluster: String,
    /// Where the tail service listens.
    pub tail_listen: SocketAddr,
    /// The address that queries reach the tail service at, `http://host:port`; `None` for the one it listens on.
    pub tail_advertise: Option<String>,
    /// Lines of a partition, in bytes, after which it is flushed.
    pub flush_bytes: u64,
    /// The most that a record waits for its flush; also the most that a takeover replays.
    pub flush_interval: Duration,
    /// All messages held in memory, flushed or not, and the chunks that are made of them, in bytes. Past three quarters of it
    /// flushed messages are forgotten early; where half of it waits to be flushed, the partitions with the most of it are;
    /// past all of it consuming pauses.
    pub memory_bytes: u64,
    /// Chunks that a flush of one partition may be of; past it the partition is flushed.
    pub max_open_chunks: usize,
    /// The window of event time that a chunk holds: a whole number of minutes that divides a day.
    pub window: Duration,
    /// Target of a block's lines, in bytes.
    pub block_bytes: usize,
    /// How long flushed messages stay in memory for queries that read the index before.
    pub tail_hold: Duration,
    /// A chain is folded when so many entries stand after its newest checkpoint, 1..=500.
    pub fold_entries: u64,
    /// How long entries that are folded away stay: longer than the longest commit.
    pub fold_grace: Duration,
    /// How often objects that nobody names are looked for.
    pub collect_interval: Duration,
    /// How long a removed chunk stays from when the index was seen without it: longer than the longest query.
    pub removed_grace: Duration,
    /// What becomes of a partition when the broker deleted records before they were flushed.
    pub on_lost_records: LostRecords,
    /// How long the broker's log may end before the chain, as a new leader's may for a moment, until the partition halts.
    pub truncation_grace: Duration,
    /// How many tenants have a label of their own in the metrics; all others share one.
    pub metric_tenants: usize,
}

/// What becomes of a partition when the broker deleted records before they were flushed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LostRecords {
    /// It halts until somebody decides.
    Halt,
    /// It writes down what is lost, which every answer names from then on, and goes on after it.
    Gap,
}
