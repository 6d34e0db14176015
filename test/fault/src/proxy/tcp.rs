use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Result;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// What a [`TcpProxy`] does to all its connections, those it has and those to come.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Tcp {
    /// Nothing: bytes pass.
    Pass,
    /// Every piece waits so long, each way.
    Latency(Duration),
    /// Nothing passes and nobody is told; what was under way arrives when it is over.
    BlackHole,
    /// Connections are reset, new ones as soon as they come.
    Reset,
    /// Each connection is reset after so many bytes of answers, counted from when this was set.
    CutAfter(u64),
}

/// A proxy for any protocol.
#[derive(Debug)]
pub struct TcpProxy {
    /// Where it listens.
    pub address: SocketAddr,
    mode: watch::Sender<Tcp>,
    fired: Arc<AtomicU64>,
    task: tokio::task::JoinHandle<()>,
}

impl TcpProxy {
    /// Listens on `port` (0: a free one) of the loopback and passes on to `upstream`.
    ///
    /// # Errors
    /// When the port is taken.
    pub async fn start(port: u16, upstream: SocketAddr) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", port)).await?;
        let address = listener.local_addr()?;
        let (mode, watched) = watch::channel(Tcp::Pass);
        let fired = Arc::<AtomicU64>::default();
        let counter = Arc::clone(&fired);
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(connection(client, upstream, watched.clone(), Arc::clone(&counter)));
            }
        });
        Ok(Self { address, mode, fired, task })
    }

    /// Changes what it does, also to connections that are there.
    pub fn set(&self, mode: Tcp) {
        self.mode.send_replace(mode);
    }

    /// How many pieces and connections were tampered with so far.
    pub fn fired(&self) -> u64 {
        self.fired.load(Ordering::Relaxed)
    }
}

impl Drop for TcpProxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn connection(client: TcpStream, upstream: SocketAddr, mode: watch::Receiver<Tcp>, fired: Arc<AtomicU64>) {
    if *mode.borrow() == Tcp::Reset {
        fired.fetch_add(1, Ordering::Relaxed);
        reset(&client);
        return;
    }
    let Ok(server) = TcpStream::connect(upstream).await else { return reset(&client) };
    let _unset = (client.set_nodelay(true), server.set_nodelay(true));
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let up = pump(&mut from_client, &mut to_server, mode.clone(), Arc::clone(&fired), false);
    let down = pump(&mut from_server, &mut to_client, mode, fired, true);
    // One way may end before the other (half-close); a cut ends both.
    let is_cut = {
        tokio::pin!(up, down);
        tokio::select! {
            ended = &mut up => ended == End::Cut || down.await == End::Cut,
            ended = &mut down => ended == End::Cut || up.await == End::Cut,
        }
    };
    if is_cut {
        reset(to_client.as_ref());
        reset(to_server.as_ref());
    }
}

/// Closing then sends RST and drops what is still in buffers.
fn reset(stream: &TcpStream) {
    // A connection that is gone already needs no reset.
    let _gone = stream.set_zero_linger();
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Closed,
    Cut,
}

async fn pump(
    from: &mut tokio::net::tcp::OwnedReadHalf,
    to: &mut tokio::net::tcp::OwnedWriteHalf,
    mut mode: watch::Receiver<Tcp>,
    fired: Arc<AtomicU64>,
    is_answer: bool,
) -> End {
    let mut buffer = vec![0; 64 << 10];
    let mut passed = 0;
    loop {
        let read = tokio::select! {
            read = from.read(&mut buffer) => read,
            changed = mode.changed() => {
                passed = 0;
                match changed {
                    Ok(()) if *mode.borrow_and_update() == Tcp::Reset => {
                        fired.fetch_add(1, Ordering::Relaxed);
                        return End::Cut;
                    }
                    Ok(()) => continue,
                    Err(_proxy_dropped) => return End::Cut,
                }
            }
        };
        let count = match read {
            Ok(0) => {
                let _gone = to.shutdown().await;
                return End::Closed;
            }
            Ok(count) => count,
            Err(_broken) => return End::Cut,
        };
        let now = *mode.borrow();
        match now {
            Tcp::Pass => {}
            Tcp::Latency(wait) => {
                fired.fetch_add(1, Ordering::Relaxed);
                tokio::time::sleep(wait).await;
            }
            Tcp::BlackHole => {
                fired.fetch_add(1, Ordering::Relaxed);
                if mode.wait_for(|mode| *mode != Tcp::BlackHole).await.is_err() {
                    return End::Cut;
                }
                if *mode.borrow() == Tcp::Reset {
                    return End::Cut;
                }
            }
            Tcp::Reset => return End::Cut,
            Tcp::CutAfter(limit) if is_answer => {
                let left = usize::try_from(limit.saturating_sub(passed)).unwrap_or(usize::MAX);
                if count > left {
                    fired.fetch_add(1, Ordering::Relaxed);
                    // What came before the cut does arrive.
                    let _gone = (to.write_all(&buffer[..left]).await, to.flush().await);
                    tokio::time::sleep(Duration::from_millis(5)).await;
                    return End::Cut;
                }
                passed += count as u64;
            }
            Tcp::CutAfter(_) => {}
        }
        if to.write_all(&buffer[..count]).await.is_err() {
            return End::Cut;
        }
    }
}
