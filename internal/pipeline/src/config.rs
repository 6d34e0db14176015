use std::time::Duration;

/// What of the pipeline can be set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// How far a timestamp may lie after its receipt. Default: an hour. More lets clocks that are wrong open chunks far ahead.
    pub max_future: Duration,
    /// How old a timestamp may be at its receipt; `None`, the default, for any age.
    pub max_age: Option<Duration>,
    /// Whether lines keep the time of receipt as `received_at`. Default: no; it costs 3 % of the bytes at rest.
    pub keep_received_at: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self { max_future: Duration::from_secs(3600), max_age: None, keep_received_at: false }
    }
}
