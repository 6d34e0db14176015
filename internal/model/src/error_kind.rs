use std::fmt;

/// Says what the caller of a failed operation does next. Each library's `Error` has a `kind()`.
///
/// How a kind is told over gRPC and HTTP is one table: `loglake_api::status`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The request is wrong: fix it.
    Invalid,
    /// No valid credential: authenticate.
    Unauthenticated,
    /// The credential does not allow this.
    Forbidden,
    /// There is no such thing (or it is another tenant's: the answers are equal).
    NotFound,
    /// Somebody else was first.
    Conflict,
    /// It was valid once: start anew.
    Expired,
    /// Over a size limit: send less.
    TooLarge,
    /// It would cost more than allowed: ask for less.
    TooCostly,
    /// A media type, encoding or method that is not spoken here.
    Unsupported,
    /// A quota or buffer is full: slow down and try again.
    Exhausted,
    /// The disk is full, or nearly: free space, then try again.
    NoSpace,
    /// The time allowed ran out.
    Deadline,
    /// A part this depends on cannot be reached: try again.
    Unavailable,
    /// Stored bytes are damaged: page someone.
    Corrupt,
    /// A fault of ours: report it.
    Internal,
}

impl ErrorKind {
    /// Whether the same call may succeed later without any change to it.
    #[must_use]
    pub fn is_retryable(self) -> bool {
        matches!(self, Self::Exhausted | Self::NoSpace | Self::Deadline | Self::Unavailable)
    }

    /// The kind's name in lower snake case, as metrics label it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Invalid => "invalid",
            Self::Unauthenticated => "unauthenticated",
            Self::Forbidden => "forbidden",
            Self::NotFound => "not_found",
            Self::Conflict => "conflict",
            Self::Expired => "expired",
            Self::TooLarge => "too_large",
            Self::TooCostly => "too_costly",
            Self::Unsupported => "unsupported",
            Self::Exhausted => "exhausted",
            Self::NoSpace => "no_space",
            Self::Deadline => "deadline",
            Self::Unavailable => "unavailable",
            Self::Corrupt => "corrupt",
            Self::Internal => "internal",
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
