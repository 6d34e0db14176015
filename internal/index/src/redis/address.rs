use redis::sentinel::{SentinelClient, SentinelClientBuilder, SentinelNodeConnectionInfo, SentinelServerType};
use redis::{Client, ConnectionInfo, IntoConnectionInfo, RedisConnectionInfo, RedisError, TlsCertificates, TlsMode};

use crate::Error;

/// What an address names.
pub(super) enum Address {
    /// One server.
    Single(Client),
    /// Some nodes of a cluster; they name the others. Whom to believe, where it is called over TLS.
    Cluster(Vec<ConnectionInfo>, Option<TlsCertificates>),
    /// Sentinels, that know which server is the master now.
    Sentinel(SentinelClient),
}

impl Address {
    /// Reads `host:port`, `redis://[user:password@]host:port[/database]`,
    /// `redis-cluster://[user:password@]host:port[,host:port…]` or
    /// `redis-sentinel://[user:password@]host:port[,host:port…]/master[/database][?sentinel_user=…&sentinel_password=…]`; with
    /// `rediss` for `redis` over TLS, where `authorities` (PEM) or else the system's are believed.
    ///
    /// # Errors
    /// `Invalid`; the text never holds a password.
    pub(super) fn parse(text: &str, authorities: Option<&[u8]>) -> Result<Self, Error> {
        let (scheme, rest) = text.split_once("://").unwrap_or(("redis", text));
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (user, places) = rest.rsplit_once('@').map_or(("", rest), |(user, places)| (user, places));
        let (hosts, path) = places.split_once('/').unwrap_or((places, ""));
        let (is_secured, kind) = match scheme.strip_prefix("rediss") {
            Some(kind) => (true, kind),
            None => (false, scheme.strip_prefix("redis").unwrap_or("?")),
        };
        let certificates =
            is_secured.then(|| TlsCertificates { client_tls: None, root_cert: authorities.map(<[u8]>::to_vec) });
        let node = |user: &str, host: &str, database: &str| node(is_secured, user, host, database);
        let nodes = |user: &str| hosts.split(',').map(|host| node(user, host, "")).collect::<Result<Vec<_>, _>>();
        match kind {
            "" if query.is_empty() => {
                let node = node(user, hosts, path)?;
                let client = match certificates {
                    Some(certificates) => Client::build_with_tls(node, certificates),
                    None => Client::open(node),
                };
                client.map(Self::Single).map_err(|error| wrong(&error.to_string()))
            }
            "-cluster" if path.is_empty() && query.is_empty() => Ok(Self::Cluster(nodes(user)?, certificates)),
            "-sentinel" => {
                let (master, database) = path.split_once('/').unwrap_or((path, ""));
                if master.is_empty() {
                    return Err(wrong("it names no master: redis-sentinel://host:port,host:port/master"));
                }
                let sentinels = nodes(&sentinel_user(query)?)?;
                let first = hosts.split(',').next().unwrap_or_default();
                let settings = node(user, first, database)?.redis_settings().clone();
                let client = match certificates {
                    Some(certificates) => secured(sentinels, master, &settings, certificates),
                    None => {
                        let settings = SentinelNodeConnectionInfo::default().set_redis_connection_info(settings);
                        let of = SentinelServerType::Master;
                        SentinelClient::build(sentinels, master, Some(settings), of)
                    }
                };
                client.map(Self::Sentinel).map_err(|error| wrong(&error.to_string()))
            }
            "" | "-cluster" => Err(wrong("it has a part that its scheme does not know")),
            _ => Err(wrong("its scheme is none of redis, redis-cluster, redis-sentinel, or the same with rediss")),
        }
    }
}

/// Sentinels, and the master that they name, over TLS.
fn secured(
    sentinels: Vec<ConnectionInfo>,
    master: &str,
    settings: &RedisConnectionInfo,
    certificates: TlsCertificates,
) -> Result<SentinelClient, RedisError> {
    let addresses: Vec<_> = sentinels.iter().map(|sentinel| sentinel.addr().clone()).collect();
    let mut builder = SentinelClientBuilder::new(addresses, master, SentinelServerType::Master)?
        .set_client_to_redis_tls_mode(TlsMode::Secure)
        .set_client_to_redis_certificates(certificates.clone())
        .set_client_to_redis_db(settings.db())
        .set_client_to_sentinel_tls_mode(TlsMode::Secure)
        .set_client_to_sentinel_certificates(certificates);
    if let Some(user) = settings.username() {
        builder = builder.set_client_to_redis_username(user);
    }
    if let Some(password) = settings.password() {
        builder = builder.set_client_to_redis_password(password);
    }
    let of_sentinels = sentinels.first().map(ConnectionInfo::redis_settings);
    if let Some(user) = of_sentinels.and_then(RedisConnectionInfo::username) {
        builder = builder.set_client_to_sentinel_username(user);
    }
    if let Some(password) = of_sentinels.and_then(RedisConnectionInfo::password) {
        builder = builder.set_client_to_sentinel_password(password);
    }
    builder.build()
}

