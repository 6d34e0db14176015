use std::collections::BTreeMap;

use bytes::Bytes;
use loglake_model::TenantName;
use serde::{Deserialize, Serialize};

use super::entry::{Change, Entry, KeptToken, Versioned, hash};
use crate::Error;
use crate::limits::Overrides;

/// The newest version that is read. Limits came with 2, and some of them later (`Limit::since`): what is written has the version
/// that first knew all it holds, so that older programs read all that they can.
const VERSION: u32 = 3;
const VERSION_WITHOUT_LIMITS: u32 = 1;
/// How long a token that ended is still listed: a checkpoint leaves it out then.
const ENDED_KEPT_NS: i64 = 30 * 86_400 * 1_000_000_000;

/// What is known of a tenant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct KeptTenant {
    pub(crate) created_ns: i64,
    #[serde(default)]
    pub(crate) is_suspended: bool,
    #[serde(default, skip_serializing_if = "Overrides::is_empty")]
    pub(crate) limits: Overrides,
}

/// What all entries up to a number come to. A checkpoint is its JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct State {
    version: u32,
    /// The number of the last entry; 0 before the first.
    pub(crate) number: u64,
    /// The hash of that entry; 64 zeros before the first.
    pub(crate) hash: String,
    pub(crate) tenants: BTreeMap<TenantName, KeptTenant>,
    pub(crate) tokens: BTreeMap<String, KeptToken>,
}

impl Default for State {
    fn default() -> Self {
        let (tenants, tokens) = (BTreeMap::new(), BTreeMap::new());
        Self { version: VERSION_WITHOUT_LIMITS, number: 0, hash: "0".repeat(64), tenants, tokens }
    }
}

impl State {
    /// Takes the next entry, whose bytes these are.
    pub(crate) fn apply(&mut self, number: u64, bytes: &[u8]) -> Result<Entry, Error> {
        if number != self.number + 1 {
            return Err(Error::Registry(format!("entry {} is missing; {number} is there", self.number + 1)));
        }
        let entry = Entry::decode(bytes, number, &self.hash)?;
        self.take(&entry)?;
        (self.number, self.hash) = (number, hash(bytes));
        Ok(entry)
    }

    fn take(&mut self, entry: &Entry) -> Result<(), Error> {
        match &entry.change {
            Change::TenantAdded { tenant } => self.add_tenant(tenant, entry.at_ns),
            Change::TenantSuspended { tenant } => self.tenant(tenant, entry.number)?.is_suspended = true,
            Change::TenantResumed { tenant } => self.tenant(tenant, entry.number)?.is_suspended = false,
            Change::TenantLimited { tenant, set, unset } => {
                let limits = &mut self.tenant(tenant, entry.number)?.limits;
                limits.retain(|limit, _| !unset.contains(limit));
                limits.extend(set.iter().map(|(limit, value)| (*limit, *value)));
            }
            Change::TokenAdded { token } => self.add_token(token, entry.at_ns),
            Change::TokenRevoked { id, ends_ns } => self.end(id, *ends_ns, entry.number)?,
            Change::TokenRotated { id, ends_ns, successor } => {
                self.end(id, *ends_ns, entry.number)?;
                self.add_token(successor, entry.at_ns);
            }
        }
        Ok(())
    }

    fn add_tenant(&mut self, tenant: &TenantName, at_ns: i64) {
        let fresh = KeptTenant { created_ns: at_ns, is_suspended: false, limits: Overrides::new() };
        self.tenants.entry(tenant.clone()).or_insert(fresh);
    }

    fn add_token(&mut self, token: &KeptToken, at_ns: i64) {
        // A tenant that so far only the configuration named is known from its first token on.
        self.add_tenant(&token.tenant, at_ns);
        self.tokens.insert(token.id.clone(), token.clone());
    }

    fn tenant(&mut self, tenant: &TenantName, number: u64) -> Result<&mut KeptTenant, Error> {
        let unknown = || Error::Registry(format!("entry {number} is of the tenant {tenant}, which nobody added"));
        self.tenants.get_mut(tenant).ok_or_else(unknown)
    }

    fn end(&mut self, id: &str, ends_ns: i64, number: u64) -> Result<(), Error> {
        let unknown = || Error::Registry(format!("entry {number} ends the token {id:?}, which nobody added"));
        let token = self.tokens.get_mut(id).ok_or_else(unknown)?;
        // Never later than it would have ended.
        token.ends_ns = Some(token.ends_ns.map_or(ends_ns, |ends| ends.min(ends_ns)));
        Ok(())
    }

    /// Forgets tokens that ended a month ago, long after any clock could call them valid: nothing is appended about them any more.
    pub(crate) fn forget_ended(&mut self, now_ns: i64) {
        self.tokens.retain(|_, token| token.is_alive(now_ns.saturating_sub(ENDED_KEPT_NS)));
    }

    /// The checkpoint's bytes.
    pub(crate) fn encode(&self, now_ns: i64) -> Result<Bytes, Error> {
        let mut kept = self.clone();
        kept.forget_ended(now_ns);
        let limits = kept.tenants.values().flat_map(|tenant| tenant.limits.keys());
        kept.version = limits.map(|limit| limit.since()).max().unwrap_or(VERSION_WITHOUT_LIMITS);
        let text = serde_json::to_vec(&kept).map_err(|error| Error::Registry(format!("a checkpoint: {error}")))?;
        Ok(text.into())
    }

    /// Reads a checkpoint.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Error> {
        let wrong = |what: String| Error::Registry(format!("the checkpoint: {what}"));
        // First of all: another version may have other fields and limits.
        let Versioned { version } = serde_json::from_slice(bytes).map_err(|error| wrong(error.to_string()))?;
        if !(VERSION_WITHOUT_LIMITS..=VERSION).contains(&version) {
            return Err(wrong(format!("version {version} is not known to this program")));
        }
        serde_json::from_slice(bytes).map_err(|error| wrong(error.to_string()))
    }
}
