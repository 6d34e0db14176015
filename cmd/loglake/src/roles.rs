use std::future::Future;
use std::time::Duration;

use loglake_service::{Shutdown, within};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

/// What runs in this process, in the order it was started; it stops in reverse.
pub(crate) struct Roles {
    shutdown: Shutdown,
    running: Vec<Running>,
}

struct Running {
    name: &'static str,
    stop: CancellationToken,
    handle: JoinHandle<anyhow::Result<()>>,
}

impl Roles {
    pub(crate) fn new(shutdown: Shutdown) -> Self {
        Self { shutdown, running: Vec::new() }
    }

    /// Starts `run` with a token of its own. When it ends without being told to, everything stops.
    pub(crate) fn start<F, E>(&mut self, name: &'static str, run: impl FnOnce(CancellationToken) -> F)
    where
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: Into<anyhow::Error> + Send + 'static,
    {
        let stop = CancellationToken::new();
        let (shutdown, told, work) = (self.shutdown.clone(), stop.clone(), run(stop.clone()));
        let handle = tokio::spawn(async move {
            let ended = work.await.map_err(|error| error.into().context(name));
            let ended = match ended {
                Ok(()) if !told.is_cancelled() => Err(anyhow::anyhow!("{name} ended by itself")),
                ended => ended,
            };
            if let Err(why) = &ended {
                error!(role = name, error = format!("{why:#}"), "role failed");
            }
            shutdown.ask();
            ended
        });
        self.running.push(Running { name, stop, handle });
    }

    /// Runs until somebody asks to stop, then stops everything, the last started first, all within `grace`.
    ///
    /// # Errors
    /// The first role's failure.
    pub(crate) async fn run(self, grace: Duration) -> anyhow::Result<()> {
        self.shutdown.asked().await;
        let deadline = Instant::now() + grace;
        let mut result = Ok(());
        let mut after = self.running.len();
        for Running { name, stop, mut handle } in self.running.into_iter().rev() {
            stop.cancel();
            after -= 1;
            let left = deadline.saturating_duration_since(Instant::now());
            // One that hangs must leave time to those after it: the processor's last flush among them.
            let left = if after > 0 { left / 2 } else { left };
            let ended = match within(left, name, &mut handle).await {
                Some(Ok(ended)) => ended,
                Some(Err(panic)) => Err(anyhow::Error::new(panic).context(name)),
                None => {
                    handle.abort();
                    Err(anyhow::anyhow!(
                        "{name} did not stop within {grace:?} (grace); what it had not finished is done again"
                    ))
                }
            };
            info!(role = name, "stopped");
            result = result.and(ended);
        }
        result
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[tokio::test]
    async fn the_last_started_stops_first() {
        let (shutdown, order) = (Shutdown::default(), Arc::new(std::sync::Mutex::new(Vec::new())));
        let mut roles = Roles::new(shutdown.clone());
        for name in ["first", "second", "third"] {
            let order = Arc::clone(&order);
            roles.start(name, move |stop| async move {
                stop.cancelled().await;
                order.lock().unwrap().push(name);
                anyhow::Ok(())
            });
        }
        shutdown.ask();
        roles.run(Duration::from_secs(5)).await.unwrap();
        assert_eq!(*order.lock().unwrap(), ["third", "second", "first"]);
    }

    #[tokio::test]
    async fn one_that_ends_takes_the_others_along() {
        let mut roles = Roles::new(Shutdown::default());
        roles.start("steady", |stop| async move {
            stop.cancelled().await;
            anyhow::Ok(())
        });
        roles.start("brittle", |_| async { Err(anyhow::anyhow!("it broke")) });
        let why = roles.run(Duration::from_secs(5)).await.unwrap_err();
        assert_eq!(format!("{why:#}"), "brittle: it broke");
    }

    #[tokio::test]
    async fn one_that_hangs_is_cut_off() {
        let shutdown = Shutdown::default();
        let mut roles = Roles::new(shutdown.clone());
        roles.start("stuck", |_| async {
            std::future::pending::<()>().await;
            anyhow::Ok(())
        });
        shutdown.ask();
        assert!(roles.run(Duration::from_millis(20)).await.unwrap_err().to_string().contains("stuck did not stop"));
    }
}
