//! The routes, and what all answers have in common.

mod answers;
mod authorize;
mod connections;
mod head_watch;
mod home;
mod routes;
mod tenant_limits;
mod tenants;
mod tokens;
mod tracing_layer;

pub(crate) use connections::serve;
pub(crate) use routes::router;
#[cfg(feature = "fuzzing")]
pub(crate) use tracing_layer::trace_id;
