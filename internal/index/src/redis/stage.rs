//! Putting a snapshot aside, piece by piece, so that one short script makes it visible.

use std::collections::BTreeMap;

use loglake_model::TenantName;

use super::answer::failed;
use super::keys::PartitionKeys;
use super::link::Link;
use crate::{Error, Snapshot, place, stored_by_tenant};

/// Entries sent at once: a piece is small beside what other clients send meanwhile.
const PIECE: usize = 500;
/// What was put aside lives so long after its last piece: a rebuilder that dies leaves nothing for ever.
const TTL_MS: u64 = 600_000;

/// A snapshot that is in the server and not visible.
#[derive(Debug)]
pub(super) struct Staged {
    pub(super) chunks: String,
    pub(super) sessions: String,
    pub(super) sums: String,
    pub(super) chunk_count: usize,
    pub(super) session_count: usize,
    pub(super) sum_count: usize,
    pub(super) longest_minutes: i64,
}

pub(super) async fn put(link: &Link, keys: &PartitionKeys, snapshot: &Snapshot) -> Result<Staged, Error> {
    let chunks: BTreeMap<_, _> =
        snapshot.live.iter().map(|chunk| Ok((place::of(chunk)?, chunk))).collect::<Result<_, Error>>()?;
    // A place has one entry: what is not there is not added up either.
    let sums = stored_by_tenant(chunks.values().copied());
    let sessions: BTreeMap<&str, &str> = snapshot
        .sessions
        .iter()
        .filter_map(|session| Some((session.session.as_str(), session.state.as_deref()?)))
        .collect();
    let nonce = format!("{:032x}", rand::random::<u128>());
    let staged = Staged {
        chunks: format!("{}:{nonce}", keys.chunks),
        sessions: format!("{}:{nonce}", keys.sessions),
        sums: format!("{}:{nonce}", keys.sums),
        chunk_count: chunks.len(),
        session_count: sessions.len(),
        sum_count: sums.len(),
        longest_minutes: snapshot.live.iter().map(place::window_minutes).max().unwrap_or(0),
    };
    let chunks: Vec<_> = chunks.into_iter().collect();
    for piece in chunks.chunks(PIECE) {
        let mut add = redis::cmd("ZADD");
        add.arg(&staged.chunks);
        for (place, chunk) in piece {
            add.arg(0).arg([place.as_slice(), &[place::END], &place::encode(chunk)?].concat());
        }
        send(link, add, &staged.chunks).await?;
    }
    let sessions: Vec<_> = sessions.into_iter().collect();
    for piece in sessions.chunks(PIECE) {
        let mut set = redis::cmd("HSET");
        set.arg(&staged.sessions);
        for (session, state) in piece {
            set.arg(session).arg(state);
        }
        send(link, set, &staged.sessions).await?;
    }
    put_sums(link, &staged.sums, &sums).await?;
    Ok(staged)
}

/// Puts sums aside under `key`.
pub(super) async fn put_sums(link: &Link, key: &str, sums: &BTreeMap<TenantName, u64>) -> Result<(), Error> {
    let sums: Vec<_> = sums.iter().collect();
    for piece in sums.chunks(PIECE) {
        let mut set = redis::cmd("HSET");
        set.arg(key);
        for (tenant, bytes) in piece {
            set.arg(tenant.as_str()).arg(**bytes);
        }
        send(link, set, key).await?;
    }
    Ok(())
}

/// Sends a piece and its time to live in one step: a server that loses all between two pieces keeps none of them for ever.
async fn send(link: &Link, piece: redis::Cmd, key: &str) -> Result<(), Error> {
    let mut both = redis::pipe();
    both.atomic().add_command(piece).ignore().cmd("PEXPIRE").arg(key).arg(TTL_MS).ignore();
    both.query_async(&mut link.clone()).await.map_err(|error| failed("put a rebuild aside", &error))
}

/// Removes what was put aside in vain. It would go by itself.
pub(super) async fn remove(link: &Link, staged: &Staged) {
    let removed: Result<(), _> = redis::cmd("UNLINK")
        .arg(&[&staged.chunks, &staged.sessions, &staged.sums])
        .query_async(&mut link.clone())
        .await;
    if let Err(error) = removed {
        tracing::debug!(%error, "rebuild put aside in vain stays until its time to live ends");
    }
}
