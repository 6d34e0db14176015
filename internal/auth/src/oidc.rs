//! People's credentials: the signed tokens of an OpenID Connect issuer (JWT, RFC 7519), verified here by its public keys.
//!
//! What is asked of a token: a signature by one of the pinned algorithms and a key that the issuer publishes, `iss` and `aud` as
//! configured, `exp` in the future (and `nbf` in the past, with a minute's leeway). Fetching the keys is left to whoever may
//! call out: see [`Oidc::take_keys`].

mod crypto;
mod keys;
mod policy;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jsonwebtoken::Validation;
use loglake_model::{Fault, TenantName};
use parking_lot::RwLock;
use serde_json::{Map, Value};
use tokio::sync::Notify;

use self::keys::Keys;
pub use self::policy::OidcConfig;
use self::policy::{Policy, ScopesOf, TenantOf};
use crate::{Error, Scope};

/// The longest token that is looked at.
const MAX_TEXT_BYTES: usize = 16 << 10;
/// The longest name of a person that is kept.
const MAX_SUBJECT_BYTES: usize = 256;
/// How far the clocks of issuer and server may be apart.
const LEEWAY_SECONDS: i64 = 60;
/// How the words of a claim begin that allow something here.
const SCOPE_PREFIX: &str = "loglake:";

/// Verifies the tokens of one issuer.
#[derive(Debug)]
pub struct Oidc {
    policy: Policy,
    keys: RwLock<Arc<Keys>>,
    /// When they came; `None` while there are none.
    taken_at: RwLock<Option<Instant>>,
    /// Told when a token names a key that is not known.
    unknown_key: Notify,
}

/// A person whose token was verified.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Person {
    /// The issuer's name for them: `sub`.
    pub(crate) subject: String,
    pub(crate) tenant: TenantName,
    pub(crate) scopes: BTreeSet<Scope>,
    /// When the token ends, ns UTC since the epoch.
    pub(crate) ends_ns: i64,
}

impl Oidc {
    /// Makes a verifier that knows no keys yet, and so lets nobody in.
    ///
    /// # Errors
    /// All faults of `config`; the field is the key's name within its section.
    pub fn new(config: &OidcConfig) -> Result<Self, Vec<Fault>> {
        crypto::install();
        let policy = Policy::new(config)?;
        Ok(Self { policy, keys: RwLock::default(), taken_at: RwLock::default(), unknown_key: Notify::new() })
    }

    /// Takes the issuer's keys as they are now, a JWK set (RFC 7517), instead of those from before; says how many are usable.
    ///
    /// # Errors
    /// `Unavailable` when it is no JWK set, or holds no key to verify with; those from before stay then.
    pub fn take_keys(&self, document: &[u8]) -> Result<usize, Error> {
        let keys = Keys::read(document)?;
        let count = keys.len();
        *self.keys.write() = Arc::new(keys);
        *self.taken_at.write() = Some(Instant::now());
        Ok(count)
    }

    /// How many keys are known, and how long ago they were taken; `None` before the first were.
    #[must_use]
    pub fn keys(&self) -> (usize, Option<Duration>) {
        (self.keys.read().len(), self.taken_at.read().map(|at| at.elapsed()))
    }

    /// Waits until a token named a key that is not known: the issuer may have a new one.
    pub async fn unknown_key(&self) {
        self.unknown_key.notified().await;
    }

    /// Whether `text` has a signed token's shape: three words of base64url, with dots between.
    pub(crate) fn is_shaped(text: &str) -> bool {
        let is_word = |word: &str| {
            !word.is_empty() && word.bytes().all(|c| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_'))
        };
        text.len() <= MAX_TEXT_BYTES && text.split('.').count() == 3 && text.split('.').all(is_word)
    }

    /// Who has the token `text`.
    ///
    /// # Errors
    /// `Unauthenticated` for whatever is wrong with it.
    pub(crate) fn verify(&self, text: &str, now_ns: i64) -> Result<Person, Error> {
        self.person(text, now_ns.div_euclid(1_000_000_000)).ok_or(Error::Unauthenticated)
    }

    fn person(&self, text: &str, now: i64) -> Option<Person> {
        let header = jsonwebtoken::decode_header(text).ok()?;
        // What the header calls critical must be understood, and nothing of the kind is. Keys in it prove nothing.
        if !self.policy.algorithms.contains(&header.alg) || header.crit.is_some() {
            return None;
        }
        let kid = header.kid?;
        let keys = Arc::clone(&self.keys.read());
        let Some(key) = keys.find(&kid, header.alg) else {
            self.unknown_key.notify_one();
            return None;
        };
        let mut validation = Validation::new(header.alg);
        // The times and the rest are checked below: by the clock of this process, and more strictly.
        validation.required_spec_claims.clear();
        (validation.validate_exp, validation.validate_aud) = (false, false);
        let claims = jsonwebtoken::decode::<Map<String, Value>>(text, key, &validation).ok()?.claims;

        let seconds = |name: &str| claims.get(name).map(|value| value.as_f64().filter(|at| at.is_finite()));
        let ends = seconds("exp")?? as i64;
        let begins = match seconds("nbf") {
            Some(begins) => begins? as i64,
            None => i64::MIN,
        };
        let is_now = now < ends.saturating_add(LEEWAY_SECONDS) && now >= begins.saturating_sub(LEEWAY_SECONDS);
        let is_here = claims.get("iss").and_then(Value::as_str) == Some(&self.policy.issuer)
            && texts(claims.get("aud")?).any(|audience| audience == self.policy.audience);
        if !is_now || !is_here {
            return None;
        }
        let subject = claims.get("sub").and_then(Value::as_str)?;
        let is_name = (1..=MAX_SUBJECT_BYTES).contains(&subject.len()) && !subject.chars().any(char::is_control);
        let tenant = match &self.policy.tenant {
            TenantOf::Everybody(tenant) => tenant.clone(),
            TenantOf::Claim(claim) => TenantName::parse(claims.get(claim)?.as_str()?).ok()?,
        };
        let scopes = match &self.policy.scopes {
            ScopesOf::Everybody(scopes) => scopes.clone(),
            ScopesOf::Claim(claim) => texts(claims.get(claim)?)
                .flat_map(|text| text.split(' '))
                .filter_map(|word| word.strip_prefix(SCOPE_PREFIX)?.parse().ok())
                .collect(),
        };
        let ends_ns = ends.saturating_add(LEEWAY_SECONDS).saturating_mul(1_000_000_000);
        is_name.then(|| Person { subject: subject.to_owned(), tenant, scopes, ends_ns })
    }
}

/// The text, or the texts of the list.
fn texts(value: &Value) -> impl Iterator<Item = &str> {
    let (one, many) = (value.as_str(), value.as_array());
    one.into_iter().chain(many.into_iter().flatten().filter_map(Value::as_str))
}

#[cfg(test)]
mod tests;
