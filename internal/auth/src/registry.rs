//! Tenants and their tokens, kept in a [`Ledger`] that all processes of a cluster read: what one changes, the others know
//! after their next [`Registry::refresh`].
//!
//! Changes are entries of a hash chain (`registry/entry.rs`), appended by whoever is first; the state is what they come to.
//! Requests are decided from memory; a ledger that cannot be reached changes nothing about who is let in.

mod entry;
mod ledger;
mod live;
mod state;

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use loglake_model::{Clock, TenantName};
use parking_lot::RwLock;
use tracing::{info, warn};

pub use ledger::{Appended, Ledger, LedgerError};
pub(crate) use live::{LiveTenant, LiveToken};

use self::entry::{Change, Entry, KeptToken};
use self::state::State;
use crate::limits::{Limit, Overrides};
use crate::{Audit, Deed, Error, NewToken, Scope, new_token};

/// How often a change is tried again when others were first.
const MAX_TRIES: usize = 32;
/// A checkpoint is saved each time so many entries have been appended.
const CHECKPOINT_EVERY: u64 = 64;
/// Tokens of one tenant that are valid at a time.
pub const MAX_TOKENS: usize = 1_000;
/// Tenants that the registry knows.
pub const MAX_TENANTS: usize = 100_000;
/// The longest overlap of a rotated token with its successor.
pub const MAX_OVERLAP: Duration = Duration::from_secs(30 * 86_400);

/// The tenants and tokens of a cluster.
pub struct Registry {
    ledger: Arc<dyn Ledger>,
    clock: Arc<dyn Clock>,
    /// Who reads the ledger at the moment.
    reading: tokio::sync::Mutex<IsBegun>,
    known: RwLock<Known>,
    read_at_ns: AtomicI64,
    audit: Audit,
}

/// Whether the newest checkpoint was looked for.
struct IsBegun(bool);

#[derive(Debug, Default)]
struct Known {
    state: State,
    tokens: HashMap<String, Arc<LiveToken>>,
    tenants: HashMap<TenantName, Arc<LiveTenant>>,
}

/// A token as it is listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenInfo {
    /// Its id.
    pub id: String,
    /// Whose it is.
    pub tenant: TenantName,
    /// What it allows.
    pub scopes: BTreeSet<Scope>,
    /// When it was made, ns UTC since the epoch.
    pub created_ns: i64,
    /// When it stops being valid, or stopped; `None` for never.
    pub ends_ns: Option<i64>,
}

/// A tenant as it is listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TenantInfo {
    /// Its name.
    pub tenant: TenantName,
    /// When it was added, ns UTC since the epoch.
    pub created_ns: i64,
    /// Whether all its credentials are refused.
    pub is_suspended: bool,
    /// Its tokens that are valid now.
    pub tokens: usize,
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registry").field("number", &self.known.read().state.number).finish_non_exhaustive()
    }
}

impl Registry {
    /// Makes a registry that knows nothing before its first [`Registry::refresh`].
    #[must_use]
    pub fn new(ledger: Arc<dyn Ledger>, clock: Arc<dyn Clock>) -> Self {
        let reading = tokio::sync::Mutex::new(IsBegun(false));
        Self { ledger, clock, reading, known: RwLock::default(), read_at_ns: AtomicI64::new(0), audit: Audit::off() }
    }

    /// Notes in `audit` what is changed through this registry.
    #[must_use]
    pub fn with_audit(self, audit: Audit) -> Self {
        Self { audit, ..self }
    }

