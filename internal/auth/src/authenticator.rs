use std::collections::HashMap;

use http::HeaderMap;
use loglake_model::TenantName;
use subtle::ConstantTimeEq as _;
use tracing::warn;

use crate::credential::{self, TENANT};
use crate::token::{self, Token};
use crate::{Caller, Error, Scope};

/// Whose requests are let in.
#[derive(Debug)]
pub struct Authenticator {
    mode: Mode,
}

#[derive(Debug)]
enum Mode {
    /// Nobody needs a credential; the request chooses its tenant.
    Open { fallback: TenantName },
    /// Tokens by their id.
    Tokens(HashMap<String, Token>),
}

impl Authenticator {
    /// The tenant of requests that choose none, in open mode.
    pub const DEFAULT_TENANT: &'static str = "default";

    /// Lets everybody in, for every tenant: for loopback only, see [`crate::require_loopback`].
    #[must_use]
    pub fn open() -> Self {
        let fallback = TenantName::parse(Self::DEFAULT_TENANT).expect("the name follows the rule");
        Self { mode: Mode::Open { fallback } }
    }

    /// Lets in who has one of `tokens`; nobody when there are none.
    ///
    /// # Errors
    /// `Invalid` for two tokens of one id, an id outside of its rule, a token without scopes.
    pub fn with_tokens(tokens: Vec<Token>) -> Result<Self, Error> {
        let mut by_id = HashMap::with_capacity(tokens.len());
        for token in tokens {
            token.check()?;
            if let Some(former) = by_id.insert(token.id.clone(), token) {
                return Err(Error::DuplicateId(former.id));
            }
        }
        Ok(Self { mode: Mode::Tokens(by_id) })
    }

    /// Whether nobody needs a credential.
    #[must_use]
    pub fn is_open(&self) -> bool {
        matches!(self.mode, Mode::Open { .. })
    }

    /// Says who makes the request with these `headers` (HTTP headers or gRPC metadata), if they may do what needs `scope`.
    ///
    /// The token comes from `Authorization: Bearer`, from the password of `Basic` or from `X-API-Key`. `X-Scope-OrgID` may
    /// repeat the tenant; in open mode it chooses it, and credentials are not looked at.
    ///
    /// # Errors
    /// `Unauthenticated` without a valid credential (one text for all cases); `Forbidden` without the scope or for another
    /// tenant; `Invalid` for what is no tenant's name.
    pub fn authenticate(&self, headers: &HeaderMap, scope: Scope, now_ns: i64) -> Result<Caller, Error> {
        let tokens = match &self.mode {
            Mode::Open { fallback } => return Ok(Caller::open(credential::tenant_header(headers)?, fallback)),
            Mode::Tokens(tokens) => tokens,
        };
        let text = credential::token_text(headers)?;
        let found = token::id_of(&text).and_then(|id| tokens.get(id));
        let Some(token) = found else {
            // As much work as for a token that exists, so that ids cannot be told by the clock.
            let _ = token::sha256(&text).ct_eq(&[0; 32]);
            return Err(Error::Unauthenticated);
        };
        if !token.is(&text) || !token.is_alive(now_ns) {
            return Err(Error::Unauthenticated);
        }
        if !token.scopes.contains(&scope) {
            return Err(Error::Scope(scope));
        }
        match credential::tenant_header(headers)? {
            Some(named) if named != token.tenant => {
                warn!(token = token.id, tenant = %token.tenant, claimed = %named, place = TENANT, "other tenant refused");
                Err(Error::OtherTenant(named))
            }
            _ => Ok(Caller::by_token(token)),
        }
    }
}

#[cfg(test)]
mod tests;
