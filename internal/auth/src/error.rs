use std::net::SocketAddr;

use loglake_model::{ErrorKind, Fault, InvalidTenant, TenantName};

use crate::limits::Limit;
use crate::{LedgerError, Scope};

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
    /// No tenant may hand out what the operator alone has.
    #[error(
        "only a credential with the scope `operator` may give that scope, choose a token's id or name another tenant"
    )]
    OperatorOnly,
    /// The call is in no table of what may be called.
    #[error("this call is open to nobody")]
    Closed,
    /// Nobody but the servers themselves sends records for the tenant of the audit log.
    #[error("records of the tenant `loglake-audit` are written by Loglake alone")]
    Reserved,
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
    /// Two rows for client certificates have one name.
    #[error("two certificates have the name {0:?}")]
    DuplicateSan(String),
    /// There is no such thing, or it is another tenant's.
    #[error("there is no such {0}")]
    NoSuch(&'static str),
    /// The tenant is there already.
    #[error("there is a tenant `{0}` already")]
    TenantExists(TenantName),
    /// A token has the id already.
    #[error("there is a token with this id already")]
    TokenExists,
    /// It would have ended before it began.
    #[error("the time at which the token ends is over already")]
    Ended,
    /// A rotated token would stay valid for too long.
    #[error("a rotated token stays valid for at most 30 days")]
    Overlap,
    /// A bound of the registry is reached.
    #[error("there are {most} {what} already, which is the most: remove some")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// The bound.
        most: usize,
    },
    /// A tenant's limit has a value outside of its range.
    #[error("{1}")]
    Limit(Limit, Box<Fault>),
    /// Others kept changing the registry.
    #[error("the tenants and tokens were changed by others at the same time; try again")]
    Contended,
    /// This process keeps no tenants and tokens: it has no object store.
    #[error("this process has no registry of tenants and tokens")]
    NoRegistry,
    /// What the registry holds cannot be read.
    #[error("the registry of tenants and tokens is damaged: {0}")]
    Registry(String),
    /// The registry's ledger does not answer.
    #[error("the registry of tenants and tokens: {0}")]
    Ledger(#[from] LedgerError),
    /// The issuer of people's tokens answered with what cannot be used.
    #[error("the issuer (oidc.issuer): {0}")]
    Issuer(String),
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
            Self::Scope(_)
            | Self::OtherTenant(_)
            | Self::TwoTenants
            | Self::Reserved
            | Self::OperatorOnly
            | Self::Closed => ErrorKind::Forbidden,
            Self::NoSuch(_) => ErrorKind::NotFound,
            Self::TenantExists(_) | Self::TokenExists | Self::Contended => ErrorKind::Conflict,
            Self::TooMany { .. } => ErrorKind::Exhausted,
            Self::NoRegistry => ErrorKind::Unsupported,
            Self::Registry(_) => ErrorKind::Corrupt,
            Self::Ledger(error) => error.kind,
            Self::Issuer(_) => ErrorKind::Unavailable,
            Self::InvalidTenant { .. }
            | Self::RepeatedHeader(_)
            | Self::Limit(..)
            | Self::DuplicateId(_)
            | Self::InvalidId(_)
            | Self::NoScopes(_)
            | Self::DuplicateSan(_)
            | Self::Ended
            | Self::Overlap
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
            Self::Limit(limit, _) => limit.as_str(),
            _ => "",
        }
    }
}
