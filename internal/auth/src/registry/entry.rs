//! What the ledger holds, one JSON object an entry:
//!
//! `{"version":1,"number":7,"at_ns":…,"by":"token k3v9d0 of ops","previous":"<SHA-256 of entry 6, hexadecimal>","nonce":"…",
//! "change":{"token_added":{…}}}`
//!
//! Each entry names the one before it by its hash: none can be changed, left out or slipped in without that being seen.

use std::collections::BTreeSet;

use bytes::Bytes;
use loglake_model::TenantName;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::limits::{Limit, Overrides};
use crate::{Error, Scope, Token, hex};

/// The newest version that is read. An entry has the version that first knew its change, so that older programs read all that they
/// can, and say of the first that they cannot which version it has.
const VERSION: u32 = 3;

/// A token as it is kept: never its text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct KeptToken {
    pub(crate) id: String,
    pub(crate) sha256: String,
    pub(crate) tenant: TenantName,
    pub(crate) scopes: BTreeSet<Scope>,
    pub(crate) created_ns: i64,
    /// When it stops being valid: as it was made, or since it was rotated or revoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) ends_ns: Option<i64>,
}

impl KeptToken {
    pub(crate) fn of(token: &Token, created_ns: i64) -> Self {
        let Token { id, sha256, tenant, scopes, expires_ns } = token.clone();
        Self { id, sha256: hex::encode(&sha256), tenant, scopes, created_ns, ends_ns: expires_ns }
    }

    /// What requests are checked by.
    pub(crate) fn token(&self) -> Result<Token, Error> {
        let Self { id, sha256, tenant, scopes, created_ns: _, ends_ns } = self.clone();
        let sha256 = hex::decode(&sha256).ok_or_else(|| Error::Registry(format!("the hash of token {id:?}")))?;
        let token = Token { id, sha256, tenant, scopes, expires_ns: ends_ns };
        token.check()?;
        Ok(token)
    }

    pub(crate) fn is_alive(&self, now_ns: i64) -> bool {
        self.ends_ns.is_none_or(|ends_ns| now_ns < ends_ns)
    }
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Change {
    TenantAdded {
        tenant: TenantName,
    },
    TenantSuspended {
        tenant: TenantName,
    },
    TenantResumed {
        tenant: TenantName,
    },
    /// What differs from the defaults from now on, and what no longer does.
    TenantLimited {
        tenant: TenantName,
        set: Overrides,
        #[serde(default)]
        unset: BTreeSet<Limit>,
    },
    TokenAdded {
        token: KeptToken,
    },
    /// A successor, and when the one before it ends.
    TokenRotated {
        id: String,
        ends_ns: i64,
        successor: KeptToken,
    },
    TokenRevoked {
        id: String,
        ends_ns: i64,
    },
}

impl Change {
    /// The version that first knew it, and all limits it names.
    fn version(&self) -> u32 {
        match self {
            Self::TenantLimited { set, unset, .. } => {
                set.keys().chain(unset).map(|limit| limit.since()).max().unwrap_or(2)
            }
            _ => 1,
        }
    }
}

/// A change with who made it and when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Entry {
    pub(crate) version: u32,
    pub(crate) number: u64,
    pub(crate) at_ns: i64,
    pub(crate) by: String,
    pub(crate) previous: String,
    pub(crate) nonce: String,
    pub(crate) change: Change,
}

/// What every version has.
#[derive(Deserialize)]
pub(super) struct Versioned {
    pub(super) version: u32,
}

impl Entry {
    pub(crate) fn new(number: u64, at_ns: i64, by: &str, previous: &str, change: Change) -> Self {
        let nonce = format!("{:032x}", rand::random::<u128>());
        let version = change.version();
        Self { version, number, at_ns, by: by.to_owned(), previous: previous.to_owned(), nonce, change }
    }

    pub(crate) fn encode(&self) -> Result<Bytes, Error> {
        let text = serde_json::to_vec(self).map_err(|error| Error::Registry(format!("an entry: {error}")))?;
        Ok(text.into())
    }

    /// Reads entry `number`, which must follow the one with the hash `previous`.
    pub(crate) fn decode(bytes: &[u8], number: u64, previous: &str) -> Result<Self, Error> {
        let wrong = |what: String| Error::Registry(format!("entry {number}: {what}"));
        // First of all: another version may have other fields and changes.
        let Versioned { version } = serde_json::from_slice(bytes).map_err(|error| wrong(error.to_string()))?;
        if !(1..=VERSION).contains(&version) {
            return Err(wrong(format!("version {version} is not known to this program")));
        }
        let entry: Self = serde_json::from_slice(bytes).map_err(|error| wrong(error.to_string()))?;
        if entry.number != number || entry.previous != previous {
            return Err(wrong("it does not follow the one before it".to_owned()));
        }
        Ok(entry)
    }
}

/// The hash by which an entry is named.
pub(crate) fn hash(bytes: &[u8]) -> String {
    hex::encode(&Sha256::digest(bytes))
}
