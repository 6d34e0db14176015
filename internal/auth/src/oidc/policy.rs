use std::collections::BTreeSet;

use jsonwebtoken::Algorithm;
use loglake_model::{Fault, FaultCode, TenantName};

use super::crypto;
use crate::Scope;

/// Whose tokens are taken, and what they are good for, as configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OidcConfig {
    /// The issuer, exactly as its tokens say it in `iss`.
    pub issuer: String,
    /// What `aud` must hold: this installation's name at the issuer.
    pub audience: String,
    /// The algorithms that may sign, by their names in RFC 7518.
    pub algorithms: Vec<String>,
    /// The tenant of everybody; or else
    pub tenant: Option<String>,
    /// the claim that names the tenant, a text.
    pub tenant_claim: Option<String>,
    /// What everybody may do; or else
    pub scopes: Vec<String>,
    /// the claim that names it: a list, or words in a text, of which `loglake:query` allows `query`.
    pub scope_claim: Option<String>,
}

/// An [`OidcConfig`] that was checked.
#[derive(Clone, Debug)]
pub(super) struct Policy {
    pub(super) issuer: String,
    pub(super) audience: String,
    pub(super) algorithms: Vec<Algorithm>,
    pub(super) tenant: TenantOf,
    pub(super) scopes: ScopesOf,
}

#[derive(Clone, Debug)]
pub(super) enum TenantOf {
    Everybody(TenantName),
    Claim(String),
}

#[derive(Clone, Debug)]
pub(super) enum ScopesOf {
    Everybody(BTreeSet<Scope>),
    Claim(String),
}

impl Policy {
    /// Checks `config`. The field of a fault is the key's name within its section, such as `algorithms`.
    pub(super) fn new(config: &OidcConfig) -> Result<Self, Vec<Fault>> {
        let mut faults = Vec::new();
        let mut fault = |field: &str, message: String| faults.push(Fault::new(FaultCode::Invalid, field, message));
        let mut algorithms = Vec::new();
        for name in &config.algorithms {
            match crypto::KNOWN.into_iter().find(|known| format!("{known:?}") == *name) {
                Some(known) => algorithms.push(known),
                None => {
                    let known = crypto::KNOWN.map(|known| format!("{known:?}")).join(", ");
                    fault("algorithms", format!("{name:?} is none that may sign; there are {known}"));
                }
            }
        }
        if config.algorithms.is_empty() {
            fault("algorithms", "at least one is needed, such as RS256".to_owned());
        }
        if config.audience.is_empty() {
            fault("audience", "is needed: without it every token of the issuer would do".to_owned());
        }
        let tenant = match (&config.tenant, &config.tenant_claim) {
            (Some(name), None) => match TenantName::parse(name) {
                Ok(name) => Some(TenantOf::Everybody(name)),
                Err(error) => {
                    fault("tenant", error.to_string());
                    None
                }
            },
            (None, Some(claim)) => Some(TenantOf::Claim(claim.clone())),
            _ => {
                fault("tenant", "either the tenant or the claim that names it (tenant_claim) is needed".to_owned());
                None
            }
        };
        let mut scopes = BTreeSet::new();
        for name in &config.scopes {
            match name.parse::<Scope>() {
                Ok(scope) => drop(scopes.insert(scope)),
                Err(()) => fault("scopes", format!("there is no scope {name:?}, only {}", names(Scope::ALL))),
            }
        }
        let scopes = match &config.scope_claim {
            Some(claim) => ScopesOf::Claim(claim.clone()),
            None => ScopesOf::Everybody(scopes),
        };
        match tenant {
            Some(tenant) if faults.is_empty() => {
                let (issuer, audience) = (config.issuer.clone(), config.audience.clone());
                Ok(Self { issuer, audience, algorithms, tenant, scopes })
            }
            _ => Err(faults),
        }
    }
}

fn names<const N: usize>(scopes: [Scope; N]) -> String {
    scopes.map(Scope::as_str).join(", ")
}
