use std::collections::HashMap;

use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, PublicKeyUse};
use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey};
use serde::Deserialize;

use crate::Error;

/// The most keys of an issuer that are looked at.
const MAX_KEYS: usize = 64;
/// The longest name of a key.
const MAX_KID_BYTES: usize = 256;

/// An issuer's public keys, by their `kid`.
#[derive(Debug, Default)]
pub(super) struct Keys {
    by_kid: HashMap<String, Key>,
}

#[derive(Debug)]
struct Key {
    key: DecodingKey,
    curve: Option<EllipticCurve>,
    /// The only algorithm that it is meant for, where the issuer says so.
    algorithm: Option<String>,
}

#[derive(Deserialize)]
struct Document {
    keys: Vec<serde_json::Value>,
}

impl Keys {
    /// Reads a JWK set (RFC 7517). Keys without a `kid`, for encryption, by a shared secret, or of an unknown kind are passed over.
    pub(super) fn read(document: &[u8]) -> Result<Self, Error> {
        let wrong = |why: String| Error::Issuer(why);
        let Document { keys } =
            serde_json::from_slice(document).map_err(|error| wrong(format!("its keys are no JWK set: {error}")))?;
        if keys.len() > MAX_KEYS {
            return Err(wrong(format!("it has {} keys; {MAX_KEYS} are the most", keys.len())));
        }
        let by_kid: HashMap<_, _> = keys.into_iter().filter_map(read).collect();
        if by_kid.is_empty() {
            Err(wrong("it has no key that signs and has a `kid`".to_owned()))
        } else {
            Ok(Self { by_kid })
        }
    }

    pub(super) fn len(&self) -> usize {
        self.by_kid.len()
    }

    /// The key `kid`, if it may have made a signature by `algorithm`.
    pub(super) fn find(&self, kid: &str, algorithm: Algorithm) -> Option<&DecodingKey> {
        let key = self.by_kid.get(kid)?;
        let is_meant = key.algorithm.as_ref().is_none_or(|only| *only == format!("{algorithm:?}"));
        let is_curve = match algorithm {
            Algorithm::ES256 => key.curve == Some(EllipticCurve::P256),
            Algorithm::ES384 => key.curve == Some(EllipticCurve::P384),
            Algorithm::EdDSA => key.curve == Some(EllipticCurve::Ed25519),
            _ => key.curve.is_none(),
        };
        (is_meant && is_curve && key.key.family() == algorithm.family()).then_some(&key.key)
    }
}

fn read(value: serde_json::Value) -> Option<(String, Key)> {
    let jwk: Jwk = serde_json::from_value(value).ok()?;
    let kid = jwk.common.key_id.clone().filter(|kid| kid.len() <= MAX_KID_BYTES)?;
    if !matches!(jwk.common.public_key_use, None | Some(PublicKeyUse::Signature)) {
        return None;
    }
    let curve = match &jwk.algorithm {
        AlgorithmParameters::RSA(_) => None,
        AlgorithmParameters::EllipticCurve(of) => Some(of.curve.clone()),
        AlgorithmParameters::OctetKeyPair(of) => Some(of.curve.clone()),
        _ => return None,
    };
    let key = DecodingKey::from_jwk(&jwk).ok()?;
    if key.family() == AlgorithmFamily::Hmac {
        return None;
    }
    let algorithm = jwk.common.key_algorithm.map(|algorithm| algorithm.to_string());
    Some((kid, Key { key, curve, algorithm }))
}
