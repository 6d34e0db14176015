use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use crate::Error;

const MIB: usize = 1 << 20;

/// What can be set about this role.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where gRPC listens (`ingest.grpc_listen`). Default 127.0.0.1:50051.
    pub grpc_listen: SocketAddr,
    /// Where HTTP listens (`ingest.http_listen`). Default 127.0.0.1:4318.
    pub http_listen: SocketAddr,
    /// How many bytes of requests, decoded, may wait for the broker in this process. Past it streams are not read any
    /// further and single requests get 429 or `RESOURCE_EXHAUSTED`. Memory follows it at about twice its size. Default
    /// 64 MiB.
    pub in_flight_bytes: usize,
    /// The same for one gRPC stream. Default 8 MiB.
    pub stream_in_flight_bytes: usize,
    /// The longest body of an HTTP request as sent, and the longest gRPC message once it is decompressed. Default 16 MiB.
    pub max_body_bytes: usize,
    /// The longest body of an HTTP request once it is decompressed. Default 64 MiB.
    pub max_decoded_bytes: usize,
    /// How far ahead of the clock a record's time may lie. Default 1 h.
    pub max_future: Duration,
    /// How far behind it may lie; `None` for any. Default `None`.
    pub max_age: Option<Duration>,
    /// Whether lines keep the time of receipt; it costs about 3 % of the bytes. Default false.
    pub keep_received_at: bool,
    /// How long the broker may take to confirm; past it the records count as not accepted. Default 30 s.
    pub append_timeout: Duration,
    /// How long the body of an HTTP request may take to arrive as a whole; a quarter of it without a byte ends it too.
    /// Default 60 s.
    pub body_timeout: Duration,
    /// How many connections each listener serves at a time. For more, the one that has been idle for longest is closed; where none
    /// is idle they wait. Default 1,024.
    pub max_connections: usize,
    /// How long requests that have begun may take after the order to stop. Default 10 s.
    pub grace: Duration,
    /// How many tenants have a label of their own in the metrics (`metrics.tenants`); all others share one. Default 0.
    pub metric_tenants: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            grpc_listen: (Ipv4Addr::LOCALHOST, 50051).into(),
            http_listen: (Ipv4Addr::LOCALHOST, 4318).into(),
            in_flight_bytes: 64 * MIB,
            stream_in_flight_bytes: 8 * MIB,
            max_body_bytes: 16 * MIB,
            max_decoded_bytes: 64 * MIB,
            max_future: Duration::from_secs(3600),
            max_age: None,
            keep_received_at: false,
            append_timeout: Duration::from_secs(30),
            body_timeout: Duration::from_secs(60),
            max_connections: 1024,
            grace: Duration::from_secs(10),
            metric_tenants: 0,
        }
    }
}

impl Config {
    /// Checks that the numbers can work together.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let sizes = [
            ("in_flight_bytes", self.in_flight_bytes),
            ("stream_in_flight_bytes", self.stream_in_flight_bytes),
            ("max_body_bytes", self.max_body_bytes),
            ("max_decoded_bytes", self.max_decoded_bytes),
        ];
        for (name, bytes) in sizes {
            if bytes == 0 || u32::try_from(bytes).is_err() {
                return Err(Error::Config(format!("`ingest.{name}` is at least 1 and below 4 GiB, not {bytes}")));
            }
        }
        let most = self.max_body_bytes.max(self.max_decoded_bytes);
        if self.in_flight_bytes < most {
            let now = self.in_flight_bytes;
            return Err(Error::Config(format!(
                "`ingest.in_flight_bytes` is {now}, less than one request may have ({most}): it would never be accepted"
            )));
        }
        if self.max_connections == 0 {
            return Err(Error::Config("`ingest.max_connections` is at least 1".to_owned()));
        }
        Ok(())
    }
}
