use std::sync::atomic::AtomicBool;

use async_trait::async_trait;
use bytes::Bytes;
use http::HeaderMap;
use loglake_model::{ErrorKind, ManualClock};
use parking_lot::Mutex;

use super::*;
use crate::limits::{Limits, TenantLimits};
use crate::{Access, Asked, Authenticator};

const SECOND_NS: i64 = 1_000_000_000;

/// A ledger in memory, whose answers can be lost.
#[derive(Default)]
struct Shelf {
    entries: Mutex<Vec<Bytes>>,
    checkpoint: Mutex<Option<(u64, Bytes)>>,
    is_down: AtomicBool,
    /// The next append takes effect and is answered `Unknown`.
    loses_an_answer: AtomicBool,
}

impl Shelf {
    fn up(&self) -> Result<(), LedgerError> {
        let down = LedgerError { kind: ErrorKind::Unavailable, message: "down".to_owned() };
        if self.is_down.load(Ordering::SeqCst) { Err(down) } else { Ok(()) }
    }
}

#[async_trait]
impl Ledger for Shelf {
    async fn entries(&self, after: u64) -> Result<Vec<(u64, Bytes)>, LedgerError> {
        self.up()?;
        Ok((1..).zip(self.entries.lock().iter().cloned()).filter(|(number, _)| *number > after).collect())
    }

    async fn append(&self, number: u64, entry: Bytes) -> Result<Appended, LedgerError> {
        self.up()?;
        // Others get their turn between what is read and what is written.
        tokio::task::yield_now().await;
        let mut entries = self.entries.lock();
        if entries.len() as u64 + 1 != number {
            return Ok(Appended::Taken);
        }
        entries.push(entry);
        Ok(if self.loses_an_answer.swap(false, Ordering::SeqCst) { Appended::Unknown } else { Appended::Done })
    }

    async fn checkpoint(&self) -> Result<Option<Bytes>, LedgerError> {
        self.up()?;
        Ok(self.checkpoint.lock().as_ref().map(|(_, bytes)| bytes.clone()))
    }

    async fn save_checkpoint(&self, number: u64, state: Bytes) -> Result<(), LedgerError> {
        self.up()?;
        *self.checkpoint.lock() = Some((number, state));
        Ok(())
    }
}

fn name(text: &str) -> TenantName {
    TenantName::parse(text).unwrap()
}

/// Two processes on one ledger.
async fn two() -> (Arc<Shelf>, Arc<ManualClock>, Arc<Registry>, Arc<Registry>) {
    let (shelf, clock) = (Arc::new(Shelf::default()), Arc::new(ManualClock::at(1_000 * SECOND_NS)));
    let registry = || Arc::new(Registry::new(shelf.clone(), clock.clone()));
    let (one, other) = (registry(), registry());
    one.refresh().await.unwrap();
    other.refresh().await.unwrap();
    (shelf, clock, one, other)
}

fn let_in(auth: &Authenticator, text: &str, clock: &ManualClock) -> Result<crate::Caller, Error> {
    let mut headers = HeaderMap::new();
    headers.insert("authorization", format!("Bearer {text}").parse().unwrap());
    let access = Access::AnyOf(&[Scope::Query]);
    let asked = Asked { headers: &headers, peer: None, access, call: ("POST", "/v1/query"), request_id: "r" };
    auth.authorize(&asked, clock.now_ns()).map(Option::unwrap)
}

#[tokio::test]
async fn a_token_is_good_everywhere_after_a_refresh_and_a_revoked_one_nowhere() {
    let (_, clock, one, other) = two().await;
    let auth = Authenticator::with_tokens(Vec::new()).unwrap().with_registry(other.clone());
    one.add_tenant(&name("acme"), "a test").await.unwrap();
    let made = one.add_token(&name("acme"), BTreeSet::from([Scope::Query]), None, None, false, "a test").await.unwrap();
    assert_eq!(let_in(&auth, &made.text, &clock).unwrap_err(), Error::Unauthenticated, "not read yet");
    other.refresh().await.unwrap();
    let caller = let_in(&auth, &made.text, &clock).unwrap();
    assert_eq!((caller.tenant().as_str(), caller.check(clock.now_ns())), ("acme", Ok(())));

    // A stream that is open already ends as well.
    one.revoke_token(&made.token.id, None, "a test").await.unwrap();
    other.refresh().await.unwrap();
    assert_eq!(caller.check(clock.now_ns()), Err(Error::Unauthenticated));
    assert_eq!(let_in(&auth, &made.text, &clock).unwrap_err(), Error::Unauthenticated);
    assert_eq!(one.revoke_token(&made.token.id, None, "a test").await, Err(Error::NoSuch("token")));
}

