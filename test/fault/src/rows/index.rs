//! Redis is emptied, goes back in time, stalls, is cut off, is full.

pub(super) mod cut;
pub(super) mod flushall;
pub(super) mod full;
pub(super) mod rolled_back;
pub(super) mod stalled;
