use std::sync::Arc;
use std::time::Duration;

use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::cluster::ClusterClientBuilder;
use redis::cluster_async::ClusterConnection;
use redis::sentinel::SentinelClient;
use redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionInfo, ErrorKind, Pipeline, RedisError, RedisFuture, ServerErrorKind,
    TlsCertificates, Value,
};
use tokio::sync::{Mutex, Notify};
use tokio::time::Instant;

use super::address::Address;
use super::answer::failed;
use super::config::Config;
use crate::Error;

/// How often a call is sent before it fails, when each time it is certain that it did nothing.
const ATTEMPTS: u32 = 3;
/// How often a connection is tried for a call.
const CONNECTS: u32 = 2;
/// How long between two tries of either.
const WAIT: Duration = Duration::from_millis(200);
/// How often the client of a cluster follows a redirection or asks for the slots anew, within the response time-out.
const CLUSTER_RETRIES: u32 = 4;

/// A connection to whatever serves the index now. Clones share it.
///
/// It is made anew when it breaks, when an answer does not come in time, and when the server says that it may not be written
/// to any more: the new one asks the sentinels, or the cluster's seeds, who serves now. Only calls that certainly did nothing
/// are sent again by themselves; each try and each wait is bounded.
#[derive(Clone)]
pub(super) struct Link(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    connect_timeout: Duration,
    response_timeout: Duration,
    /// Told of each new connection.
    pub(super) renewed: Notify,
}

struct State {
    source: Source,
    current: Option<Connection>,
    /// Numbers the connections.
    number: u64,
    /// When and why none could be made.
    failed: Option<(Instant, RedisError)>,
}

/// Where connections come from.
enum Source {
    Single(Client),
    Cluster(Vec<ConnectionInfo>, Option<TlsCertificates>),
    Sentinel(SentinelClient),
}

/// A connection as it is now.
#[derive(Clone)]
pub(super) enum Connection {
    Node(MultiplexedConnection),
    Cluster(ClusterConnection),
}

impl Link {
    /// Connects for the first time.
    ///
    /// # Errors
    /// `Invalid` when the address or the credential is wrong; `Unavailable`.
    pub(super) async fn connect(config: &Config) -> Result<Self, Error> {
        let link = Self::prepare(config)?;
        link.connection().await.map_err(|error| failed("connect", &error))?;
        Ok(link)
    }

    /// The same without a connection: it is made with the first call.
    ///
    /// # Errors
    /// `Invalid` when the address is wrong.
    pub(super) fn prepare(config: &Config) -> Result<Self, Error> {
        let source = match Address::parse(&config.addr, config.authorities.as_deref())? {
            Address::Single(client) => Source::Single(client),
            Address::Cluster(nodes, certificates) => Source::Cluster(nodes, certificates),
            Address::Sentinel(client) => Source::Sentinel(client),
        };
        Ok(Self(Arc::new(Shared {
            state: Mutex::new(State { source, current: None, number: 0, failed: None }),
            connect_timeout: config.connect_timeout,
            response_timeout: config.response_timeout,
            renewed: Notify::new(),
        })))
    }

    /// Waits until a connection was made after the last call of this.
    pub(super) async fn renewed(&self) {
        self.0.renewed.notified().await;
    }

    /// The connection and its number; made if there is none. Callers that waited for one that could not be made all fail
    /// with it, instead of trying one after another.
    pub(super) async fn connection(&self) -> Result<(u64, Connection), RedisError> {
        let asked = Instant::now();
        let mut state = self.0.state.lock().await;
        if let Some(connection) = &state.current {
            return Ok((state.number, connection.clone()));
        }
        if let Some((at, error)) = &state.failed
            && *at >= asked
        {
            return Err(error.clone());
        }
        let mut outcome = self.make(&mut state.source).await;
        for _ in 1..CONNECTS {
            match &outcome {
                Err(error) if is_passing(error) => tokio::time::sleep(WAIT).await,
                _ => break,
            }
            outcome = self.make(&mut state.source).await;
        }
        match outcome {
            Ok(connection) => {
                state.current = Some(connection.clone());
                state.number += 1;
                state.failed = None;
                if state.number > 1 {
                    tracing::info!("connected to redis again");
                }
                self.0.renewed.notify_one();
                Ok((state.number, connection))
            }
            Err(error) => {
                state.failed = Some((Instant::now(), error.clone()));
                Err(error)
            }
        }
    }

