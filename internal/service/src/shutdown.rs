use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::Error;

/// What the process exits with when a second signal cuts the drain short.
const CUT_SHORT: i32 = 130;

/// The wish to stop: SIGTERM, SIGINT, or a role that ended by itself. A second signal ends the process at once.
#[derive(Clone, Debug, Default)]
pub struct Shutdown {
    token: CancellationToken,
    was_asked: Arc<AtomicBool>,
}

impl Shutdown {
    /// Begins to listen for signals. Must be called within a runtime.
    ///
    /// # Errors
    /// [`Error::Signals`] when the system refuses.
    pub fn on_signals() -> Result<Self, Error> {
        let shutdown = Self::default();
        let mut terminate = signal(SignalKind::terminate()).map_err(Error::Signals)?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(Error::Signals)?;
        let asked = shutdown.clone();
        tokio::spawn(async move {
            loop {
                let name = tokio::select! {
                    _ = terminate.recv() => "SIGTERM",
                    _ = interrupt.recv() => "SIGINT",
                };
                if asked.was_asked.swap(true, Ordering::SeqCst) {
                    warn!(signal = name, "stopping at once");
                    std::process::exit(CUT_SHORT);
                }
                info!(signal = name, "stopping");
                asked.token.cancel();
            }
        });
        Ok(shutdown)
    }

    /// The token that is cancelled when the process is to stop.
    #[must_use]
    pub fn token(&self) -> CancellationToken {
        self.token.clone()
    }

    /// Asks to stop, as a signal would.
    pub fn ask(&self) {
        self.token.cancel();
    }

    /// Waits until somebody asked.
    pub async fn asked(&self) {
        self.token.cancelled().await;
    }
}
