//! What every role does before and after its work: configuration, telemetry, health and metrics, signals and the drain.
//!
//! It knows no role and no part. Start with [`Config`] (what can be set) and [`load`] (where it comes from); then
//! [`telemetry`], [`MetricsServer`] and [`Shutdown`].

mod bind;
pub mod config;
mod drain;
mod error;
mod metrics;
mod outgoing;
mod process_metrics;
mod shutdown;
pub mod telemetry;

pub use bind::{Listener, name_the_listener};
pub use config::{Config, Problem, Problems, Role, Secret, Sources, load};
pub use drain::within;
pub use error::Error;
pub use metrics::MetricsServer;
pub use outgoing::{Outgoing, OutgoingError, is_inside};
pub use process_metrics::register_process_metrics;
pub use shutdown::Shutdown;
