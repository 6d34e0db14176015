use std::fmt;
use std::time::Duration;

/// How to reach the index in a Redis server.
#[derive(Clone)]
pub struct Config {
    /// `host:port` or one of the URLs
    /// - `redis://[user:password@]host:port[/database]`: one server;
    /// - `redis-cluster://[user:password@]host:port[,host:port…]`: a cluster, by some of its nodes;
    /// - `redis-sentinel://[user:password@]host:port[,host:port…]/master[/database][?sentinel_user=…&sentinel_password=…]`:
    ///   the master of that name, by its sentinels; the first credential is the master's;
    /// - the same with `rediss` for `redis`: over TLS.
    pub addr: String,
    /// The cluster whose chunks these are.
    pub cluster: String,
    /// The life of its topic.
    pub incarnation: u32,
    /// Whose certificates are believed over TLS, PEM; `None` for the system's authorities.
    pub authorities: Option<Vec<u8>>,
    /// How long to wait for a connection; twice as long with all that goes before it. Default: 2 s.
    pub connect_timeout: Duration,
    /// How long to wait for an answer; past it what was asked is in doubt. Default: 5 s.
    pub response_timeout: Duration,
}

impl Config {
    /// The server at `addr` for `cluster` under `incarnation`, with all else by default.
    #[must_use]
    pub fn new(addr: impl Into<String>, cluster: impl Into<String>, incarnation: u32) -> Self {
        Self {
            addr: addr.into(),
            cluster: cluster.into(),
            incarnation,
            authorities: None,
            connect_timeout: Duration::from_secs(2),
            response_timeout: Duration::from_secs(5),
        }
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What stands before the last `@`, and after a `?`, may be a password.
        let host = self.addr.rsplit('@').next().and_then(|host| host.split('?').next()).unwrap_or_default();
        f.debug_struct("Config")
            .field("addr", &host)
            .field("cluster", &self.cluster)
            .field("incarnation", &self.incarnation)
            .field("connect_timeout", &self.connect_timeout)
            .field("response_timeout", &self.response_timeout)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_not_shown() {
        let config = Config::new("redis://user:hunter2@localhost:6379/1", "c", 0);
        assert!(!format!("{config:?}").contains("hunter2"));
        let config = Config::new("redis-sentinel://a:1/main?sentinel_password=hunter2", "c", 0);
        assert!(!format!("{config:?}").contains("hunter2"));
    }
}