#[tokio::test]
async fn a_rotated_token_is_good_beside_its_successor_for_the_overlap() {
    let (_, clock, one, _) = two().await;
    let auth = Authenticator::with_tokens(Vec::new()).unwrap().with_registry(one.clone());
    let ends_ns = clock.now_ns() + 1_000 * SECOND_NS;
    let old = one
        .add_token(&name("acme"), BTreeSet::from([Scope::Query]), Some(ends_ns), None, true, "a test")
        .await
        .unwrap();
    let overlap = Duration::from_secs(60);
    let new = one.rotate_token(&old.token.id, Some(&name("acme")), overlap, None, "a test").await.unwrap();
    assert_eq!((&new.token.scopes, new.token.expires_ns), (&old.token.scopes, Some(ends_ns)));
    for (after, old_is_good) in [(0, true), (59, true), (1, false)] {
        clock.advance(after * SECOND_NS);
        assert_eq!(let_in(&auth, &old.text, &clock).is_ok(), old_is_good);
        assert!(let_in(&auth, &new.text, &clock).is_ok());
    }
    // One that would end sooner by itself is not kept alive by it.
    let last = one.rotate_token(&new.token.id, None, MAX_OVERLAP, Some(i64::MAX), "a test").await.unwrap();
    clock.advance(1_000 * SECOND_NS);
    assert_eq!(let_in(&auth, &new.text, &clock).unwrap_err(), Error::Unauthenticated);
    assert!(let_in(&auth, &last.text, &clock).is_ok());
    let too_long = one.rotate_token(&last.token.id, None, MAX_OVERLAP + overlap, None, "a test").await;
    assert_eq!(too_long.unwrap_err(), Error::Overlap);
}

#[tokio::test]
async fn an_administrator_neither_rotates_nor_revokes_an_operators_token_of_the_same_tenant() {
    let (_, clock, one, _) = two().await;
    let scopes = BTreeSet::from([Scope::Query, Scope::Operator]);
    let made = one.add_token(&name("acme"), scopes, None, None, true, "a test").await.unwrap();
    let (id, acme) = (&made.token.id, name("acme"));
    let rotated = one.rotate_token(id, Some(&acme), Duration::ZERO, None, "a test").await;
    assert_eq!(rotated.unwrap_err(), Error::NoSuch("token"));
    assert_eq!(one.revoke_token(id, Some(&acme), "a test").await, Err(Error::NoSuch("token")));
    let auth = Authenticator::with_tokens(Vec::new()).unwrap().with_registry(one.clone());
    assert!(let_in(&auth, &made.text, &clock).is_ok());
    one.rotate_token(id, None, Duration::ZERO, None, "a test").await.unwrap();
}

#[tokio::test]
async fn tokens_that_ended_a_month_ago_are_forgotten() {
    let (_, clock, one, other) = two().await;
    let scopes = BTreeSet::from([Scope::Query]);
    let old = one.add_token(&name("acme"), scopes.clone(), None, None, true, "a test").await.unwrap();
    one.revoke_token(&old.token.id, None, "a test").await.unwrap();
    assert_eq!(one.tokens(None).len(), 1, "listed for a while");
    clock.advance(31 * 86_400 * SECOND_NS);
    let new = one.add_token(&name("acme"), scopes, None, None, false, "a test").await.unwrap();
    other.refresh().await.unwrap();
    for registry in [&one, &other] {
        let ids: Vec<String> = registry.tokens(None).into_iter().map(|token| token.id).collect();
        assert_eq!(ids, std::slice::from_ref(&new.token.id));
        assert!(registry.token(&old.token.id).is_none() && registry.token(&new.token.id).is_some());
    }
}

#[tokio::test]
async fn a_suspended_tenants_tokens_are_refused_those_of_the_configuration_too() {
    let (_, clock, one, _) = two().await;
    let configured = new_token(name("acme"), BTreeSet::from([Scope::Query]), None, None, &mut rand::rng()).unwrap();
    let auth = Authenticator::with_tokens(vec![configured.token]).unwrap().with_registry(one.clone());
    one.add_tenant(&name("acme"), "a test").await.unwrap();
    let caller = let_in(&auth, &configured.text, &clock).unwrap();
    one.suspend_tenant(&name("acme"), true, "a test").await.unwrap();
    assert_eq!(caller.check(clock.now_ns()), Err(Error::Unauthenticated));
    assert_eq!(let_in(&auth, &configured.text, &clock).unwrap_err(), Error::Unauthenticated);
    one.suspend_tenant(&name("acme"), false, "a test").await.unwrap();
    assert!(let_in(&auth, &configured.text, &clock).is_ok() && caller.check(clock.now_ns()).is_ok());
    assert_eq!(one.suspend_tenant(&name("none"), true, "a test").await, Err(Error::NoSuch("tenant")));
}