    /// Takes in what was appended since the last time; the first time all of it, from the newest checkpoint on. What was known
    /// stays known when that fails.
    ///
    /// # Errors
    /// `Unavailable` when the ledger does not answer; `Corrupt` when what it holds is no chain.
    pub async fn refresh(&self) -> Result<(), Error> {
        let mut begun = self.reading.lock().await;
        let began_ns = self.clock.now_ns();
        if !begun.0 {
            self.begin().await?;
            begun.0 = true;
        }
        let number = self.known.read().state.number;
        let entries = self.ledger.entries(number).await?;
        if !entries.is_empty() {
            // Nobody else changes it: the lock of who reads is held.
            let mut state = self.known.read().state.clone();
            let (mut tokens, mut tenants) = (BTreeSet::new(), BTreeSet::new());
            for (number, bytes) in &entries {
                match state.apply(*number, bytes)?.change {
                    Change::TenantAdded { tenant }
                    | Change::TenantSuspended { tenant }
                    | Change::TenantResumed { tenant }
                    | Change::TenantLimited { tenant, .. } => drop(tenants.insert(tenant)),
                    Change::TokenAdded { token } => {
                        tenants.insert(token.tenant);
                        tokens.insert(token.id);
                    }
                    Change::TokenRevoked { id, .. } => drop(tokens.insert(id)),
                    Change::TokenRotated { id, successor, .. } => tokens.extend([id, successor.id]),
                }
            }
            state.forget_ended(began_ns);
            let mut known = self.known.write();
            known.show(&state, tokens.into_iter(), tenants.into_iter())?;
            known.tokens.retain(|id, _| state.tokens.contains_key(id));
            known.state = state;
        }
        self.read_at_ns.store(began_ns, Ordering::Release);
        Ok(())
    }

    /// Takes in the newest checkpoint.
    async fn begin(&self) -> Result<(), Error> {
        let Some(bytes) = self.ledger.checkpoint().await? else { return Ok(()) };
        let state = State::decode(&bytes)?;
        let mut known = Known::default();
        known.show(&state, state.tokens.keys().cloned(), state.tenants.keys().cloned())?;
        known.state = state;
        *self.known.write() = known;
        Ok(())
    }

    /// How long ago the ledger was last read to its end: revocations of that time may be missing.
    #[must_use]
    pub fn age(&self) -> Duration {
        let age_ns = self.clock.now_ns().saturating_sub(self.read_at_ns.load(Ordering::Acquire));
        Duration::from_nanos(u64::try_from(age_ns).unwrap_or(0))
    }

    pub(crate) fn token(&self, id: &str) -> Option<Arc<LiveToken>> {
        self.known.read().tokens.get(id).cloned()
    }

    pub(crate) fn tenant(&self, name: &TenantName) -> Option<Arc<LiveTenant>> {
        self.known.read().tenants.get(name).cloned()
    }

    /// The tenants, by name. As of the last refresh.
    #[must_use]
    pub fn tenants(&self) -> Vec<TenantInfo> {
        let (known, now_ns) = (self.known.read(), self.clock.now_ns());
        let mut alive = HashMap::<&TenantName, usize>::new();
        for token in known.state.tokens.values().filter(|token| token.is_alive(now_ns)) {
            *alive.entry(&token.tenant).or_default() += 1;
        }
        let tenant = |(tenant, kept): (&TenantName, &state::KeptTenant)| TenantInfo {
            tenant: tenant.clone(),
            created_ns: kept.created_ns,
            is_suspended: kept.is_suspended,
            tokens: alive.get(tenant).copied().unwrap_or(0),
        };
        known.state.tenants.iter().map(tenant).collect()
    }

    /// The tokens of `tenant`, or of all, by id; those that ended too, for a month. As of the last refresh.
    #[must_use]
    pub fn tokens(&self, tenant: Option<&TenantName>) -> Vec<TokenInfo> {
        let known = self.known.read();
        let is_asked = |token: &&KeptToken| tenant.is_none_or(|tenant| token.tenant == *tenant);
        known.state.tokens.values().filter(is_asked).map(TokenInfo::from).collect()
    }

