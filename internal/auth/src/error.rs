use std::net::SocketAddr;

use loglake_model::{ErrorKind, InvalidTenant, TenantName};

use crate::Scope;

/// Why a call is not allowed, or a setting of this crate cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// No credential, an unknown, altered or expired one, or several that differ. One text for all: it tells nobody which.
    #[error(
        "a valid credential is needed: `Authorization: Bearer <token>`, Basic with the token as password, or `X-API-Key`"
    )]
    Unauthenticated,
    /// The credential has not the scope that the call needs.
    #[error("the credential lacks the scope `{0}`")]
    Scope(Scope),
    /// The request names another tenant than its credential.
    #[error("the tenant `{0}` is not the one of the credential")]
    OtherTenant(TenantName),
    /// The request chooses two tenants.
    #[error("the request names two tenants, in `X-Scope-OrgID` and in its body: they must be equal")]
    TwoTenants,
    /// What should be a tenant's name is none.
    #[error("{place}: {source}")]
    InvalidTenant {
        /// The header or field.
        place: &'static str,
        /// The rule.
        source: InvalidTenant,
    },
    /// A header that may stand once stands there with several values.
    #[error("the header `{0}` is given more than once, with different values")]
    RepeatedHeader(&'static str),
    /// Two tokens have one id.
    #[error("two tokens have the id {0:?}")]
    DuplicateId(String),
    /// A token's id does not follow the rule.
    #[error("a token's id is 1 to 64 of A-Z a-z 0-9 -; {0:?} is not")]
    InvalidId(String),
    /// A token without scopes allows nothing.
    #[error("the token {0:?} has no scopes")]
    NoScopes(String),
    /// The cluster's secret could be guessed.
    #[error("the cluster's secret has at least 32 bytes; this one has {0}")]
    ShortSecret(usize),
    /// Anybody on the network could read and write without a credential.
    #[error(
        "`{key}` = {address} is not a loopback address, and there is no authentication: configure `auth.tokens`, listen on \
         127.0.0.1, or say `insecure`"
    )]
    OpenToTheNetwork {
        /// The setting.
        key: String,
        /// Its value.
        address: SocketAddr,
    },
}

impl Error {
    /// What the caller does next.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Unauthenticated => ErrorKind::Unauthenticated,
            Self::Scope(_) | Self::OtherTenant(_) | Self::TwoTenants => ErrorKind::Forbidden,
            Self::InvalidTenant { .. }
            | Self::RepeatedHeader(_)
            | Self::DuplicateId(_)
            | Self::InvalidId(_)
            | Self::NoScopes(_)
            | Self::ShortSecret(_)
            | Self::OpenToTheNetwork { .. } => ErrorKind::Invalid,
        }
    }

    /// The header or field at fault; empty when it is the credential.
    #[must_use]
    pub fn field(&self) -> &'static str {
        match self {
            Self::InvalidTenant { place, .. } => place,
            Self::RepeatedHeader(name) => name,
            _ => "",
        }
    }
}
