use std::future::Future;
use std::time::Duration;

use tracing::warn;

/// Waits for `work` to end, at most `grace`; `None`, with a warning that names it, when it did not.
pub async fn within<T>(grace: Duration, what: &'static str, work: impl Future<Output = T>) -> Option<T> {
    let ended = tokio::time::timeout(grace, work).await.ok();
    if ended.is_none() {
        warn!(what, ?grace, "did not end within its grace");
    }
    ended
}
