//! The wires between queries and processors.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use loglake_query::Dial;
use parking_lot::Mutex;
use tokio::io::{DuplexStream, copy_bidirectional, duplex};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::AbortHandle;
use tokio::time::sleep;

use crate::dice::Dice;

const BUFFER_BYTES: usize = 64 << 10;

/// The wires between queries and tail services. Clones share them.
#[derive(Clone, Debug)]
pub struct Network {
    dice: Dice,
    hosts: Arc<Mutex<BTreeMap<String, Host>>>,
    /// How many calls of a thousand reach nobody.
    loss: Arc<Mutex<u64>>,
}

#[derive(Debug)]
struct Host {
    incoming: UnboundedSender<DuplexStream>,
    wires: Vec<AbortHandle>,
}

impl Network {
    /// A network without hosts.
    #[must_use]
    pub fn new(dice: Dice) -> Self {
        Self { dice, hosts: Arc::default(), loss: Arc::default() }
    }

    /// Begins to take connections for `host`.
    pub fn listen(&self, host: &str) -> UnboundedReceiver<DuplexStream> {
        let (incoming, connections) = unbounded_channel();
        self.hosts.lock().insert(host.to_owned(), Host { incoming, wires: Vec::new() });
        connections
    }

    /// Cuts all wires to `host`; nobody listens there any more.
    pub fn cut(&self, host: &str) {
        if let Some(host) = self.hosts.lock().remove(host) {
            host.wires.iter().for_each(AbortHandle::abort);
        }
    }

    /// Breaks the connections to all hosts; new ones can be made.
    pub fn reset(&self) {
        for host in self.hosts.lock().values_mut() {
            host.wires.drain(..).for_each(|wire| wire.abort());
        }
    }

    /// So many dials of a thousand fail.
    pub fn lose(&self, of_thousand: u64) {
        *self.loss.lock() = of_thousand;
    }

    /// How queries reach tail services.
    #[must_use]
    pub fn dial(&self) -> Dial {
        let network = self.clone();
        Arc::new(move |address: http::Uri| -> BoxFuture<'static, io::Result<DuplexStream>> {
            let network = network.clone();
            Box::pin(async move { network.connect(address.host().unwrap_or_default()).await })
        })
    }

    async fn connect(&self, host: &str) -> io::Result<DuplexStream> {
        if self.dice.chance(*self.loss.lock()) {
            if self.dice.chance(500) {
                sleep(Duration::from_secs(60)).await;
            }
            return Err(io::ErrorKind::ConnectionRefused.into());
        }
        let (near, mut left) = duplex(BUFFER_BYTES);
        let (mut right, far) = duplex(BUFFER_BYTES);
        let mut hosts = self.hosts.lock();
        let found = hosts.get_mut(host).ok_or(io::ErrorKind::ConnectionRefused)?;
        found.incoming.send(far).map_err(|_| io::ErrorKind::ConnectionRefused)?;
        let wire = tokio::spawn(async move {
            // However it ends, both ends see it.
            let _ended = copy_bidirectional(&mut left, &mut right).await;
        });
        found.wires.push(wire.abort_handle());
        Ok(near)
    }
}
