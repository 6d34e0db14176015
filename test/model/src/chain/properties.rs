//! What must hold in every state.

use stateright::Property;

use super::Chain;
use super::config::Config;
use super::set::{Ids, Offset, Offsets};
use super::state::{Fault, State};
use super::view::View;

/// Every entry follows its predecessor, removes only what is live, and a rewriting one balances.
pub const WELL_FORMED: &str = "the chain is well-formed";
/// Each offset below the tail is in one live chunk, or given up, or deleted.
pub const EXACTLY_ONCE: &str = "the chain has every record exactly once";
/// A chunk that the chain names is in the store.
pub const NO_DANGLING: &str = "no live chunk is deleted";
/// The same for a reader that takes the index and the tail from its T.
pub const INDEX_EXACT: &str = "the index has every record below T exactly once, or names it as given up";
/// A chunk that the index names is in the store: else every reader plans again in vain.
pub const INDEX_NO_DANGLING: &str = "the index names no deleted chunk";
/// Once a deletion was acknowledged, nobody sees the record.
pub const DELETED_STAYS: &str = "a deleted record never comes back";
/// A writer that goes on as a winner is in the chain.
pub const WINNER_COUNTS: &str = "who believes to have won is in the chain";
/// An answer that is told complete has every acknowledged record once.
pub const COMPLETE: &str = "a complete answer has every acknowledged record exactly once";
/// Nothing is given up that the log still has.
pub const GAP_IS_GONE: &str = "only what the log no longer has is given up";
/// From every state, everything can still be committed and applied.
pub const PROGRESS: &str = "everything can still be committed and applied";

pub(super) fn properties() -> Vec<Property<Chain>> {
    vec![
        Property::always(WELL_FORMED, |_, state: &State| views(state).all(|view| view.is_ok())),
        Property::always(EXACTLY_ONCE, |_, state: &State| {
            let tail = state.tail();
            is_exact(state, tail.live, tail.next, tail.gaps, tail.deleted)
        }),
        Property::always(NO_DANGLING, |_, state: &State| state.stored().covers(state.tail().live)),
        Property::always(INDEX_EXACT, |_, state: &State| {
            state.index.is_none_or(|index| is_exact(state, index.live, index.next, index.gaps, index.deleted))
        }),
        Property::always(INDEX_NO_DANGLING, |_, state: &State| {
            state.index.is_none_or(|index| state.stored().covers(index.live))
        }),
        Property::always(DELETED_STAYS, |_, state: &State| {
            let shows = |live: Ids| live.iter().any(|id| state.content(id).has(0));
            let is_back = shows(state.tail().live) || state.index.is_some_and(|index| shows(index.live));
            !(state.is_deletion_told && is_back) && state.fault != Some(Fault::DeletedAnswered)
        }),
        Property::always(WINNER_COUNTS, |_, state: &State| state.fault != Some(Fault::WonOutsideChain)),
        Property::always(COMPLETE, |_, state: &State| state.fault != Some(Fault::WrongAnswer)),
        Property::always(GAP_IS_GONE, |_, state: &State| {
            let gone = Offsets::range(0, state.log.start);
            state.tail().gaps.without(gone).is_empty()
        }),
    ]
}

fn views(state: &State) -> impl Iterator<Item = Result<View, &'static str>> {
    state.checkpoint.walk(&state.entries, &state.chunks)
}

/// Whether the chunks `live`, disjoint, with what was given up and deleted are just the offsets below `next`.
fn is_exact(state: &State, live: Ids, next: Offset, gaps: Offsets, deleted: Offsets) -> bool {
    let mut all = gaps;
    for id in live.iter() {
        if all.meets(state.content(id)) {
            return false;
        }
        all = all.and(state.content(id));
    }
    !all.meets(deleted) && all.and(deleted) == Offsets::range(0, next)
}

/// Everything is committed (or the model's chain is full), and the index shows it.
pub(super) fn is_goal(config: &Config, state: &State) -> bool {
    let tail = state.tail();
    (tail.next == config.records || tail.seq >= config.seqs)
        && state.index.is_some_and(|index| index.watermark == tail.seq)
}
