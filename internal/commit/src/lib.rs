//! The commit protocol: one chain of entries a partition, from the broker's offsets to live chunks.
//!
//! Data first (the chunks), then one conditional create (the [`Entry`]), then a derived index. The bucket is the truth.
//! Every change of a partition's live set is an entry; an entry is created, never replaced; whoever creates the next number
//! first has won, and everyone else starts again from the tail. See `docs/commit-protocol.md` for the whole rule.
//!
//! ```text
//! commits/<cluster>/incarnations/<k>.json                          the k-th life of the topic
//! commits/<cluster>/<k>/<partition, 5 digits>/<seq, 20 digits>.json   entry seq of the partition's chain, from 1
//! commits/<cluster>/<k>/<partition, 5 digits>/checkpoint-<seq, 20 digits>.json   the chain folded up to seq
//! commits/<cluster>/<k>/<partition, 5 digits>/segment-<day>-<seq>-<nonce>.json.gz   live chunks of one day of it
//! quarantine/<cluster>/<k>/<partition, 5 digits>/<seq>-<nonce>.ndjson.gz   messages that could not be read
//! ```
//!
//! Start with [`Chain`]; [`catch_up`] keeps the index up with it. Folding is in `fold.rs`, cleaning in `sweep.rs` and
//! `collect.rs`.

mod chain;
mod checkpoint;
mod collect;
mod entry;
mod error;
mod fold;
mod follow;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod incarnation;
mod keys;
mod sealed;
mod segment;
mod state;
mod survey;
mod sweep;
mod version;

pub use chain::{Chain, Claim};
pub use checkpoint::{CHECKPOINT_VERSION, Checkpoint, MAX_CHECKPOINT_BYTES, Quarantined, Removed};
pub use collect::{Named, TARGET_SLACK};
pub use entry::{ENTRY_VERSION, Entry, MAX_ENTRY_BYTES, QuarantineRef, TARGET_ENTRY_BYTES};
pub use error::Error;
pub use fold::{FOLD_SLACK, Fold, Folded};
pub use follow::{apply, catch_up};
pub use incarnation::{
    Life, OlderIncarnation, first_partitions, incarnation, lives, older_incarnations, other_cluster, topic_of,
};
pub use keys::{Origin, chunk_key, chunk_origin, quarantine_key, quarantine_origin, quarantine_prefix};
pub use loglake_index::Gap;
pub use segment::{MAX_SEGMENT_BYTES, MAX_SEGMENT_CHUNKS, MAX_SEGMENT_JSON_BYTES, SEGMENT_VERSION, SegmentRef};
pub use state::{ChainState, Tail};
pub use survey::{Survey, chains};
pub use sweep::Swept;
