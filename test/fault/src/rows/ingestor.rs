//! The ingestor, and what lies between it and its clients.

pub(super) mod kill;
pub(super) mod lost_reply;
pub(super) mod resume;
pub(super) mod stall;