fn node(is_secured: bool, user: &str, host: &str, database: &str) -> Result<ConnectionInfo, Error> {
    let scheme = if is_secured { "rediss" } else { "redis" };
    let user = if user.is_empty() { String::new() } else { format!("{user}@") };
    format!("{scheme}://{user}{host}/{database}").into_connection_info().map_err(|error| wrong(&error.to_string()))
}

/// The part before the `@` of a sentinel's URL, from the parameters of the whole.
fn sentinel_user(query: &str) -> Result<String, Error> {
    let (mut user, mut password) = ("", None);
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        match pair.split_once('=') {
            Some(("sentinel_user", value)) => user = value,
            Some(("sentinel_password", value)) => password = Some(value),
            _ => return Err(wrong("it has a parameter other than sentinel_user and sentinel_password")),
        }
    }
    match password {
        Some(password) => Ok(format!("{user}:{password}")),
        None if user.is_empty() => Ok(String::new()),
        None => Err(wrong("sentinel_user needs sentinel_password")),
    }
}

fn wrong(why: &str) -> Error {
    Error::Unfit(format!("the Redis address cannot be read: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        match Address::parse(text, None).unwrap() {
            Address::Single(client) => {
                let node = client.get_connection_info();
                format!("single {} {}", node.addr(), node.redis_settings().db())
            }
            Address::Cluster(nodes, certificates) => {
                assert_eq!(certificates.is_some(), text.starts_with("rediss"));
                let users = nodes.iter().map(|node| node.redis_settings().password().map(str::to_owned));
                format!("cluster {} {:?}", nodes.len(), users.collect::<Vec<_>>())
            }
            Address::Sentinel(_) => "sentinel".to_owned(),
        }
    }

    #[test]
    fn every_scheme_is_read() {
        assert_eq!(shown("localhost:6379"), "single localhost:6379 0");
        assert_eq!(shown("redis://u:p@h:1/3"), "single h:1 3");
        assert_eq!(shown("redis-cluster://u:p%40@a:1,b:2"), "cluster 2 [Some(\"p@\"), Some(\"p@\")]");
        assert_eq!(shown("rediss-cluster://u:p%40@a:1,b:2"), "cluster 2 [Some(\"p@\"), Some(\"p@\")]");
        for scheme in ["rediss", "redis"] {
            assert_eq!(shown(&format!("{scheme}://u:p@h:1/3")), "single h:1 3");
            assert_eq!(
                shown(&format!("{scheme}-sentinel://u:p@a:1,b:2/main/4?sentinel_user=s&sentinel_password=q")),
                "sentinel"
            );
        }
        assert_eq!(shown("redis-sentinel://a:1,b:2/main"), "sentinel");
        assert_eq!(shown("redis-sentinel://u:p@a:1,b:2/main/4?sentinel_user=s&sentinel_password=q"), "sentinel");
    }

    #[test]
    fn what_cannot_be_meant_is_refused_without_its_password() {
        for bad in [
            "http://u:hunter2@a:1",
            "redis://u:hunter2@a:1/x",
            "redis-cluster://u:hunter2@a:1/3",
            "redis-cluster://u:hunter2@a:1,b:x",
            "redis-sentinel://u:hunter2@a:1",
            "redis-sentinel://a:1/main?password=hunter2",
            "redis-sentinel://a:1/main?sentinel_user=hunter2",
            "redis://a:1?x=hunter2",
            "redisss://u:hunter2@a:1",
            "rediss-other://u:hunter2@a:1",
        ] {
            let Err(error) = Address::parse(bad, None) else { panic!("{bad}") };
            assert!(!error.to_string().contains("hunter2"), "{error}");
        }
    }
}
