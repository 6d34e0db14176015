use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};

/// What every HTTP/2 connection begins with (RFC 9113, section 3.4).
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A connection whose client has said that it speaks HTTP/2. It is read from the beginning.
#[derive(Debug)]
pub struct Prefaced<S> {
    stream: S,
    /// How much of the preface was not read again yet.
    left: usize,
}

impl<S: AsyncRead + Unpin> Prefaced<S> {
    /// Waits until the client has said what it speaks, for as long as it takes; `None` when it is something else, or it hung up.
    ///
    /// # Errors
    /// The connection's own.
    pub async fn new(mut stream: S) -> io::Result<Option<Self>> {
        let mut head = [0; PREFACE.len()];
        let mut length = 0;
        while length < head.len() {
            let read = stream.read(&mut head[length..]).await?;
            length += read;
            if read == 0 || !PREFACE.starts_with(&head[..length]) {
                return Ok(None);
            }
        }
        Ok(Some(Self { stream, left: length }))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Prefaced<S> {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.left > 0 {
            let again = &PREFACE[PREFACE.len() - this.left..];
            let length = again.len().min(buffer.remaining());
            buffer.put_slice(&again[..length]);
            this.left -= length;
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut this.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Prefaced<S> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write_vectored(context, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt as _;

    use super::*;

    #[tokio::test]
    async fn the_preface_is_read_again_and_nothing_else_is_let_in() {
        let (mut client, server) = tokio::io::duplex(64);
        tokio::spawn(async move {
            for byte in PREFACE {
                client.write_all(&[*byte]).await.unwrap();
                tokio::task::yield_now().await;
            }
            client.write_all(b"rest").await.unwrap();
        });
        let mut stream = Prefaced::new(server).await.unwrap().unwrap();
        let mut read = Vec::new();
        stream.read_to_end(&mut read).await.unwrap();
        assert_eq!(read, [&PREFACE[..], b"rest"].concat());

        for other in [&b""[..], b"GET / HTTP/1.1\r\n\r\n", &PREFACE[..23], b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\r"] {
            assert!(Prefaced::new(other).await.unwrap().is_none(), "{other:?}");
        }
    }
}
