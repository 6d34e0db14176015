use std::sync::Arc;

use axum::http::Uri;
use futures_util::future::BoxFuture;
use tokio::io::DuplexStream;

/// Opens a connection to the tail service at an address.
pub type Dial = Arc<dyn Fn(Uri) -> BoxFuture<'static, std::io::Result<DuplexStream>> + Send + Sync>;

/// What the query role has around it beside its parts. The default is the machine's own; a simulation brings what it decides
/// itself.
#[derive(Default)]
pub struct Surroundings {
    /// How tail services are reached; `None` for TCP.
    pub dial: Option<Dial>,
    /// Decodes and searches on the caller's own thread, so that everything happens in one order.
    pub is_single_threaded: bool,
}

impl std::fmt::Debug for Surroundings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Surroundings").field("is_single_threaded", &self.is_single_threaded).finish_non_exhaustive()
    }
}