    /// Adds a tenant. `by` says who does it, for the chain.
    ///
    /// # Errors
    /// `Conflict` when there is such a tenant; `Exhausted` past [`MAX_TENANTS`]; as [`Registry::refresh`].
    pub async fn add_tenant(&self, tenant: &TenantName, by: &str) -> Result<(), Error> {
        self.change(by, |state, _| match state.tenants.len() {
            _ if state.tenants.contains_key(tenant) => Err(Error::TenantExists(tenant.clone())),
            MAX_TENANTS.. => Err(Error::TooMany { what: "tenants", most: MAX_TENANTS }),
            _ => Ok(Change::TenantAdded { tenant: tenant.clone() }),
        })
        .await
        .map(drop)
    }

    /// Refuses all credentials of a tenant, or no longer.
    ///
    /// # Errors
    /// `NotFound` when there is no such tenant; as [`Registry::refresh`].
    pub async fn suspend_tenant(&self, tenant: &TenantName, is_suspended: bool, by: &str) -> Result<(), Error> {
        self.change(by, |state, _| {
            if !state.tenants.contains_key(tenant) {
                return Err(Error::NoSuch("tenant"));
            }
            let tenant = tenant.clone();
            Ok(if is_suspended { Change::TenantSuspended { tenant } } else { Change::TenantResumed { tenant } })
        })
        .await
        .map(drop)
    }

    /// Says what differs from the defaults for a tenant: each of `set` from now on, and of `unset` no longer. What is in neither
    /// stays as it is.
    ///
    /// # Errors
    /// `Invalid` for a value outside of its range; `NotFound` when there is no such tenant; as [`Registry::refresh`].
    pub async fn limit_tenant(
        &self,
        tenant: &TenantName,
        set: &Overrides,
        unset: &BTreeSet<Limit>,
        by: &str,
    ) -> Result<(), Error> {
        for (limit, value) in set {
            limit.check(*value).map_err(|fault| Error::Limit(*limit, Box::new(fault)))?;
        }
        self.change(by, |state, _| {
            if !state.tenants.contains_key(tenant) {
                return Err(Error::NoSuch("tenant"));
            }
            Ok(Change::TenantLimited { tenant: tenant.clone(), set: set.clone(), unset: unset.clone() })
        })
        .await
        .map(drop)
    }

    /// Makes a token. `is_new_tenant`: whether the tenant may be one that the registry does not know yet.
    ///
    /// # Errors
    /// `NotFound` when there is no such tenant; `Conflict` when a token has this id; `Invalid` without scopes, for an id outside
    /// of its rule, or when it would have ended already; `Exhausted` past [`MAX_TOKENS`]; as [`Registry::refresh`].
    pub async fn add_token(
        &self,
        tenant: &TenantName,
        scopes: BTreeSet<Scope>,
        expires_ns: Option<i64>,
        id: Option<String>,
        is_new_tenant: bool,
        by: &str,
    ) -> Result<NewToken, Error> {
        let made = new_token(tenant.clone(), scopes, expires_ns, id, &mut rand::rng())?;
        self.change(by, |state, now_ns| {
            if !is_new_tenant && !state.tenants.contains_key(tenant) {
                return Err(Error::NoSuch("tenant"));
            }
            if expires_ns.is_some_and(|expires_ns| expires_ns <= now_ns) {
                return Err(Error::Ended);
            }
            check_room(state, &made, now_ns)?;
            Ok(Change::TokenAdded { token: KeptToken::of(&made.token, now_ns) })
        })
        .await?;
        Ok(made)
    }

