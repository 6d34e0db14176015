use std::collections::BTreeSet;

use loglake_model::{Fault, FaultCode, TenantName, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{Scope, Token, hex};

/// One `[[auth.tokens]]` of the configuration, as written there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenConfig {
    /// The token's id: 1..=64 of `A-Z a-z 0-9 -`.
    pub id: String,
    /// SHA-256 of the token's text, 64 hexadecimal digits. `loglake token new` prints it.
    pub sha256: String,
    /// The tenant whose token it is.
    pub tenant: String,
    /// What it allows: `ingest`, `query`, `admin`, `operator`.
    pub scopes: Vec<String>,
    /// When it stops being valid, RFC 3339; absent for never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<String>,
}

/// Reads the tokens of a configuration.
///
/// # Errors
/// All faults at once; the field of each says where, such as `auth.tokens[2].sha256`. Two tokens of one id are a fault too.
pub fn tokens_from(configs: &[TokenConfig]) -> Result<Vec<Token>, Vec<Fault>> {
    let mut faults = Vec::new();
    let mut ids = BTreeSet::new();
    let mut tokens = Vec::with_capacity(configs.len());
    for (at, config) in configs.iter().enumerate() {
        let place = |field: &str| format!("auth.tokens[{at}].{field}");
        let mut invalid =
            |field: &str, message: String| faults.push(Fault::new(FaultCode::Invalid, place(field), message));

        let sha256 = hex::decode::<32>(&config.sha256);
        if sha256.is_none() {
            invalid("sha256", "64 hexadecimal digits are needed, as `loglake token new` prints them".to_owned());
        }
        let tenant = TenantName::parse(&config.tenant).map_err(|error| invalid("tenant", error.to_string())).ok();
        let mut scopes = BTreeSet::new();
        for name in &config.scopes {
            match name.parse::<Scope>() {
                Ok(scope) => drop(scopes.insert(scope)),
                Err(()) => {
                    invalid("scopes", format!("there is no scope {name:?}, only ingest, query, admin and operator"))
                }
            }
        }
        let expires = config.expires.as_deref().map(Timestamp::parse).transpose();
        let expires = expires.map_err(|error| invalid("expires", error.to_string())).ok();
        if !ids.insert(config.id.as_str()) {
            invalid("id", format!("another token has the id {:?} already", config.id));
        }

        let (Some(sha256), Some(tenant), Some(expires)) = (sha256, tenant, expires) else { continue };
        let expires_ns = expires.map(|moment| moment.0);
        let token = Token { id: config.id.clone(), sha256, tenant, scopes, expires_ns };
        match token.check() {
            Ok(()) => tokens.push(token),
            Err(error) => invalid("id", error.to_string()),
        }
    }
    if faults.is_empty() { Ok(tokens) } else { Err(faults) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize)]
    struct File {
        tokens: Vec<TokenConfig>,
    }

    fn read(text: &str) -> Result<Vec<Token>, Vec<Fault>> {
        tokens_from(&toml::from_str::<File>(text).unwrap().tokens)
    }

    #[test]
    fn a_good_table_becomes_a_token() {
        let hash = "Ab".repeat(32);
        let tokens = read(&format!(
            "[[tokens]]\nid='a-1'\nsha256='{hash}'\ntenant='acme'\nscopes=['query','ingest']\nexpires='2027-01-01T00:00:00Z'"
        ));
        let token = &tokens.unwrap()[0];
        assert_eq!((token.id.as_str(), token.tenant.as_str(), token.sha256), ("a-1", "acme", [0xab; 32]));
        assert_eq!(token.scopes, BTreeSet::from([Scope::Ingest, Scope::Query]));
        assert_eq!(token.expires_ns, Some(1_798_761_600_000_000_000));
    }

    #[test]
    fn every_fault_is_reported_with_its_place() {
        let good = format!("sha256='{}'\ntenant='t'\nscopes=['query']", "00".repeat(32));
        let faults = read(&format!(
            "[[tokens]]\nid='x'\n{good}\n[[tokens]]\nid='x'\nsha256='zz'\ntenant='../a'\nscopes=['root']\nexpires='soon'\n\
             [[tokens]]\nid='a_b'\n{good}"
        ));
        let places: Vec<String> = faults.unwrap_err().into_iter().map(|fault| fault.field).collect();
        let second = ["sha256", "tenant", "scopes", "expires", "id"].map(|field| format!("auth.tokens[1].{field}"));
        assert_eq!(places, [&second[..], &["auth.tokens[2].id".to_owned()]].concat());
        assert!(toml::from_str::<File>("[[tokens]]\nid='x'\nsecret='oops'").is_err());
    }
}
