use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use tracing_subscriber::EnvFilter;

use super::{Bytes, Secret, Shape, span};

/// What a key's value can be: read from text, shown as text.
pub trait Value: Sized {
    /// What it looks like in the file.
    const SHAPE: Shape;

    /// Reads it. `Err` says what is wrong and what would be right.
    ///
    /// # Errors
    /// A sentence for the person who wrote the value. It does not repeat a secret.
    fn read(text: &str) -> Result<Self, String>;

    /// Shows it, without what is secret.
    fn show(&self) -> String;

    /// Whether `text` holds a secret.
    fn hides(_text: &str) -> bool {
        false
    }
}

impl<T: Value> Value for Option<T> {
    const SHAPE: Shape = T::SHAPE;

    fn read(text: &str) -> Result<Self, String> {
        if text.is_empty() { Ok(None) } else { T::read(text).map(Some) }
    }

    fn show(&self) -> String {
        self.as_ref().map(T::show).unwrap_or_default()
    }

    fn hides(text: &str) -> bool {
        T::hides(text)
    }
}

impl Value for String {
    const SHAPE: Shape = Shape::Text;

    fn read(text: &str) -> Result<Self, String> {
        if text.chars().any(char::is_control) {
            return Err("holds a control character".to_owned());
        }
        Ok(text.to_owned())
    }

    fn show(&self) -> String {
        self.clone()
    }
}

impl Value for PathBuf {
    const SHAPE: Shape = Shape::Text;

    fn read(text: &str) -> Result<Self, String> {
        String::read(text).map(Self::from)
    }

    fn show(&self) -> String {
        self.display().to_string()
    }
}

impl Value for bool {
    const SHAPE: Shape = Shape::Switch;