    /// Makes a successor of the token `id`, with its scopes; the token itself stays valid for `overlap`. `owner`: whose token it
    /// must be; without it, anybody's. The successor ends at `expires_ns`; without it, when the token would have.
    ///
    /// # Errors
    /// `NotFound` when `owner` has no such token, it has ended, or it is an operator's; `Invalid` for an overlap past [`MAX_OVERLAP`]; as
    /// [`Registry::add_token`].
    pub async fn rotate_token(
        &self,
        id: &str,
        owner: Option<&TenantName>,
        overlap: Duration,
        expires_ns: Option<i64>,
        by: &str,
    ) -> Result<NewToken, Error> {
        if overlap > MAX_OVERLAP {
            return Err(Error::Overlap);
        }
        let overlap_ns = i64::try_from(overlap.as_nanos()).unwrap_or(i64::MAX);
        let mut made = None;
        self.change(by, |state, now_ns| {
            let old = find(state, id, owner, now_ns)?;
            let expires_ns = expires_ns.or(old.ends_ns);
            if expires_ns.is_some_and(|expires_ns| expires_ns <= now_ns) {
                return Err(Error::Ended);
            }
            let new = new_token(old.tenant.clone(), old.scopes.clone(), expires_ns, None, &mut rand::rng())?;
            check_room(state, &new, now_ns)?;
            let successor = KeptToken::of(&new.token, now_ns);
            made = Some(new);
            Ok(Change::TokenRotated { id: id.to_owned(), ends_ns: now_ns.saturating_add(overlap_ns), successor })
        })
        .await?;
        made.ok_or_else(|| Error::Registry("a rotation made no token".to_owned()))
    }

    /// Ends the token `id` at once. `owner`: whose token it must be; without it, anybody's.
    ///
    /// # Errors
    /// `NotFound` when `owner` has no such token, it has ended, or it is an operator's; as [`Registry::refresh`].
    pub async fn revoke_token(&self, id: &str, owner: Option<&TenantName>, by: &str) -> Result<(), Error> {
        self.change(by, |state, now_ns| {
            find(state, id, owner, now_ns)?;
            Ok(Change::TokenRevoked { id: id.to_owned(), ends_ns: now_ns })
        })
        .await
        .map(drop)
    }

    /// Appends the change that `make` derives from the newest state; again from the state after it where another was first.
    async fn change(&self, by: &str, mut make: impl FnMut(&State, i64) -> Result<Change, Error>) -> Result<u64, Error> {
        for _ in 0..MAX_TRIES {
            self.refresh().await?;
            let entry = {
                let known = self.known.read();
                let now_ns = self.clock.now_ns();
                let change = make(&known.state, now_ns)?;
                Entry::new(known.state.number + 1, now_ns, by, &known.state.hash, change)
            };
            let bytes = entry.encode()?;
            let is_ours = match self.ledger.append(entry.number, bytes.clone()).await? {
                Appended::Done => true,
                Appended::Taken => false,
                Appended::Unknown => {
                    let found = self.ledger.entries(entry.number - 1).await?;
                    match found.first() {
                        Some((number, there)) => *number == entry.number && *there == bytes,
                        // It may come yet: the number is tried again, with what is then its one entry.
                        None => false,
                    }
                }
            };
            if is_ours {
                info!(number = entry.number, by, change = ?Shown(&entry.change), "registry changed");
                self.note(&entry);
                self.refresh().await?;
                self.fold(entry.number).await;
                return Ok(entry.number);
            }
        }
        Err(Error::Contended)
    }

    /// Notes a change that was made here.
    fn note(&self, entry: &Entry) {
        let known = self.known.read();
        let owner = |id: &String| known.state.tokens.get(id).map(|token| &token.tenant);
        let (action, target, tenant) = match &entry.change {
            Change::TenantAdded { tenant } => ("tenant.add", "", Some(tenant)),
            Change::TenantSuspended { tenant } => ("tenant.suspend", "", Some(tenant)),
            Change::TenantResumed { tenant } => ("tenant.resume", "", Some(tenant)),
            Change::TenantLimited { tenant, .. } => ("tenant.limit", "", Some(tenant)),
            Change::TokenAdded { token } => ("token.add", token.id.as_str(), Some(&token.tenant)),
            Change::TokenRotated { id, successor, .. } => ("token.rotate", id.as_str(), Some(&successor.tenant)),
            Change::TokenRevoked { id, .. } => ("token.revoke", id.as_str(), owner(id)),
        };
        let request_id = &format!("registry-{}", entry.number);
        let deed = Deed { action, caller: &entry.by, tenant, target, request_id };
        self.audit.note(deed, &Ok::<_, Error>(()));
    }

