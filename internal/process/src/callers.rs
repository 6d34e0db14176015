use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::Stream;
use loglake_transport::{Connection, Entrance, Place, Stream as Bytes, Work};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::transport::server::Connected;

/// Connections that shook hands and are not served yet.
const WAITING: usize = 16;

/// A connection of a query service, with its place. Once it has shaken hands it does not give way: those who call are few, and
/// keep what they have.
#[derive(Debug)]
pub(crate) struct Caller {
    bytes: Bytes,
    _place: (Place, Work),
}

/// What comes in by `entrance`, until `shutdown`.
pub(crate) fn accept(entrance: Entrance, shutdown: CancellationToken) -> impl Stream<Item = io::Result<Caller>> {
    let (sender, callers) = mpsc::channel(WAITING);
    tokio::spawn(async move {
        let serve = move |Connection { stream, place, .. }: Connection| {
            let sender = sender.clone();
            async move {
                let work = place.work();
                // Nobody serves any more.
                let _closed = sender.send(Ok(Caller { bytes: stream, _place: (place, work) })).await;
            }
        };
        entrance.run(&shutdown, &TaskTracker::new(), serve).await;
    });
    ReceiverStream::new(callers)
}

impl Connected for Caller {
    type ConnectInfo = ();

    fn connect_info(&self) {}
}

impl AsyncRead for Caller {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().bytes).poll_read(context, buffer)
    }
}

impl AsyncWrite for Caller {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().bytes).poll_write(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().bytes).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().bytes).poll_shutdown(context)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().bytes).poll_write_vectored(context, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.bytes.is_write_vectored()
    }
}
