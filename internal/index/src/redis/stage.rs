//! Putting a snapshot aside, piece by piece, so that one short script makes it visible.

use std::collections::BTreeMap;

use loglake_model::ChunkMeta;

use super::answer::failed;
use super::keys::PartitionKeys;
use super::link::Link;
use crate::{Error, Snapshot, place};

/// Entries sent at once: a piece is small beside what other clients send meanwhile.
const PIECE: usize = 500;
/// What was put aside lives so long after its last piece: a rebuilder that dies leaves nothing for ever.
const TTL_MS: u64 = 600_000;

/// A snapshot that is in the server and not visible.
#[derive(Debug)]
pub(super) struct Staged {
    pub(super) chunks: String,
    pub(super) sessions: String,
    pub(super) chunk_count: usize,
    pub(super) session_count: usize,
    pub(super) longest_minutes: i64,
}

pub(super) async fn put(link: &Link, keys: &PartitionKeys, snapshot: &Snapshot) -> Result<Staged, Error> {
    let members = snapshot.live.iter().map(member).collect::<Result<BTreeMap<_, _>, Error>>()?;
    let sessions: BTreeMap<&str, &str> = snapshot
        .sessions
        .iter()
        .filter_map(|session| Some((session.session.as_str(), session.state.as_deref()?)))
        .collect();
    let nonce = format!("{:032x}", rand::random::<u128>());
    let staged = Staged {
        chunks: format!("{}:{nonce}", keys.chunks),
        sessions: format!("{}:{nonce}", keys.sessions),
        chunk_count: members.len(),
        session_count: sessions.len(),
        longest_minutes: snapshot.live.iter().map(place::window_minutes).max().unwrap_or(0),
    };
    let members: Vec<_> = members.into_iter().collect();
    for piece in members.chunks(PIECE) {
        let mut add = redis::cmd("ZADD");
        add.arg(&staged.chunks);
        for (place, entry) in piece {
            add.arg(0).arg([place.as_slice(), &[place::END], entry.as_slice()].concat());
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
    Ok(staged)
}

fn member(chunk: &ChunkMeta) -> Result<(Vec<u8>, Vec<u8>), Error> {
    Ok((place::of(chunk)?, place::encode(chunk)?))
}

/// Sends a piece and its time to live in one step: a server that loses all between two pieces keeps none of them for ever.
async fn send(link: &Link, piece: redis::Cmd, key: &str) -> Result<(), Error> {
    let mut both = redis::pipe();
    both.atomic().add_command(piece).ignore().cmd("PEXPIRE").arg(key).arg(TTL_MS).ignore();
    both.query_async(&mut link.clone()).await.map_err(|error| failed("put a rebuild aside", &error))
}

/// Removes what was put aside in vain. It would go by itself.
pub(super) async fn remove(link: &Link, staged: &Staged) {
    let removed: Result<(), _> =
        redis::cmd("UNLINK").arg(&staged.chunks).arg(&staged.sessions).query_async(&mut link.clone()).await;
    if let Err(error) = removed {
        tracing::debug!(%error, "rebuild put aside in vain stays until its time to live ends");
    }
}
