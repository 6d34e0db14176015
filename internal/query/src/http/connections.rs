use std::time::Duration;

use axum::Router;
use axum::body::Body;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use loglake_model::Peer;
use loglake_transport::{Connection, Entrance, Place, attend};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt as _;

use super::head_watch::{HeadWatch, Watched};

/// How long a client may take to send the head of a request, from its first byte; the first head, from the connection.
const HEAD_WAIT: Duration = Duration::from_secs(10);
/// How long a connection may idle between two requests: longer than the pools of most clients keep it.
const IDLE_WAIT: Duration = Duration::from_secs(75);

/// Questions are short: what nobody reads must not add up over a thousand connections.
const STREAM_WINDOW_BYTES: u32 = 64 << 10;
const CONNECTION_WINDOW_BYTES: u32 = 128 << 10;
/// Requests of a connection at a time, by HTTP/2.
const MAX_STREAMS: u32 = 64;

/// Serves `router` on what comes in by `entrance` until `shutdown`, then lets what runs finish.
pub(crate) async fn serve(entrance: Entrance, router: Router, shutdown: CancellationToken) {
    let connections = TaskTracker::new();
    let stopping = shutdown.clone();
    let serve = move |came: Connection| {
        let (router, shutdown) = (router.clone(), stopping.clone());
        async move { connection(came.stream, came.peer, came.place, router, shutdown).await }
    };
    entrance.run(&shutdown, &connections, serve).await;
    connections.close();
    connections.wait().await;
}

async fn connection<S>(stream: S, peer: Option<Peer>, place: Place, router: Router, shutdown: CancellationToken)
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let watch = HeadWatch::new();
    let mut builder = Builder::new(TokioExecutor::new());
    // Counts while the connection idles, too; the watch sees to heads that do not end.
    builder.http1().timer(TokioTimer::new()).header_read_timeout(IDLE_WAIT).max_buf_size(64 << 10);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(Duration::from_secs(20))
        .keep_alive_timeout(Duration::from_secs(20))
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_concurrent_streams(MAX_STREAMS)
        .max_header_list_size(64 << 10);
    let (requests, worker) = (watch.clone(), place.worker());
    let router = router.map_request(move |mut request: hyper::Request<Incoming>| {
        // Whoever lets it in says for whom the connection is at work.
        request.extensions_mut().insert(worker.clone());
        if let Some(peer) = &peer {
            request.extensions_mut().insert(peer.clone());
        }
        request.map(Body::new)
    });
    let service = tower::service_fn(move |request| {
        let (at_work, router) = (requests.request(), router.clone());
        async move {
            let answer = router.oneshot(request).await?;
            // It is at work until its last byte was taken.
            Ok::<_, std::convert::Infallible>(answer.map(|body| {
                body.map_frame(move |frame| {
                    let _at_work = &at_work;
                    frame
                })
            }))
        }
    });
    let stream = TokioIo::new(Watched::new(stream, watch.clone()));
    let serving = builder.serve_connection(stream, TowerToHyperService::new(service));
    let served = tokio::select! {
        served = attend(serving, |serving| serving.graceful_shutdown(), &place, &shutdown) => served,
        () = watch.overdue(HEAD_WAIT) => {
            tracing::debug!("a request's head took too long");
            return;
        }
    };
    if let Err(error) = served {
        tracing::debug!(%error, "connection ended");
    }
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use loglake_transport::Places;
    use prometheus::IntCounter;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
    use tokio::time::{Instant, sleep};

    use super::*;

    const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n";

    fn start() -> DuplexStream {
        let (client, server) = duplex(1 << 16);
        // A request that works for longer than a head may take.
        let slow = get(|| async {
            sleep(2 * HEAD_WAIT).await;
            "late"
        });
        let router = Router::new().route("/", get(|| async { "here" })).route("/slow", slow);
        tokio::spawn(async move {
            let place = Places::new(1, IntCounter::new("displaced", "x").unwrap()).take().await;
            connection(server, None, place, router, CancellationToken::new()).await;
        });
        client
    }

    /// Reads up to the answer's end.
    async fn answer(client: &mut DuplexStream, last: &str) {
        let mut read = Vec::new();
        while !read.ends_with(last.as_bytes()) {
            assert_ne!(client.read_buf(&mut read).await.unwrap(), 0, "closed after {read:?}");
        }
    }

    /// How long it takes until the server closes.
    async fn closed(client: &mut DuplexStream) -> Duration {
        let began = Instant::now();
        let mut rest = Vec::new();
        // Reset is as good.
        let _ = client.read_to_end(&mut rest).await;
        began.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn an_idle_connection_is_good_for_a_minute() {
        let mut client = start();
        for _ in 0..3 {
            client.write_all(REQUEST).await.unwrap();
            answer(&mut client, "here").await;
            sleep(Duration::from_secs(60)).await;
        }
        client.write_all(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        answer(&mut client, "late").await;
        let took = closed(&mut client).await;
        assert!((IDLE_WAIT..IDLE_WAIT + Duration::from_secs(5)).contains(&took), "{took:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_that_does_not_end_is_cut_off() {
        let within = |took: Duration| (HEAD_WAIT..HEAD_WAIT + Duration::from_secs(1)).contains(&took);
        // Nothing at all.
        assert!(within(closed(&mut start()).await));
        // A byte now and then, on a new connection and on one that has served.
        for serves_first in [false, true] {
            let mut client = start();
            if serves_first {
                client.write_all(REQUEST).await.unwrap();
                answer(&mut client, "here").await;
                sleep(Duration::from_secs(40)).await;
            }
            let began = Instant::now();
            for byte in b"GET / HTTP/1.1\r\nX: ".iter().chain(std::iter::repeat(&b'x')) {
                if client.write_all(&[*byte]).await.is_err() {
                    break;
                }
                sleep(Duration::from_millis(500)).await;
            }
            assert!(within(began.elapsed()), "{:?}", began.elapsed());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn http2_has_pings_instead() {
        let mut client = start();
        // The preface and empty settings.
        client.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();
        let took = closed(&mut client).await;
        // Nobody answers the ping.
        assert!(took > Duration::from_secs(35), "{took:?}");
    }
}
