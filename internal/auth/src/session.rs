//! The token of a client's session, and the hash that stands for an idempotency key: what one ingestor says and every other
//! believes. Neither is a credential: who calls is decided before, and must be the tenant in the token.
//!
//! `s1.<tenant>.<id, 32 hexadecimal digits>.<opened, ns UTC>.<partitions>.<HMAC-SHA-256 of all before the last dot, hexadecimal>`

use std::fmt;

use loglake_model::{TenantId, TenantName};
use subtle::ConstantTimeEq as _;

use crate::hex;
use crate::keys::{self, ClusterSecret};

const VERSION: &str = "s1";
/// No token is longer: a tenant's name has 64 bytes, the numbers 19 and 10.
const MAX_TOKEN_BYTES: usize = 256;

/// What a session's token says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionToken {
    /// Whose session it is.
    pub tenant: TenantName,
    /// Names the session.
    pub id: [u8; 16],
    /// When it was opened, ns UTC.
    pub opened_at_ns: i64,
    /// How many partitions its records are routed to, at least 1.
    pub partitions: u32,
}

/// Signs and reads session tokens.
#[derive(Clone)]
pub struct SessionKey([u8; 32]);

impl SessionKey {
    /// Derives the key from the cluster's secret.
    #[must_use]
    pub fn new(secret: &ClusterSecret) -> Self {
        Self(secret.derive(keys::SESSION))
    }

    /// The text of `token`.
    #[must_use]
    pub fn sign(&self, token: &SessionToken) -> String {
        let SessionToken { tenant, id, opened_at_ns, partitions } = token;
        let said = format!("{VERSION}.{tenant}.{}.{opened_at_ns}.{partitions}", hex::encode(id));
        let signature = hex::encode(&keys::mac(&self.0, &["token ", &said]));
        format!("{said}.{signature}")
    }

    /// What `text` says; `None` when it was not signed with this key. Whose it is and whether its time is over is for the
    /// caller to look at.
    #[must_use]
    pub fn read(&self, text: &str) -> Option<SessionToken> {
        if text.len() > MAX_TOKEN_BYTES {
            return None;
        }
        let (said, signature) = text.rsplit_once('.')?;
        let signature: [u8; 32] = hex::decode(signature)?;
        if !bool::from(keys::mac(&self.0, &["token ", said]).ct_eq(&signature)) {
            return None;
        }
        let mut parts = said.split('.');
        let (Some(VERSION), Some(tenant), Some(id), Some(opened), Some(partitions), None) =
            (parts.next(), parts.next(), parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return None;
        };
        Some(SessionToken {
            tenant: TenantName::parse(tenant).ok()?,
            id: hex::decode(id)?,
            opened_at_ns: opened.parse().ok()?,
            partitions: partitions.parse().ok().filter(|partitions| *partitions > 0)?,
        })
    }

    /// The hash of an idempotency key of `tenant`: it tells neither, and the same key of another tenant has another.
    #[must_use]
    pub fn hash_idempotency_key(&self, tenant: &TenantId, key: &str) -> [u8; 32] {
        // No tenant's name has a blank.
        keys::mac(&self.0, &["key ", tenant.as_str(), " ", key])
    }
}

impl fmt::Debug for SessionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionKey(hidden)")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key(seed: u8) -> SessionKey {
        SessionKey::new(&ClusterSecret::from_bytes(&[seed; 32]).unwrap())
    }

    fn token() -> SessionToken {
        let tenant = TenantName::parse("acme").unwrap();
        SessionToken { tenant, id: [0xa5; 16], opened_at_ns: 1_700_000_000_000_000_000, partitions: 12 }
    }

    #[test]
    fn a_token_comes_back_whole_and_only_from_its_own_cluster() {
        let text = key(7).sign(&token());
        assert!(text.starts_with("s1.acme.a5a5") && text.len() <= MAX_TOKEN_BYTES);
        assert_eq!(key(7).read(&text), Some(token()));
        assert_eq!(key(8).read(&text), None);
        assert_eq!(key(7).read(&text.replace("acme", "evil")), None);
        assert_eq!(key(7).read(&text.replace(".12.", ".13.")), None);
        let longest = TenantName::parse(&"t".repeat(64)).unwrap();
        let longest = SessionToken { tenant: longest, opened_at_ns: i64::MAX, partitions: u32::MAX, ..token() };
        assert_eq!(key(7).read(&key(7).sign(&longest)), Some(longest));
        assert!(!format!("{:?}", key(7)).contains('7'));
    }

    #[test]
    fn keys_are_hashed_by_tenant() {
        #[expect(clippy::disallowed_methods, reason = "test")]
        let tenant = |name: &str| TenantId::from_credential(TenantName::parse(name).unwrap());
        let hash = key(7).hash_idempotency_key(&tenant("a"), "order-1");
        assert_eq!(hash, key(7).hash_idempotency_key(&tenant("a"), "order-1"));
        assert_ne!(hash, key(7).hash_idempotency_key(&tenant("b"), "order-1"));
        assert_ne!(hash, key(7).hash_idempotency_key(&tenant("a"), "order-2"));
        assert_ne!(hash, key(8).hash_idempotency_key(&tenant("a"), "order-1"));
    }

    proptest! {
        #[test]
        fn whatever_was_not_signed_is_refused(text in ".{0,300}", at in 0_usize..60, byte in 0_u8..128) {
            prop_assert_eq!(key(7).read(&text), None);
            let mut altered = key(7).sign(&token()).into_bytes();
            // Of hexadecimal digits both cases are read.
            prop_assume!(!altered[at].eq_ignore_ascii_case(&byte));
            altered[at] = byte;
            prop_assert_eq!(key(7).read(std::str::from_utf8(&altered).unwrap()), None);
        }
    }
}
