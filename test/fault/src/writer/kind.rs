/// What a writer speaks, and whether it sends again what has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// NDJSON over HTTP, each request once.
    Http,
    /// Single batches over gRPC, each once.
    Unary,
    /// Batches over a gRPC stream, each once.
    Stream,
    /// NDJSON over HTTP, each request with a key and as often as need be.
    KeyedHttp,
    /// Single batches over gRPC, each with a key and as often as need be.
    KeyedUnary,
    /// Numbered batches of a session over gRPC streams, each as often as need be.
    Session,
}

impl Kind {
    /// All of them.
    pub const ALL: &'static [Self] =
        &[Self::Http, Self::Unary, Self::Stream, Self::KeyedHttp, Self::KeyedUnary, Self::Session];
    /// For rows during which more than ten minutes go by in the log's time, or partitions are added: what is sent again with
    /// a key may be kept twice then.
    pub const WITHOUT_KEYS: &'static [Self] = &[Self::Http, Self::Unary, Self::Stream, Self::Session];

    /// Whether each of its requests has a key.
    pub(crate) fn has_keys(self) -> bool {
        matches!(self, Self::KeyedHttp | Self::KeyedUnary)
    }

    /// Whether the server promises to drop what it sends again.
    pub(crate) fn is_deduplicated(self) -> bool {
        self.has_keys() || self == Self::Session
    }
}
