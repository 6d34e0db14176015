use std::sync::Arc;

use loglake_model::{TenantId, TenantName};
use tracing::warn;

use crate::oidc::Person;
use crate::registry::{LiveTenant, LiveToken};
use crate::{Error, Scope};

/// Who makes a request, as its credential said.
#[derive(Clone, Debug)]
pub struct Caller {
    tenant: TenantId,
    /// Nobody has chosen the tenant yet: open mode without `X-Scope-OrgID`.
    may_choose: bool,
    credential: Credential,
    /// What holds for the whole tenant, where the registry knows it.
    standing: Option<Arc<LiveTenant>>,
}

/// What was checked.
#[derive(Clone, Debug)]
enum Credential {
    /// Nothing: open mode.
    None,
    /// A token; it may end while the caller is served.
    Token(Arc<LiveToken>),
    /// A person's token, signed by the issuer.
    Person(Arc<Person>),
}

impl Caller {
    /// The caller whom a checked token speaks for.
    #[expect(clippy::disallowed_methods, reason = "this is the crate that makes a TenantId, out of a checked token")]
    pub(crate) fn by_token(token: Arc<LiveToken>, standing: Option<Arc<LiveTenant>>) -> Self {
        Self {
            tenant: TenantId::from_credential(token.token.tenant.clone()),
            may_choose: false,
            credential: Credential::Token(token),
            standing,
        }
    }

    /// The caller whose token an issuer signed.
    #[expect(clippy::disallowed_methods, reason = "this is the crate that makes a TenantId, out of a verified token")]
    pub(crate) fn by_person(person: Person, standing: Option<Arc<LiveTenant>>) -> Self {
        Self {
            tenant: TenantId::from_credential(person.tenant.clone()),
            may_choose: false,
            credential: Credential::Person(Arc::new(person)),
            standing,
        }
    }

    /// A caller in open mode, who has chosen a tenant, or gets `fallback`.
    #[expect(clippy::disallowed_methods, reason = "in open mode the choice stands for the credential")]
    pub(crate) fn open(chosen: Option<TenantName>, fallback: &TenantName) -> Self {
        Self {
            may_choose: chosen.is_none(),
            tenant: TenantId::from_credential(chosen.unwrap_or_else(|| fallback.clone())),
            credential: Credential::None,
            standing: None,
        }
    }

    /// The tenant on whose behalf everything in this request is done, unless its body chose one: see [`Caller::claim`].
    #[must_use]
    pub fn tenant(&self) -> &TenantId {
        &self.tenant
    }

    /// The id of the token used; `None` for other credentials, and in open mode.
    #[must_use]
    pub fn token_id(&self) -> Option<&str> {
        match &self.credential {
            Credential::Token(token) => Some(&token.token.id),
            Credential::Person(_) | Credential::None => None,
        }
    }

    /// Whether the credential has `scope`; in open mode everybody has all.
    #[must_use]
    pub fn has(&self, scope: Scope) -> bool {
        match &self.credential {
            Credential::Token(token) => token.token.scopes.contains(&scope),
            Credential::Person(person) => person.scopes.contains(&scope),
            Credential::None => true,
        }
    }

    /// Checks that the credential is still valid at `now_ns`: for streams that outlive it.
    ///
    /// # Errors
    /// `Unauthenticated` once it has expired, was revoked, or its tenant was suspended.
    pub fn check(&self, now_ns: i64) -> Result<(), Error> {
        let is_alive = match &self.credential {
            Credential::Token(token) => token.is_alive(now_ns),
            Credential::Person(person) => now_ns < person.ends_ns,
            Credential::None => true,
        };
        let is_suspended = self.standing.as_ref().is_some_and(|tenant| tenant.is_suspended());
        if is_alive && !is_suspended { Ok(()) } else { Err(Error::Unauthenticated) }
    }

    /// Who this is, for the registry's chain and the log: `token k3v9d0 of acme`, `person 248289761001 of acme`.
    #[must_use]
    pub fn name(&self) -> String {
        match &self.credential {
            Credential::Token(token) => format!("token {} of {}", token.token.id, self.tenant),
            Credential::Person(person) => format!("person {} of {}", person.subject, self.tenant),
            Credential::None => "anybody, in open mode".to_owned(),
        }
    }

    /// The tenant of a request that names one in its body, as `tenant_id`. It may repeat the credential's; in open mode it
    /// chooses, where `X-Scope-OrgID` has not.
    ///
    /// # Errors
    /// `Invalid` when it is no tenant's name; `Forbidden` when it is another tenant than the credential's, or than that of
    /// `X-Scope-OrgID`.
    #[expect(clippy::disallowed_methods, reason = "in open mode the choice stands for the credential")]
    pub fn claim(&self, tenant_id: &str) -> Result<TenantId, Error> {
        let place = "tenant_id";
        let name = TenantName::parse(tenant_id).map_err(|source| Error::InvalidTenant { place, source })?;
        if name == *self.tenant.name() {
            Ok(self.tenant.clone())
        } else if self.may_choose {
            Ok(TenantId::from_credential(name))
        } else if matches!(self.credential, Credential::None) {
            Err(Error::TwoTenants)
        } else {
            warn!(caller = self.name(), claimed = %name, place, "other tenant refused");
            Err(Error::OtherTenant(name))
        }
    }
}
