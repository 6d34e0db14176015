use std::future::Future;
use std::pin::{Pin, pin};

use tokio_util::sync::CancellationToken;

use crate::Place;

/// Serves `connection` to its end. It is asked to end in order, by `stop`, at `shutdown` and when its place is needed for another; in
/// the second case it is cut where it takes too long: see [`Place::overstayed`].
///
/// # Errors
/// The connection's own.
pub async fn attend<C, E>(
    connection: C,
    stop: impl FnOnce(Pin<&mut C>),
    place: &Place,
    shutdown: &CancellationToken,
) -> Result<(), E>
where
    C: Future<Output = Result<(), E>>,
{
    let mut connection = pin!(connection);
    tokio::select! {
        ended = connection.as_mut() => return ended,
        () = shutdown.cancelled() => stop(connection.as_mut()),
        () = place.needed() => stop(connection.as_mut()),
    }
    tokio::select! {
        ended = connection => ended,
        () = async { place.needed().await; place.overstayed().await } => Ok(()),
    }
}