#[tokio::test]
async fn another_tenants_token_is_as_if_there_were_none() {
    let (_, _, one, _) = two().await;
    let scopes = BTreeSet::from([Scope::Admin]);
    let theirs = one.add_token(&name("acme"), scopes.clone(), None, None, true, "a test").await.unwrap();
    let (foreign, absent) = (theirs.token.id.as_str(), "nobodys");
    let other = name("other");
    for id in [foreign, absent] {
        assert_eq!(one.revoke_token(id, Some(&other), "a test").await, Err(Error::NoSuch("token")));
        let rotated = one.rotate_token(id, Some(&other), Duration::ZERO, None, "a test").await;
        assert_eq!(rotated.unwrap_err(), Error::NoSuch("token"));
    }
    assert_eq!(one.tokens(Some(&other)), []);
    assert_eq!(one.tokens(Some(&name("acme"))).len(), 1);
    let unknown = one.add_token(&other, scopes.clone(), None, None, false, "a test").await;
    assert_eq!(unknown.unwrap_err(), Error::NoSuch("tenant"));
    let taken = one.add_token(&name("acme"), scopes, None, Some(theirs.token.id), false, "a test").await;
    assert_eq!(taken.unwrap_err(), Error::TokenExists);
}

#[tokio::test]
async fn writers_at_the_same_time_lose_nothing() {
    let (shelf, _, one, other) = two().await;
    one.add_tenant(&name("acme"), "a test").await.unwrap();
    let add = |registry: &Arc<Registry>| {
        let registry = registry.clone();
        tokio::spawn(async move {
            for _ in 0..50 {
                let scopes = BTreeSet::from([Scope::Ingest]);
                registry.add_token(&name("acme"), scopes, None, None, false, "a test").await.unwrap();
            }
        })
    };
    let (first, second) = (add(&one), add(&other));
    first.await.unwrap();
    second.await.unwrap();
    // An answer that is lost is found again, not done twice.
    shelf.loses_an_answer.store(true, Ordering::SeqCst);
    other.add_tenant(&name("late"), "a test").await.unwrap();
    one.refresh().await.unwrap();
    assert_eq!((one.tokens(None).len(), one.tenants().len(), shelf.entries.lock().len()), (100, 2, 102));
    assert_eq!(one.tokens(None), other.tokens(None));

    // Who begins later reads the checkpoint and what came after it, and knows the same.
    assert_eq!(shelf.checkpoint.lock().as_ref().map(|(number, _)| *number), Some(64));
    let late = Registry::new(shelf.clone(), Arc::new(ManualClock::at(0)));
    late.refresh().await.unwrap();
    assert_eq!(
        (late.tokens(None), late.known.read().state.clone()),
        (one.tokens(None), one.known.read().state.clone())
    );
}

