//! The cluster's secret and the keys that are derived from it, one for each purpose.

use std::fmt;

use hmac::{Hmac, KeyInit as _, Mac as _};
use rand::CryptoRng;
use sha2::Sha256;

use crate::{Error, hex};

/// The purpose of the key that signs calls between roles: see [`crate::internal`].
pub const INTERNAL: &str = "internal";
/// The purpose of the key that signs the cursors of queries.
pub const CURSOR: &str = "cursor";
/// The purpose of the key that signs session tokens and hashes idempotency keys: see [`crate::session`].
pub const SESSION: &str = "session";

/// What every process of a cluster knows and nobody else. Shown nowhere.
#[derive(Clone)]
pub struct ClusterSecret(Vec<u8>);

impl ClusterSecret {
    /// The least length, in bytes.
    pub const MIN_BYTES: usize = 32;

    /// Takes `bytes` as the secret.
    ///
    /// # Errors
    /// `Invalid` under [`ClusterSecret::MIN_BYTES`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        if bytes.len() < Self::MIN_BYTES { Err(Error::ShortSecret(bytes.len())) } else { Ok(Self(bytes.to_vec())) }
    }

    /// Takes the bytes of `text`, without blanks and line ends around it, as the secret.
    ///
    /// # Errors
    /// `Invalid` under [`ClusterSecret::MIN_BYTES`].
    pub fn from_text(text: &str) -> Result<Self, Error> {
        Self::from_bytes(text.trim().as_bytes())
    }

    /// Makes the text of a new secret: 256 random bits in hexadecimal, for [`ClusterSecret::from_text`].
    #[must_use]
    pub fn new_text(rng: &mut impl CryptoRng) -> String {
        let mut bytes = [0; 32];
        rng.fill_bytes(&mut bytes);
        hex::encode(&bytes)
    }

    /// The key for `purpose`: HMAC-SHA-256 of the purpose under the secret (RFC 2104). Keys of different purposes tell
    /// nothing about one another.
    #[must_use]
    pub fn derive(&self, purpose: &str) -> [u8; 32] {
        mac(&self.0, &["loglake key v1 ", purpose])
    }
}

impl fmt::Debug for ClusterSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClusterSecret(hidden)")
    }
}

/// HMAC-SHA-256 of the `parts`, one after the other, under `key`.
pub(crate) fn mac(key: &[u8], parts: &[&str]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
    parts.iter().for_each(|part| mac.update(part.as_bytes()));
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_differ_by_secret_and_purpose_and_stay_hidden() {
        let text = ClusterSecret::new_text(&mut rand::rng());
        let secret = ClusterSecret::from_text(&format!(" {text}\n")).unwrap();
        assert_eq!(secret.derive(CURSOR), ClusterSecret::from_text(&text).unwrap().derive(CURSOR));
        assert_ne!(secret.derive(CURSOR), secret.derive(INTERNAL));
        let other = ClusterSecret::from_text(&ClusterSecret::new_text(&mut rand::rng())).unwrap();
        assert_ne!(secret.derive(CURSOR), other.derive(CURSOR));
        assert!(!format!("{secret:?}").contains(&text[..8]));
        assert_eq!(ClusterSecret::from_text("short").unwrap_err(), Error::ShortSecret(5));
    }

    #[test]
    fn the_mac_is_the_one_of_rfc_4231() {
        // Test case 2 of RFC 4231.
        let expected = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        assert_eq!(hex::encode(&mac(b"Jefe", &["what do ya want ", "for nothing?"])), expected);
    }
}
