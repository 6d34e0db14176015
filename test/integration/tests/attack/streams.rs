//! One tenant keeps more streams open than there are places.

use loglake_integration::ctl::Configured;
use tokio::net::TcpStream;

use crate::probe::Served;
use crate::site::Site;

/// More than there are places.
const STREAMS: usize = 1_200;

/// A stream that is open, on a connection of its own.
async fn open(port: u16, token: &str) -> Option<impl Send + use<>> {
    let stream = TcpStream::connect(("127.0.0.1", port)).await.ok()?;
    let (sender, connection) = h2::client::handshake(stream).await.ok()?;
    let driver = tokio::spawn(async move { drop(connection.await) });
    let mut sender = sender.ready().await.ok()?;
    let request = http::Request::post("http://x/loglake.ingest.v1.IngestService/Ingest");
    let request = request.header("content-type", "application/grpc").header("te", "trailers");
    let request = request.header("x-api-key", token).body(()).unwrap();
    let (answer, mut sending) = sender.send_request(request, false).ok()?;
    // `open`, empty.
    sending.send_data(bytes::Bytes::from_static(b"\0\0\0\0\x02\x0a\0"), false).ok()?;
    let answer = answer.await.ok()?;
    Some((driver, sender, sending, answer))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tenant_with_all_places_gives_them_up_to_others() {
    let mut site = Site::start().await;
    let (target, Configured { text: token, .. }) = (site.target(), &site.evil);
    let mut held = Vec::new();
    for _ in 0..STREAMS {
        held.extend(open(target.ports.ingest_grpc, token).await);
    }
    assert!(held.len() > STREAMS / 2, "only {} streams", held.len());
    let mut served = Served::default();
    for n in 0..6 {
        served.one(&target, n).await;
    }
    println!("beside {} streams of one tenant: {}", held.len(), served.summary());
    site.stands("streams of one tenant");
    drop(held);
    site.stop().await;
}