    /// Saves a checkpoint after some entries. That it fails loses nothing.
    async fn fold(&self, number: u64) {
        if !number.is_multiple_of(CHECKPOINT_EVERY) {
            return;
        }
        let state = self.known.read().state.clone();
        let saved = match state.encode(self.clock.now_ns()) {
            Ok(bytes) => self.ledger.save_checkpoint(state.number, bytes).await.map_err(Error::from),
            Err(error) => Err(error),
        };
        if let Err(error) = saved {
            warn!(%error, number, "checkpoint of the registry not saved");
        }
    }
}

impl Known {
    /// Makes what requests are decided by follow `state`, for those that changed.
    fn show(
        &mut self,
        state: &State,
        tokens: impl Iterator<Item = String>,
        tenants: impl Iterator<Item = TenantName>,
    ) -> Result<(), Error> {
        for id in tokens {
            let Some(kept) = state.tokens.get(&id) else { continue };
            match self.tokens.get(&id) {
                Some(live) => live.end_at(kept.ends_ns),
                None => drop(self.tokens.insert(id, Arc::new(LiveToken::new(kept.token()?)))),
            }
        }
        for name in tenants {
            let Some(kept) = state.tenants.get(&name) else { continue };
            let live = self.tenants.entry(name).or_default();
            live.suspend(kept.is_suspended);
            live.limit(&kept.limits);
        }
        Ok(())
    }
}

/// The token `id` of `owner` that is valid now. One of another tenant is as if there were none.
fn find<'a>(state: &'a State, id: &str, owner: Option<&TenantName>, now_ns: i64) -> Result<&'a KeptToken, Error> {
    // An operator's token is no business of the administrators of the tenant that it happens to be of: its successor would make
    // operators of them.
    let is_owned =
        |token: &KeptToken, owner: &TenantName| token.tenant == *owner && !token.scopes.contains(&Scope::Operator);
    let is_theirs = |token: &&KeptToken| owner.is_none_or(|owner| is_owned(token, owner)) && token.is_alive(now_ns);
    state.tokens.get(id).filter(is_theirs).ok_or(Error::NoSuch("token"))
}

fn check_room(state: &State, made: &NewToken, now_ns: i64) -> Result<(), Error> {
    let NewToken { token, .. } = made;
    if state.tokens.contains_key(&token.id) {
        return Err(Error::TokenExists);
    }
    let is_alive = |kept: &&KeptToken| kept.tenant == token.tenant && kept.is_alive(now_ns);
    if state.tokens.values().filter(is_alive).count() >= MAX_TOKENS {
        return Err(Error::TooMany { what: "tokens of this tenant", most: MAX_TOKENS });
    }
    Ok(())
}

impl From<&KeptToken> for TokenInfo {
    fn from(kept: &KeptToken) -> Self {
        let KeptToken { id, sha256: _, tenant, scopes, created_ns, ends_ns } = kept.clone();
        Self { id, tenant, scopes, created_ns, ends_ns }
    }
}

/// A change for the log, without hashes.
struct Shown<'a>(&'a Change);

impl fmt::Debug for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Change::TenantAdded { tenant } => write!(f, "tenant {tenant} added"),
            Change::TenantSuspended { tenant } => write!(f, "tenant {tenant} suspended"),
            Change::TenantResumed { tenant } => write!(f, "tenant {tenant} resumed"),
            Change::TenantLimited { tenant, .. } => write!(f, "limits of tenant {tenant} changed"),
            Change::TokenAdded { token } => write!(f, "token {} of {} added", token.id, token.tenant),
            Change::TokenRotated { id, successor, .. } => write!(f, "token {id} rotated to {}", successor.id),
            Change::TokenRevoked { id, .. } => write!(f, "token {id} revoked"),
        }
    }
}

#[cfg(test)]
mod tests;