    fn read(text: &str) -> Result<Self, String> {
        match text {
            "true" => Ok(true),
            "false" => Ok(false),
            _ => Err(format!("\"{text}\" is neither true nor false")),
        }
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

impl Value for u32 {
    const SHAPE: Shape = Shape::Whole;

    fn read(text: &str) -> Result<Self, String> {
        text.parse().map_err(|_| format!("\"{text}\" is not a whole number from 0 to {}", Self::MAX))
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

impl Value for Bytes {
    const SHAPE: Shape = Shape::Amount;

    fn read(text: &str) -> Result<Self, String> {
        Self::parse(text)
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

impl Value for Duration {
    const SHAPE: Shape = Shape::Span;

    fn read(text: &str) -> Result<Self, String> {
        span::parse(text)
    }

    fn show(&self) -> String {
        span::show(*self)
    }
}

impl Value for Secret {
    const SHAPE: Shape = Shape::Text;

    fn read(text: &str) -> Result<Self, String> {
        Ok(Self::new(text))
    }

    fn show(&self) -> String {
        "(hidden)".to_owned()
    }

    fn hides(_text: &str) -> bool {
        true
    }
}

impl Value for SocketAddr {
    const SHAPE: Shape = Shape::Text;

    fn read(text: &str) -> Result<Self, String> {
        if let Some(port) = text.strip_prefix("localhost:").and_then(|port| port.parse().ok()) {
            return Ok(Self::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port));
        }
        text.parse().map_err(|_| format!("\"{text}\" is not an address to listen on; write it like \"127.0.0.1:8080\""))
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

/// The name of a cluster: 1 to 64 of `a-z 0-9 - _ .`, beginning with a letter or a digit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterName(String);

impl ClusterName {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Value for ClusterName {
    const SHAPE: Shape = Shape::Text;

    fn read(text: &str) -> Result<Self, String> {
        let good = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, b'-' | b'_' | b'.');
        match text.as_bytes() {
            [first, ..] if first.is_ascii_alphanumeric() && text.len() <= 64 && text.bytes().all(good) => {
                Ok(Self(text.to_owned()))
            }
            _ => Err(format!(
                "\"{text}\" is not a cluster's name: 1 to 64 of a-z 0-9 - _ . beginning with a letter or a digit"
            )),
        }
    }

    fn show(&self) -> String {
        self.0.clone()
    }
}

/// Servers, each `host:port`; at least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Addresses(Vec<String>);

impl Addresses {
    /// The servers.
    #[must_use]
    pub fn as_slice(&self) -> &[String] {
        &self.0
    }

    /// The servers with commas between.
    #[must_use]
    pub fn joined(&self) -> String {
        self.0.join(",")
    }
}

impl Value for Addresses {
    const SHAPE: Shape = Shape::List;

    fn read(text: &str) -> Result<Self, String> {
        text.split(',').map(|one| host_and_port(one.trim()).map(str::to_owned)).collect::<Result<_, _>>().map(Self)
    }

    fn show(&self) -> String {
        self.joined()
    }
}

/// Words; may be none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Words(Vec<String>);

impl Words {
    /// The words.
    #[must_use]
    pub fn as_slice(&self) -> &[String] {
        &self.0
    }
}

impl Value for Words {
    const SHAPE: Shape = Shape::List;

    fn read(text: &str) -> Result<Self, String> {
        let words = text.split(',').map(str::trim).filter(|word| !word.is_empty());
        let words: Vec<String> = words.map(str::to_owned).collect();
        match words.iter().find(|word| word.chars().any(|c| c.is_control() || c.is_whitespace())) {
            Some(word) => Err(format!("{word:?} is more than a word")),
            None => Ok(Self(words)),
        }
    }

    fn show(&self) -> String {
        self.0.join(",")
    }
}

/// An address that others are told to call: always `http://host:port`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advertised(String);

impl Advertised {
    /// The address as a URL.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.0
    }
}

impl Value for Advertised {
    const SHAPE: Shape = Shape::Text;

    fn read(text: &str) -> Result<Self, String> {
        host_and_port(text.strip_prefix("http://").unwrap_or(text)).map(|address| Self(format!("http://{address}")))
    }

    fn show(&self) -> String {
        self.0.clone()
    }
}

/// Where Redis is, as a URL: one server, a cluster, or a master behind sentinels.
#[derive(Clone, PartialEq, Eq)]
pub struct RedisAddress(String);

impl RedisAddress {
    /// The URL; it may hold a password.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for RedisAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.show())
    }
}

impl Value for RedisAddress {
    const SHAPE: Shape = Shape::Text;

    fn read(text: &str) -> Result<Self, String> {
        let wrong = || {
            "is not where a Redis is; write it like \"127.0.0.1:6379\", \"redis://user:password@host:6379/0\", \
             \"redis-cluster://host:6379,host:6379\" or \"redis-sentinel://host:26379,host:26379/master\""
                .to_owned()
        };
        let (scheme, rest) = text.split_once("://").unwrap_or(("redis", text));
        let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
        let address = place.rsplit_once('@').map_or(place, |(_, address)| address);
        let (hosts, path) = address.split_once('/').unwrap_or((address, ""));
        let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        let (most_hosts, is_path_known) = match scheme {
            "redis" => (1, is_number(path) && query.is_empty()),
            "redis-cluster" => (usize::MAX, path.is_empty() && query.is_empty()),
            "redis-sentinel" => {
                let (master, database) = path.split_once('/').unwrap_or((path, ""));
                let mut parameters = query.split('&').filter(|parameter| !parameter.is_empty());
                let is_known = |parameter: &str| {
                    matches!(parameter.split_once('='), Some(("sentinel_user" | "sentinel_password", _)))
                };
                (usize::MAX, !master.is_empty() && is_number(database) && parameters.all(is_known))
            }
            scheme => {
                return Err(format!(
                    "\"{scheme}://\" is not spoken here; use \"redis://\", \"redis-cluster://\" or \"redis-sentinel://\""
                ));
            }
        };
        let are_hosts = hosts.split(',').all(|host| host_and_port(host).is_ok());
        if !is_path_known || !are_hosts || hosts.split(',').count() > most_hosts {
            return Err(wrong());
        }
        Ok(Self(format!("{scheme}://{rest}")))
    }

    fn show(&self) -> String {
        let (place, query) = self.0.split_once('?').unwrap_or((&self.0, ""));
        let query = if query.is_empty() { "" } else { "?(hidden)" };
        let (scheme, rest) = place.split_once("://").unwrap_or(("", place));
        match rest.rsplit_once('@') {
            Some((_, address)) => format!("{scheme}://(hidden)@{address}{query}"),
            None => format!("{place}{query}"),
        }
    }

    fn hides(text: &str) -> bool {
        text.contains('@') || text.contains("sentinel_password=")
    }
}

/// What is logged, as a filter by level and part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogFilter(String);

impl LogFilter {
    /// The filter as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Value for LogFilter {
    const SHAPE: Shape = Shape::Text;

    fn read(text: &str) -> Result<Self, String> {
        // The filter takes a lone unknown word for the name of a part, and then shows nothing.
        let is_level = |word: &str| matches!(word, "off" | "error" | "warn" | "info" | "debug" | "trace");
        let levels_are_known = text.split(',').all(|part| {
            let level = part.rsplit_once('=').map_or(part, |(_, level)| level).trim().to_ascii_lowercase();
            is_level(&level)
        });
        if !levels_are_known || EnvFilter::builder().parse(text).is_err() {
            return Err(format!(
                "\"{text}\" is not a level: error, warn, info, debug, trace, or info,loglake_query=debug"
            ));
        }
        Ok(Self(text.to_owned()))
    }

    fn show(&self) -> String {
        self.0.clone()
    }
}

/// How it is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// One line of text an event.
    Text,
}

impl Value for LogFormat {
    const SHAPE: Shape = Shape::Text;

    fn read(text: &str) -> Result<Self, String> {
        match text {
            "json" => Ok(Self::Json),
            "text" => Ok(Self::Text),
            _ => Err(format!("\"{text}\" is neither json nor text")),
        }
    }

    fn show(&self) -> String {
        match self {
            Self::Json => "json".to_owned(),
            Self::Text => "text".to_owned(),
        }
    }
}

/// What becomes of a partition when the broker deleted records before they were flushed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LostRecords {
    /// It halts.
    Halt,
    /// It writes down what is lost and goes on.
    Gap,
}

impl Value for LostRecords {
    const SHAPE: Shape = Shape::Text;

    fn read(text: &str) -> Result<Self, String> {
        match text {
            "halt" => Ok(Self::Halt),
            "gap" => Ok(Self::Gap),
            _ => Err(format!("\"{text}\" is neither halt nor gap")),
        }
    }

    fn show(&self) -> String {
        match self {
            Self::Halt => "halt".to_owned(),
            Self::Gap => "gap".to_owned(),
        }
    }
}

/// Checks `host:port`: a name, an IPv4 address or an IPv6 one in brackets, and a port that is not 0.
fn host_and_port(text: &str) -> Result<&str, String> {
    let wrong = || format!("\"{text}\" is not an address; write it like \"host:9092\"");
    let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
    let is_host = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        Some(inner) => inner.parse::<std::net::Ipv6Addr>().is_ok(),
        None => !host.is_empty() && host.bytes().all(|c| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'.' | b'_')),
    };
    match port.parse::<u16>() {
        Ok(1..) if is_host => Ok(text),
        _ => Err(wrong()),
    }
}
