use std::collections::BTreeSet;
use std::fmt;

use loglake_model::TenantName;
use rand::CryptoRng;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use crate::{Error, Scope, hex};

/// How every token's text begins.
const PREFIX: &str = "ll_";
/// The longest text that is looked at: prefix, id, `_`, secret.
const MAX_TEXT_BYTES: usize = 512;
const MAX_ID_BYTES: usize = 64;
/// Random bytes of a secret: not to be guessed, so a plain hash of it is enough to keep.
const SECRET_BYTES: usize = 32;

/// What is kept of an API token: never its text.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    /// Names the token, in its text and in the log: 1..=64 of `A-Z a-z 0-9 -`.
    pub id: String,
    /// SHA-256 of the whole text.
    pub sha256: [u8; 32],
    /// Whose token it is.
    pub tenant: TenantName,
    /// What it allows.
    pub scopes: BTreeSet<Scope>,
    /// When it stops being valid, ns UTC since the epoch; `None` for never.
    pub expires_ns: Option<i64>,
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, sha256: _, tenant, scopes, expires_ns } = self;
        let mut out = f.debug_struct("Token");
        out.field("id", id).field("tenant", tenant).field("scopes", scopes).field("expires_ns", expires_ns);
        out.finish_non_exhaustive()
    }
}

impl Token {
    /// Checks what the type does not: the id's rule, and that there are scopes.
    pub(crate) fn check(&self) -> Result<(), Error> {
        check_id(&self.id)?;
        if self.scopes.is_empty() { Err(Error::NoScopes(self.id.clone())) } else { Ok(()) }
    }

    /// Whether `text` is this token, in a time that does not depend on where it differs.
    pub(crate) fn is(&self, text: &str) -> bool {
        sha256(text).ct_eq(&self.sha256).into()
    }
}

/// A token just made. Its text is shown once and kept nowhere.
pub struct NewToken {
    /// `ll_<id>_<secret>`: what the client sends.
    pub text: String,
    /// What the server keeps.
    pub token: Token,
}

impl fmt::Debug for NewToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewToken").field("token", &self.token).finish_non_exhaustive()
    }
}

impl NewToken {
    /// SHA-256 of the text in hexadecimal: the value of `sha256` in the configuration.
    #[must_use]
    pub fn sha256_hex(&self) -> String {
        hex::encode(&self.token.sha256)
    }
}

/// Makes a token for `tenant` with 256 random bits; without `id` it gets a random one.
///
/// # Errors
/// `Invalid` for an id outside of the rule, or no scopes.
pub fn new_token(
    tenant: TenantName,
    scopes: BTreeSet<Scope>,
    expires_ns: Option<i64>,
    id: Option<String>,
    rng: &mut impl CryptoRng,
) -> Result<NewToken, Error> {
    let id = id.unwrap_or_else(|| {
        let mut bytes = [0; 6];
        rng.fill_bytes(&mut bytes);
        hex::encode(&bytes)
    });
    let mut secret = [0; SECRET_BYTES];
    rng.fill_bytes(&mut secret);
    let text = format!("{PREFIX}{id}_{}", hex::encode(&secret));
    let token = Token { id, sha256: sha256(&text), tenant, scopes, expires_ns };
    token.check()?;
    Ok(NewToken { text, token })
}

/// The id within a token's text; `None` when it has not a token's shape.
pub(crate) fn id_of(text: &str) -> Option<&str> {
    if text.len() > MAX_TEXT_BYTES {
        return None;
    }
    let (id, secret) = text.strip_prefix(PREFIX)?.split_once('_')?;
    (check_id(id).is_ok() && !secret.is_empty()).then_some(id)
}

/// SHA-256 of a token's text.
pub(crate) fn sha256(text: &str) -> [u8; 32] {
    Sha256::digest(text.as_bytes()).into()
}

fn check_id(id: &str) -> Result<(), Error> {
    let good = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    if (1..=MAX_ID_BYTES).contains(&id.len()) && id.bytes().all(good) {
        Ok(())
    } else {
        Err(Error::InvalidId(id.chars().take(MAX_ID_BYTES).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_token_is_recognised_and_shows_its_secret_nowhere() {
        let tenant = TenantName::parse("acme").unwrap();
        let made = new_token(tenant.clone(), BTreeSet::from([Scope::Query]), None, None, &mut rand::rng()).unwrap();
        assert_eq!(id_of(&made.text), Some(made.token.id.as_str()));
        assert!(made.token.is(&made.text));
        assert!(!made.token.is(&format!("{}0", made.text)));
        let secret = made.text.rsplit_once('_').unwrap().1;
        let shown = format!("{made:?}");
        assert!(!shown.contains(secret) && !shown.contains(&made.sha256_hex()), "{shown}");

        let other = new_token(tenant.clone(), BTreeSet::from([Scope::Query]), None, None, &mut rand::rng()).unwrap();
        assert_ne!(made.text, other.text);
        let refused = new_token(tenant, BTreeSet::new(), None, Some("a".to_owned()), &mut rand::rng());
        assert_eq!(refused.unwrap_err(), Error::NoScopes("a".to_owned()));
    }

    #[test]
    fn texts_without_a_tokens_shape_have_no_id() {
        let long = format!("ll_a_{}", "x".repeat(MAX_TEXT_BYTES));
        for bad in ["", "ll_", "ll__", "ll_a", "ll_a_", "ll__s", "xx_a_s", "ll_a/b_s", &long] {
            assert_eq!(id_of(bad), None, "{bad:?}");
        }
    }
}
