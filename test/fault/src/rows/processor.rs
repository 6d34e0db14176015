//! Processors: dead at any step, come back from the dead, moved about, cut off.

pub(super) mod cut_kafka;
pub(super) mod cut_store;
pub(super) mod steps;
pub(super) mod storm;
pub(super) mod zombie;
