//! What the servers do when their memory is full: they must refuse to write, not drop entries.

use std::time::Duration;

use redis::cluster_routing::{MultipleNodeRoutingInfo, RoutingInfo};
use redis::{Cmd, FromRedisValue, RedisError, Value};

use super::answer::failed;
use super::link::{Connection, Link};
use crate::Error;

/// How often a running index looks again, beside each new connection.
const AGAIN: Duration = Duration::from_secs(60);
const WANTED: &str = "noeviction";

/// What a server says of itself.
#[derive(Debug, PartialEq, Eq)]
enum Policy {
    Told(String),
    /// It tells neither by CONFIG GET nor by INFO.
    Unknown,
}

/// Refuses servers that would evict entries, on every master.
///
/// # Errors
/// `Invalid` when one would, or is a node of a cluster that was named as a single server; `Unavailable`.
pub(super) async fn check(link: &Link) -> Result<(), Error> {
    let (_, mut connection) = link.connection().await.map_err(|error| failed("connect", &error))?;
    if let Connection::Node(node) = &mut connection {
        let info: Result<String, RedisError> = redis::cmd("INFO").arg("server").query_async(node).await;
        // Where INFO is forbidden, the first call says it.
        if info.is_ok_and(|info| field(&info, "redis_mode") == Some("cluster")) {
            return Err(Error::Unfit(
                "this Redis server is a node of a cluster; write its address as redis-cluster://host:port,host:port"
                    .to_owned(),
            ));
        }
    }
    let policies = policies(&mut connection).await.map_err(|error| failed("read maxmemory-policy", &error))?;
    for (server, policy) in &policies {
        match policy {
            Policy::Told(told) if told == WANTED => {}
            Policy::Told(told) => return Err(Error::Unfit(evicts(server, told))),
            Policy::Unknown => tracing::warn!(
                server,
                "redis tells its maxmemory-policy neither by CONFIG GET nor by INFO; it must be {WANTED}"
            ),
        }
    }
    Ok(())
}

/// Looks again after each new connection, which may lead to a promoted replica with settings of its own, and from time to
/// time. It only says what it finds: entries that are evicted are noticed by their counts, and the index is rebuilt.
pub(super) async fn watch(link: Link) {
    loop {
        tokio::select! {
            () = link.renewed() => {}
            () = tokio::time::sleep(AGAIN) => {}
        }
        let Ok((_, mut connection)) = link.connection().await else { continue };
        match policies(&mut connection).await {
            Ok(policies) => {
                for (server, policy) in policies {
                    if let Policy::Told(told) = policy
                        && told != WANTED
                    {
                        tracing::error!(server, policy = told, "{}", evicts(&server, &told));
                    }
                }
            }
            Err(error) => tracing::debug!(%error, "maxmemory-policy not read"),
        }
    }
}

fn evicts(server: &str, policy: &str) -> String {
    format!(
        "the maxmemory-policy of the Redis server {server} is {policy}: it would drop entries of the index when its memory \
         is full; set it to {WANTED} on every server of this index, replicas too (redis.conf, CONFIG SET, or the \
         parameters of a managed service)"
    )
}

/// The policy of each master.
async fn policies(connection: &mut Connection) -> Result<Vec<(String, Policy)>, RedisError> {
    let mut config = redis::cmd("CONFIG");
    config.arg("GET").arg("maxmemory-policy");
    match ask_masters(connection, config).await {
        Ok(answers) => {
            let told = answers.into_iter().map(|(server, answer)| (server, of_config(answer))).collect::<Vec<_>>();
            if told.iter().all(|(_, policy)| *policy != Policy::Unknown) {
                return Ok(told);
            }
        }
        Err(error) if error.is_io_error() || error.is_timeout() || error.is_cluster_error() => return Err(error),
        // Managed services forbid CONFIG.
        Err(error) => tracing::debug!(%error, "redis does not answer CONFIG GET, asking INFO"),
    }
    let mut info = redis::cmd("INFO");
    info.arg("memory");
    match ask_masters(connection, info).await {
        Ok(answers) => Ok(answers.into_iter().map(|(server, answer)| (server, of_info(answer))).collect()),
        Err(error) if error.is_io_error() || error.is_timeout() || error.is_cluster_error() => Err(error),
        Err(_) => Ok(vec![("(all)".to_owned(), Policy::Unknown)]),
    }
}

/// The answer of each master, by its address.
async fn ask_masters(connection: &mut Connection, question: Cmd) -> Result<Vec<(String, Value)>, RedisError> {
    match connection {
        Connection::Node(node) => Ok(vec![("in use".to_owned(), question.query_async(node).await?)]),
        Connection::Cluster(cluster) => {
            let everyone = RoutingInfo::MultiNode((MultipleNodeRoutingInfo::AllMasters, None));
            let answers: Vec<(String, Value)> =
                FromRedisValue::from_redis_value(cluster.route_command(question, everyone).await?)?;
            Ok(answers)
        }
    }
}

fn of_config(answer: Value) -> Policy {
    match <Vec<(String, String)>>::from_redis_value(answer) {
        Ok(pairs) => pairs
            .into_iter()
            .find(|(name, _)| name == "maxmemory-policy")
            .map_or(Policy::Unknown, |(_, policy)| Policy::Told(policy)),
        Err(_) => Policy::Unknown,
    }
}

fn of_info(answer: Value) -> Policy {
    let info = String::from_redis_value(answer).unwrap_or_default();
    field(&info, "maxmemory_policy").map_or(Policy::Unknown, |policy| Policy::Told(policy.to_owned()))
}

/// A field of what INFO says: lines of `name:value`.
fn field<'a>(info: &'a str, name: &str) -> Option<&'a str> {
    info.lines().find_map(|line| line.trim_end().strip_prefix(name)?.strip_prefix(':'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_policy_is_read_from_either_answer() {
        let text = |text: &str| Value::BulkString(text.as_bytes().to_vec());
        let pair = Value::Array(vec![text("maxmemory-policy"), text("allkeys-lru")]);
        assert_eq!(of_config(pair), Policy::Told("allkeys-lru".to_owned()));
        assert_eq!(of_config(Value::Array(Vec::new())), Policy::Unknown);
        let info = "# Memory\r\nmaxmemory:0\r\nmaxmemory_policy:noeviction\r\n";
        assert_eq!(of_info(text(info)), Policy::Told("noeviction".to_owned()));
        assert_eq!(of_info(text("# Memory\r\n")), Policy::Unknown);
    }
}
