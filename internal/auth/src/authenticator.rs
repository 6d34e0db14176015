use std::collections::HashMap;
use std::sync::Arc;

use http::HeaderMap;
use loglake_model::TenantName;
use subtle::ConstantTimeEq as _;
use tracing::warn;

use crate::credential::{self, TENANT};
use crate::registry::{LiveTenant, LiveToken};
use crate::token::{self, Token};
use crate::{Access, Caller, Error, Oidc, Registry};

/// Whose requests are let in.
#[derive(Debug)]
pub struct Authenticator {
    mode: Mode,
    /// The tenants and tokens that can be changed while this runs.
    registry: Option<Arc<Registry>>,
    /// Who verifies the tokens that an issuer signed for people.
    oidc: Option<Arc<Oidc>>,
}

#[derive(Debug)]
enum Mode {
    /// Nobody needs a credential; the request chooses its tenant.
    Open { fallback: TenantName },
    /// The configuration's tokens by their id; the registry has more.
    Tokens(HashMap<String, Arc<LiveToken>>),
}

impl Authenticator {
    /// The tenant of requests that choose none, in open mode.
    pub const DEFAULT_TENANT: &'static str = "default";

    /// Lets everybody in, for every tenant: for loopback only, see [`crate::require_loopback`].
    #[must_use]
    pub fn open() -> Self {
        let fallback = TenantName::parse(Self::DEFAULT_TENANT).expect("the name follows the rule");
        Self { mode: Mode::Open { fallback }, registry: None, oidc: None }
    }

    /// Lets in who has one of `tokens`; nobody when there are none.
    ///
    /// # Errors
    /// `Invalid` for two tokens of one id, an id outside of its rule, a token without scopes.
    pub fn with_tokens(tokens: Vec<Token>) -> Result<Self, Error> {
        let mut by_id = HashMap::with_capacity(tokens.len());
        for token in tokens {
            token.check()?;
            if let Some(former) = by_id.insert(token.id.clone(), Arc::new(LiveToken::new(token))) {
                return Err(Error::DuplicateId(former.token.id.clone()));
            }
        }
        Ok(Self { mode: Mode::Tokens(by_id), registry: None, oidc: None })
    }

    /// Lets the tokens of `registry` in too, unless it is open anyway, and refuses those of suspended tenants.
    #[must_use]
    pub fn with_registry(self, registry: Arc<Registry>) -> Self {
        Self { registry: Some(registry), ..self }
    }

    /// Lets people in whose tokens `oidc` verifies, unless it is open anyway.
    #[must_use]
    pub fn with_oidc(self, oidc: Arc<Oidc>) -> Self {
        Self { oidc: Some(oidc), ..self }
    }

    /// Who verifies people's tokens, where there is an issuer.
    #[must_use]
    pub fn oidc(&self) -> Option<&Arc<Oidc>> {
        self.oidc.as_ref()
    }

    /// The tenants and tokens that can be changed while this runs, where this process has them.
    #[must_use]
    pub fn registry(&self) -> Option<&Arc<Registry>> {
        self.registry.as_ref()
    }

    /// Whether nobody needs a credential.
    #[must_use]
    pub fn is_open(&self) -> bool {
        matches!(self.mode, Mode::Open { .. })
    }

    /// Says who makes the request with these `headers` (HTTP headers or gRPC metadata), if they may do what asks for `access`.
    /// `None` where nothing is asked for.
    ///
    /// The token comes from `Authorization: Bearer`, from the password of `Basic` or from `X-API-Key`; it is one of this
    /// installation, or one that its issuer signed. `X-Scope-OrgID` may repeat the tenant; in open mode it chooses it, and
    /// credentials are not looked at.
    ///
    /// # Errors
    /// `Unauthenticated` without a valid credential (one text for all cases); `Forbidden` without the scope, for another
    /// tenant, or where nobody may; `Invalid` for what is no tenant's name.
    pub fn authorize(&self, headers: &HeaderMap, access: Access, now_ns: i64) -> Result<Option<Caller>, Error> {
        let scopes = match access {
            Access::Public => return Ok(None),
            Access::Closed => return Err(Error::Closed),
            Access::AnyOf(scopes) => scopes,
        };
        let tokens = match &self.mode {
            Mode::Open { fallback } => {
                return Ok(Some(Caller::open(credential::tenant_header(headers)?, fallback)));
            }
            Mode::Tokens(tokens) => tokens,
        };
        let text = credential::token_text(headers)?;
        let caller = match &self.oidc {
            Some(oidc) if Oidc::is_shaped(&text) => {
                let person = oidc.verify(&text, now_ns)?;
                let standing = self.standing(&person.tenant);
                Caller::by_person(person, standing)
            }
            _ => self.by_token(tokens, &text)?,
        };
        caller.check(now_ns)?;
        if !scopes.iter().any(|scope| caller.has(*scope)) {
            return Err(scopes.first().map_or(Error::Closed, |scope| Error::Scope(*scope)));
        }
        match credential::tenant_header(headers)? {
            Some(named) if named != *caller.tenant().name() => {
                warn!(caller = caller.name(), claimed = %named, place = TENANT, "other tenant refused");
                Err(Error::OtherTenant(named))
            }
            _ => Ok(Some(caller)),
        }
    }

    fn by_token(&self, tokens: &HashMap<String, Arc<LiveToken>>, text: &str) -> Result<Caller, Error> {
        let Some(token) = token::id_of(text).and_then(|id| self.find(tokens, id)) else {
            // As much work as for a token that exists, so that ids cannot be told by the clock.
            let _ = token::sha256(text).ct_eq(&[0; 32]);
            return Err(Error::Unauthenticated);
        };
        if !token.token.is(text) {
            return Err(Error::Unauthenticated);
        }
        let standing = self.standing(&token.token.tenant);
        Ok(Caller::by_token(token, standing))
    }

    fn find(&self, tokens: &HashMap<String, Arc<LiveToken>>, id: &str) -> Option<Arc<LiveToken>> {
        tokens.get(id).cloned().or_else(|| self.registry.as_ref()?.token(id))
    }

    fn standing(&self, tenant: &TenantName) -> Option<Arc<LiveTenant>> {
        self.registry.as_ref()?.tenant(tenant)
    }
}

#[cfg(test)]
mod tests;
