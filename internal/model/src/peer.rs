use std::sync::Arc;

/// Who is at the other end of a connection, as the client certificate says that was verified when the connection was made.
///
/// It gives no right to anything by itself: `loglake-auth` looks its names up. Only `loglake-transport` makes one; `clippy.toml`
/// bans [`Peer::from_verified`] everywhere else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer(Arc<Named>);

#[derive(Debug, PartialEq, Eq)]
struct Named {
    names: Vec<String>,
    not_after_ns: i64,
}

impl Peer {
    /// Says that a certificate with these subject alternative names was verified, and that it ends at `not_after_ns` (UTC).
    #[must_use]
    pub fn from_verified(names: Vec<String>, not_after_ns: i64) -> Self {
        Self(Arc::new(Named { names, not_after_ns }))
    }

    /// The subject alternative names: URIs as they stand there, each with a `:`; DNS names in lower case, which have none.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.0.names
    }

    /// When the certificate ends, ns UTC since the epoch: a connection may outlive it.
    #[must_use]
    pub fn not_after_ns(&self) -> i64 {
        self.0.not_after_ns
    }
}
