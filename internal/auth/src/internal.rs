//! How one role proves itself to another, and says on whose behalf it asks: a signed text in one header of each call.
//!
//! `v1.<tenant>.<issued, ns UTC since the epoch>.<HMAC-SHA-256 of all before the last dot, hexadecimal>`

use std::fmt;

use loglake_model::{TenantId, TenantName};
use subtle::ConstantTimeEq as _;

use crate::keys::{self, ClusterSecret};
use crate::{Error, hex};

/// The gRPC metadata key of the signed text.
pub const HEADER: &str = "x-loglake-internal";

/// How long a signed text is good, either way of the moment it was issued: as far as clocks may differ.
pub const VALID_NS: i64 = 60_000_000_000;

const VERSION: &str = "v1";

/// Stands in the tenant's place of an operator's signature; no tenant's name begins like this.
const OPERATOR: &str = "-operator";

/// Signs and verifies calls between roles.
#[derive(Clone)]
pub struct InternalKey([u8; 32]);

impl InternalKey {
    /// Derives the key from the cluster's secret.
    #[must_use]
    pub fn new(secret: &ClusterSecret) -> Self {
        Self(secret.derive(keys::INTERNAL))
    }

    /// The value of [`HEADER`] for a call on behalf of `tenant`, made at `now_ns`.
    #[must_use]
    pub fn sign(&self, tenant: &TenantId, now_ns: i64) -> String {
        let said = format!("{VERSION}.{tenant}.{now_ns}");
        let signature = hex::encode(&keys::mac(&self.0, &[&said]));
        format!("{said}.{signature}")
    }

    /// The value of [`HEADER`] for a call of an operator, made at `now_ns`: on behalf of no tenant, so it reads no record.
    #[must_use]
    pub fn sign_operator(&self, now_ns: i64) -> String {
        let said = format!("{VERSION}.{OPERATOR}.{now_ns}");
        let signature = hex::encode(&keys::mac(&self.0, &[&said]));
        format!("{said}.{signature}")
    }

    /// Checks that the call with this value of [`HEADER`] is an operator's.
    ///
    /// # Errors
    /// `Unauthenticated` as for [`InternalKey::verify`], and for a call on behalf of a tenant.
    pub fn verify_operator(&self, header: &str, now_ns: i64) -> Result<(), Error> {
        match self.subject(header, now_ns)? {
            OPERATOR => Ok(()),
            _ => Err(Error::Unauthenticated),
        }
    }

    /// Says on whose behalf the call with this value of [`HEADER`] is made.
    ///
    /// # Errors
    /// `Unauthenticated` when it was not signed with this key, or more than 60 s before or after `now_ns`.
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the crate that makes a TenantId, out of a checked signature"
    )]
    pub fn verify(&self, header: &str, now_ns: i64) -> Result<TenantId, Error> {
        let tenant = self.subject(header, now_ns)?;
        TenantName::parse(tenant).map(TenantId::from_credential).map_err(|_| Error::Unauthenticated)
    }

    /// Whom a signed text that is good now is of.
    fn subject<'a>(&self, header: &'a str, now_ns: i64) -> Result<&'a str, Error> {
        let (said, signature) = header.rsplit_once('.').ok_or(Error::Unauthenticated)?;
        let signature = hex::decode::<32>(signature).ok_or(Error::Unauthenticated)?;
        if !bool::from(keys::mac(&self.0, &[said]).ct_eq(&signature)) {
            return Err(Error::Unauthenticated);
        }
        let mut parts = said.split('.');
        let (Some(VERSION), Some(subject), Some(issued), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(Error::Unauthenticated);
        };
        let issued_ns: i64 = issued.parse().map_err(|_| Error::Unauthenticated)?;
        if issued_ns.abs_diff(now_ns) > VALID_NS.unsigned_abs() {
            return Err(Error::Unauthenticated);
        }
        Ok(subject)
    }
}

impl fmt::Debug for InternalKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("InternalKey(hidden)")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW_NS: i64 = 1_700_000_000_000_000_000;

    fn key() -> InternalKey {
        InternalKey::new(&ClusterSecret::from_bytes(&[7; 32]).unwrap())
    }

    #[expect(clippy::disallowed_methods, reason = "test")]
    fn acme() -> TenantId {
        TenantId::from_credential(TenantName::parse("acme").unwrap())
    }

    #[test]
    fn a_signed_call_is_good_for_a_minute_either_way() {
        let header = key().sign(&acme(), NOW_NS);
        for now_ns in [NOW_NS - VALID_NS, NOW_NS, NOW_NS + VALID_NS] {
            assert_eq!(key().verify(&header, now_ns), Ok(acme()));
        }
        for now_ns in [NOW_NS - VALID_NS - 1, NOW_NS + VALID_NS + 1, i64::MIN, i64::MAX] {
            assert_eq!(key().verify(&header, now_ns), Err(Error::Unauthenticated));
        }
        let other = InternalKey::new(&ClusterSecret::from_bytes(&[8; 32]).unwrap());
        assert_eq!(other.verify(&header, NOW_NS), Err(Error::Unauthenticated));
        assert_eq!(key().verify(&header.replace("acme", "evil"), NOW_NS), Err(Error::Unauthenticated));
    }

    #[test]
    fn an_operator_is_no_tenant_and_no_tenant_an_operator() {
        let header = key().sign_operator(NOW_NS);
        assert_eq!(key().verify_operator(&header, NOW_NS), Ok(()));
        assert_eq!(key().verify(&header, NOW_NS), Err(Error::Unauthenticated));
        assert_eq!(key().verify_operator(&key().sign(&acme(), NOW_NS), NOW_NS), Err(Error::Unauthenticated));
        assert_eq!(key().verify_operator(&header, NOW_NS + VALID_NS + 1), Err(Error::Unauthenticated));
    }

    proptest! {
        #[test]
        fn whatever_was_not_signed_is_refused(text in ".{0,200}", at in 0_usize..60, byte in 0_u8..128) {
            prop_assert_eq!(key().verify(&text, NOW_NS), Err(Error::Unauthenticated));
            let mut altered = key().sign(&acme(), NOW_NS).into_bytes();
            // Of hexadecimal digits both cases are read.
            prop_assume!(!altered[at].eq_ignore_ascii_case(&byte));
            altered[at] = byte;
            prop_assert_eq!(key().verify(std::str::from_utf8(&altered).unwrap(), NOW_NS), Err(Error::Unauthenticated));
        }
    }
}
