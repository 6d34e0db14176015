//! What people do to a system: wrong configuration, restarts.

pub(super) mod broken_configuration;
pub(super) mod rolling;