#[tokio::test]
async fn a_ledger_that_is_down_or_altered_changes_nothing_of_what_is_known() {
    let (shelf, clock, one, other) = two().await;
    let made = one.add_token(&name("acme"), BTreeSet::from([Scope::Query]), None, None, true, "a test").await.unwrap();
    other.refresh().await.unwrap();
    let auth = Authenticator::with_tokens(Vec::new()).unwrap().with_registry(other.clone());
    shelf.is_down.store(true, Ordering::SeqCst);
    clock.advance(90 * SECOND_NS);
    assert_eq!(other.refresh().await.unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(one.add_tenant(&name("new"), "a test").await.unwrap_err().kind(), ErrorKind::Unavailable);
    assert!(let_in(&auth, &made.text, &clock).is_ok());
    assert_eq!(other.age(), Duration::from_secs(90));

    shelf.is_down.store(false, Ordering::SeqCst);
    one.add_tenant(&name("new"), "a test").await.unwrap();
    one.revoke_token(&made.token.id, None, "a test").await.unwrap();
    // Somebody takes the revocation's predecessor for another.
    let honest = shelf.entries.lock()[1].clone();
    shelf.entries.lock()[1] = String::from_utf8(honest.to_vec()).unwrap().replace("new", "old").into();
    assert_eq!(other.refresh().await.unwrap_err().kind(), ErrorKind::Corrupt);
    assert!(let_in(&auth, &made.text, &clock).is_ok(), "what was read before stays");
    shelf.entries.lock()[1] = honest;
    other.refresh().await.unwrap();
    assert_eq!(let_in(&auth, &made.text, &clock).unwrap_err(), Error::Unauthenticated);
    // No hash and no secret is shown by what is logged or printed.
    let secret = made.text.rsplit_once('_').unwrap().1;
    let shown = format!("{other:?} {:?}", other.tokens(None));
    assert!(!shown.contains(secret) && !shown.contains(&made.sha256_hex()), "{shown}");
}

#[tokio::test]
async fn a_tenants_limits_are_known_everywhere_after_a_refresh_and_in_a_checkpoint() {
    let (shelf, _, one, other) = two().await;
    let limits = TenantLimits::new(Limits::none().with(Limit::Services, 9), Some(other.clone()));
    one.add_tenant(&name("acme"), "a test").await.unwrap();
    let set = Overrides::from([(Limit::IngestBytes, 1_000), (Limit::Services, 5)]);
    one.limit_tenant(&name("acme"), &set, &BTreeSet::new(), "a test").await.unwrap();
    assert_eq!(limits.of(&name("acme")).get(Limit::Services), 9, "not read yet");
    other.refresh().await.unwrap();
    assert_eq!(limits.of(&name("acme")), Limits::none().over(&set));
    assert_eq!(limits.of(&name("other")).get(Limit::Services), 9);

    // One is taken back, another added; what nobody spoke of stays.
    let (set, unset) = (Overrides::from([(Limit::Attributes, 3)]), BTreeSet::from([Limit::Services]));
    one.limit_tenant(&name("acme"), &set, &unset, "a test").await.unwrap();
    other.refresh().await.unwrap();
    let expected = Overrides::from([(Limit::IngestBytes, 1_000), (Limit::Attributes, 3)]);
    assert_eq!(*limits.overrides(&name("acme")), expected);

    let absent = one.limit_tenant(&name("none"), &set, &unset, "a test").await;
    assert_eq!(absent, Err(Error::NoSuch("tenant")));
    let wrong = Overrides::from([(Limit::Attributes, 1_000)]);
    let refused = one.limit_tenant(&name("acme"), &wrong, &BTreeSet::new(), "a test").await.unwrap_err();
    assert_eq!((refused.kind(), refused.field()), (ErrorKind::Invalid, "attributes"));

    let state = one.known.read().state.encode(0).unwrap();
    *shelf.checkpoint.lock() = Some((3, state));
    let late = Arc::new(Registry::new(shelf.clone(), Arc::new(ManualClock::at(0))));
    late.refresh().await.unwrap();
    assert_eq!(*TenantLimits::new(Limits::none(), Some(late)).overrides(&name("acme")), expected);
}

#[tokio::test]
async fn what_older_programs_read_has_their_version_and_what_is_newer_is_refused_by_its_own() {
    let (shelf, _, one, other) = two().await;
    let version = |bytes: &Bytes| serde_json::from_slice::<serde_json::Value>(bytes).unwrap()["version"].as_u64();
    one.add_tenant(&name("acme"), "a test").await.unwrap();
    assert_eq!(version(&one.known.read().state.encode(0).unwrap()), Some(1));
    let set = Overrides::from([(Limit::Attributes, 3)]);
    one.limit_tenant(&name("acme"), &set, &BTreeSet::new(), "a test").await.unwrap();
    assert_eq!(shelf.entries.lock().iter().map(version).collect::<Vec<_>>(), [Some(1), Some(2)]);
    assert_eq!(version(&one.known.read().state.encode(0).unwrap()), Some(2));
    // A limit that came later, also where it is only taken back.
    let set = Overrides::from([(Limit::StoredBytes, 1 << 40)]);
    one.limit_tenant(&name("acme"), &set, &BTreeSet::new(), "a test").await.unwrap();
    assert_eq!(version(&one.known.read().state.encode(0).unwrap()), Some(3));
    let unset = BTreeSet::from([Limit::StoredBytes]);
    one.limit_tenant(&name("acme"), &Overrides::new(), &unset, "a test").await.unwrap();
    assert_eq!(version(&one.known.read().state.encode(0).unwrap()), Some(2));
    assert_eq!(shelf.entries.lock()[2..].iter().map(version).collect::<Vec<_>>(), [Some(3), Some(3)]);
    other.refresh().await.unwrap();
    shelf.entries.lock().push(Bytes::from(r#"{"version":4,"number":5,"change":{"never_heard_of":{}}}"#));
    let error = other.refresh().await.unwrap_err();
    assert!(error.kind() == ErrorKind::Corrupt && error.to_string().contains("version 4 is not known"), "{error}");
    let newer = br#"{"version":4,"tenants":{"acme":{"created_ns":0,"limits":{"never_heard_of":1}}}}"#;
    let error = super::state::State::decode(newer).unwrap_err();
    assert!(error.to_string().contains("version 4 is not known"), "{error}");
}
