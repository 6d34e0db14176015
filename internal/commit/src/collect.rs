use std::hash::{BuildHasher as _, Hasher as _};

use crate::{ChainState, Origin};

/// How far above the number in its key a chunk may be claimed. Past it nobody claims it any more, so an object that no chain
/// names may be deleted.
pub const TARGET_SLACK: u64 = 1_000;

/// What a chain names at a moment, small enough to keep one of every partition: eight bytes an object.
///
/// Objects are kept as hashes. Two keys with the same one make a left-over look named, never a named object a left-over.
#[derive(Clone, Debug)]
pub struct Named {
    tail_seq: u64,
    hashes: Vec<u64>,
    hasher: std::hash::RandomState,
}

impl Named {
    /// What `state` names: live chunks, removed chunks that readers may still need, quarantine objects.
    #[must_use]
    pub fn of(state: &ChainState) -> Self {
        let hasher = std::hash::RandomState::new();
        let keys =
            state.live.keys().chain(state.removed.keys()).chain(state.quarantine.iter().map(|object| &object.key));
        let mut hashes: Vec<u64> = keys.map(|key| hash(&hasher, key)).collect();
        hashes.sort_unstable();
        Self { tail_seq: state.tail.seq, hashes, hasher }
    }

    /// Whether the object at `key`, whose key says `origin`, is one that nobody names and nobody ever will.
    ///
    /// It never will be: it may be claimed only up to [`TARGET_SLACK`] past its target, and all those numbers are taken.
    /// Age tells nothing: a slow commit may be hours behind its PUT.
    #[must_use]
    pub fn is_left_over(&self, key: &str, origin: Origin) -> bool {
        self.tail_seq > origin.target.saturating_add(TARGET_SLACK)
            && self.hashes.binary_search(&hash(&self.hasher, key)).is_err()
    }
}

fn hash(hasher: &std::hash::RandomState, key: &str) -> u64 {
    let mut state = hasher.build_hasher();
    state.write(key.as_bytes());
    state.finish()
}
