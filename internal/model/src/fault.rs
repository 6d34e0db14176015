use std::fmt;

/// What can be wrong with one record or one parameter: the closed list of error codes that answers carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FaultCode {
    /// A required field is not there or empty.
    Missing,
    /// A value does not follow its rule.
    Invalid,
    /// A text or list is longer than allowed.
    TooLong,
    /// A body, message or record has more bytes than allowed.
    TooLarge,
    /// There are more items than allowed.
    TooMany,
    /// Objects or lists are nested deeper than allowed.
    TooDeep,
    /// The bytes are not JSON, or not of the shape asked for.
    Malformed,
    /// The bytes are not UTF-8.
    InvalidUtf8,
    /// A key stands twice in one object.
    DuplicateKey,
    /// A query would search more than its tenant may.
    QueryTooExpensive,
    /// A timestamp lies too far in the future.
    TooFarAhead,
    /// A timestamp is older than allowed.
    TooOld,
    /// A key or parameter that does not exist here.
    UnknownField,
    /// A media type or encoding that is not spoken here.
    Unsupported,
    /// No credential, or none that is valid.
    Unauthenticated,
    /// The credential does not allow this.
    Forbidden,
    /// There is no such thing.
    NotFound,
    /// Somebody else was first.
    Conflict,
    /// It was valid once.
    Expired,
    /// Over a quota: slow down.
    RateLimited,
    /// The tenant has as much stored as it may.
    QuotaExceeded,
    /// The server's disk is full, or nearly.
    NoSpace,
    /// The time allowed ran out.
    TimedOut,
    /// A part this depends on cannot be reached: try again.
    Unavailable,
    /// Stored bytes are damaged.
    Corrupt,
    /// A fault of ours.
    Internal,
}

impl FaultCode {
    /// The code as answers carry it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Invalid => "invalid",
            Self::TooLong => "too_long",
            Self::TooLarge => "too_large",
            Self::TooMany => "too_many",
            Self::TooDeep => "too_deep",
            Self::Malformed => "malformed",
            Self::InvalidUtf8 => "invalid_utf8",
            Self::DuplicateKey => "duplicate_key",
            Self::QueryTooExpensive => "query_too_expensive",
            Self::TooFarAhead => "too_far_ahead",
            Self::TooOld => "too_old",
            Self::UnknownField => "unknown_field",
            Self::Unsupported => "unsupported",
            Self::Unauthenticated => "unauthenticated",
            Self::Forbidden => "forbidden",
            Self::NotFound => "not_found",
            Self::Conflict => "conflict",
            Self::Expired => "expired",
            Self::RateLimited => "rate_limited",
            Self::QuotaExceeded => "quota_exceeded",
            Self::NoSpace => "no_space",
            Self::TimedOut => "timed_out",
            Self::Unavailable => "unavailable",
            Self::Corrupt => "corrupt",
            Self::Internal => "internal",
        }
    }
}

impl fmt::Display for FaultCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What is wrong with one record or one parameter, said so that the sender can put it right.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {message}")]
pub struct Fault {
    /// The kind of fault.
    pub code: FaultCode,
    /// The field at fault, such as `service` or `attributes.user`; empty when it is the whole.
    pub field: String,
    /// What is wrong and what would be right.
    pub message: String,
    /// The limit that was passed, where there is one.
    pub limit: Option<u64>,
    /// What was found instead.
    pub actual: Option<u64>,
}

impl Fault {
    /// Makes a fault without limits.
    #[must_use]
    pub fn new(code: FaultCode, field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { code, field: field.into(), message: message.into(), limit: None, actual: None }
    }

    /// Adds the limit that was passed and what was found.
    #[must_use]
    pub fn with_limit(mut self, limit: u64, actual: u64) -> Self {
        self.limit = Some(limit);
        self.actual = Some(actual);
        self
    }
}
