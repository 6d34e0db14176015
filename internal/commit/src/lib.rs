//! The commit protocol: one chain of entries a partition, from the broker's offsets to live chunks.
//!
//! Data first (the chunks), then one conditional create (the [`Entry`]), then a derived index. The bucket is the truth.
//! Every change of a partition's live set is an entry; an entry is created, never replaced; whoever creates the next number
//! first has won, and everyone else starts again from the tail. See `docs/commit-protocol.md` for the whole rule.
//!
//! ```text
//! commits/<cluster>/incarnations/<k>.json                          the k-th life of the topic
//! commits/<cluster>/<k>/<partition, 5 digits>/<seq, 20 digits>.json   entry seq of the partition's chain, from 1
//! commits/<cluster>/<k>/<partition, 5 digits>/checkpoint-<seq>.json   the chain folded up to seq
//! quarantine/<cluster>/<k>/<partition, 5 digits>/<seq>-<nonce>.ndjson.gz   messages that could not be read
//! ```
//!
//! Start with [`Chain`]; [`catch_up`] keeps the index up with it.

mod chain;
mod entry;
mod error;
mod follow;
mod incarnation;
mod keys;
mod state;

pub use chain::{Chain, Claim};
pub use entry::{ENTRY_VERSION, Entry, Gap, MAX_ENTRY_BYTES, QuarantineRef, TARGET_ENTRY_BYTES};
pub use error::Error;
pub use follow::{apply, catch_up};
pub use incarnation::{first_partitions, incarnation};
pub use keys::{chunk_key, quarantine_key};
pub use state::{ChainState, Tail};
