//! Query services and the owners of the tail die or lie.

pub(super) mod killed;
pub(super) mod owner_dead;
pub(super) mod owner_stale;