    async fn make(&self, source: &mut Source) -> Result<Connection, RedisError> {
        let (connect, response) = (self.0.connect_timeout, self.0.response_timeout);
        let config =
            AsyncConnectionConfig::new().set_connection_timeout(Some(connect)).set_response_timeout(Some(response));
        let made = async {
            match source {
                Source::Single(client) => {
                    client.get_multiplexed_async_connection_with_config(&config).await.map(Connection::Node)
                }
                Source::Sentinel(client) => {
                    client.get_async_connection_with_config(&config).await.map(Connection::Node)
                }
                Source::Cluster(nodes, certificates) => {
                    let builder = ClusterClientBuilder::new(nodes.clone());
                    let builder = match certificates.clone() {
                        Some(certificates) => builder.certs(certificates),
                        None => builder,
                    };
                    let client = builder
                        .connection_timeout(connect)
                        .response_timeout(response)
                        .retries(CLUSTER_RETRIES)
                        .min_retry_wait(20)
                        .max_retry_wait(500)
                        .build()?;
                    client.get_async_connection().await.map(Connection::Cluster)
                }
            }
        };
        // Sentinels are asked first, and the master whether it is one.
        match tokio::time::timeout(connect * 2, made).await {
            Ok(made) => made,
            Err(_) => Err(std::io::Error::new(std::io::ErrorKind::TimedOut, "no connection in time").into()),
        }
    }

    /// Forgets the connection `number`, if it is still the current one.
    async fn forget(&self, number: u64) {
        let mut state = self.0.state.lock().await;
        if state.number == number {
            state.current = None;
        }
    }

    /// Decides after try number `attempt`, on connection `number`, failed: returns when it is to be made once more.
    async fn after(&self, error: RedisError, attempt: u32, number: u64) -> Result<(), RedisError> {
        if is_passing(&error) {
            tracing::debug!(%error, attempt, "redis connection given up");
            self.forget(number).await;
        }
        if attempt >= ATTEMPTS || !did_nothing(&error) {
            return Err(error);
        }
        tokio::time::sleep(WAIT * attempt).await;
        Ok(())
    }
}

impl ConnectionLike for Link {
    fn req_packed_command<'a>(&'a mut self, cmd: &'a Cmd) -> RedisFuture<'a, Value> {
        Box::pin(async move {
            let mut attempt = 1;
            loop {
                let (number, mut connection) = self.connection().await?;
                match connection.req_packed_command(cmd).await {
                    Ok(answer) => return Ok(answer),
                    Err(error) => self.after(error, attempt, number).await?,
                }
                attempt += 1;
            }
        })
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        Box::pin(async move {
            let mut attempt = 1;
            loop {
                let (number, mut connection) = self.connection().await?;
                match connection.req_packed_commands(pipeline, offset, count).await {
                    Ok(answers) => return Ok(answers),
                    Err(error) => self.after(error, attempt, number).await?,
                }
                attempt += 1;
            }
        })
    }

    fn get_db(&self) -> i64 {
        0
    }
}

impl ConnectionLike for Connection {
    fn req_packed_command<'a>(&'a mut self, cmd: &'a Cmd) -> RedisFuture<'a, Value> {
        match self {
            Self::Node(node) => node.req_packed_command(cmd),
            Self::Cluster(cluster) => cluster.req_packed_command(cmd),
        }
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        match self {
            Self::Node(node) => node.req_packed_commands(pipeline, offset, count),
            Self::Cluster(cluster) => cluster.req_packed_commands(pipeline, offset, count),
        }
    }

    fn get_db(&self) -> i64 {
        0
    }
}

/// Another connection may help: this one is broken or silent, or leads to a server that is no master (any more).
fn is_passing(error: &RedisError) -> bool {
    error.is_io_error()
        || error.is_timeout()
        || error.is_unrecoverable_error()
        || did_nothing(error)
        || error.kind() == ErrorKind::MasterNameNotFoundBySentinel
}

/// The server said that it did not even begin.
fn did_nothing(error: &RedisError) -> bool {
    matches!(
        error.kind(),
        ErrorKind::Server(
            ServerErrorKind::ReadOnly
                | ServerErrorKind::BusyLoading
                | ServerErrorKind::MasterDown
                | ServerErrorKind::ClusterDown
                | ServerErrorKind::TryAgain
                | ServerErrorKind::Moved
                | ServerErrorKind::Ask
        )
    )
}
