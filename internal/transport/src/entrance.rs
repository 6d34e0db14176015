use std::future::Future;
use std::io;
use std::time::Duration;

use loglake_model::Peer;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, warn};

use crate::places::{Place, Places};
use crate::stream::Stream;
use crate::tls::Acceptor;

/// How long a handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// Handshakes at a time; past it the one that has lasted longest is given up.
const MAX_HANDSHAKES: usize = 256;
/// How long to rest when the system has no file descriptor left.
const REST: Duration = Duration::from_millis(50);
/// What the system says then (`EMFILE`, `ENFILE`).
const NO_DESCRIPTOR: [i32; 2] = [24, 23];

/// A bound socket with its places, and TLS where it is on.
#[derive(Debug)]
pub struct Entrance {
    socket: TcpListener,
    tls: Option<Acceptor>,
    places: Places,
    handshakes: Places,
}

/// A connection that came in and, where TLS is on, has shaken hands.
#[derive(Debug)]
pub struct Connection {
    /// Its bytes.
    pub stream: Stream,
    /// Who the verified client certificate is of, if there is one.
    pub peer: Option<Peer>,
    /// Its place, to be kept as long as it is served.
    pub place: Place,
}

impl Entrance {
    /// Accepts on `socket` as many connections as `places` has.
    #[must_use]
    pub fn new(socket: TcpListener, tls: Option<Acceptor>, places: Places) -> Self {
        let handshakes = Places::new(MAX_HANDSHAKES, places.displaced());
        Self { socket, tls, places, handshakes }
    }

    /// Accepts until `shutdown` and has each connection served by `serve` in a task of its own among `tasks`; then closes the
    /// socket and returns. Handshakes under way end then; what is being served is for the caller to wait for.
    pub async fn run<S, F>(self, shutdown: &CancellationToken, tasks: &TaskTracker, serve: S)
    where
        S: Fn(Connection) -> F + Clone + Send + 'static,
        F: Future<Output = ()> + Send,
    {
        let Self { socket, tls, places, handshakes } = self;
        loop {
            let accepted = tokio::select! {
                biased;
                () = shutdown.cancelled() => break,
                accepted = socket.accept() => accepted,
            };
            let stream = match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    warn!(%error, "connection not accepted");
                    if error.raw_os_error().is_some_and(|code| NO_DESCRIPTOR.contains(&code)) {
                        places.displace();
                    }
                    tokio::time::sleep(REST).await;
                    continue;
                }
            };
            if let Err(error) = stream.set_nodelay(true) {
                debug!(%error, "nodelay not set");
            }
            // After the accept: a place is taken from another connection only for one that is there.
            let place = tokio::select! {
                biased;
                () = shutdown.cancelled() => break,
                place = places.take() => place,
            };
            let (tls, handshakes, shutdown, serve) = (tls.clone(), handshakes.clone(), shutdown.clone(), serve.clone());
            tasks.spawn(async move {
                let secured = tokio::select! {
                    () = shutdown.cancelled() => return,
                    () = place.needed() => return,
                    secured = secure(stream, tls.as_ref(), &handshakes) => secured,
                };
                match secured {
                    Ok((stream, peer)) => serve(Connection { stream, peer, place }).await,
                    Err(error) => debug!(%error, "no handshake"),
                }
            });
        }
    }
}

async fn secure(stream: TcpStream, tls: Option<&Acceptor>, handshakes: &Places) -> io::Result<(Stream, Option<Peer>)> {
    let Some(tls) = tls else { return Ok((Stream::Plain(stream), None)) };
    let place = handshakes.take().await;
    tokio::select! {
        () = place.needed() => Err(io::Error::other("too many handshakes at a time, and this one lasted longest")),
        secured = tokio::time::timeout(HANDSHAKE, tls.accept(stream)) => {
            secured.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
        }
    }
}
