//! What the servers answer, taken apart.

use loglake_model::{ChunkMeta, TenantName};
use redis::{ErrorKind, RedisError, ServerErrorKind};

use crate::{Error, Gap, Snapshot, Watermark, place};

/// What a walk over a whole partition saw.
pub(super) enum Dumped {
    /// All of it at one watermark; `None` without one.
    Whole(Option<Snapshot>),
    /// It changed meanwhile.
    Torn,
}

/// The watermark that an answer begins with, and the rest.
pub(super) type Marked<'a> = (Watermark, &'a [Vec<u8>]);

/// Takes an answer apart; `None` for an empty one: the index is lost.
pub(super) fn split_watermark(answer: &[Vec<u8>]) -> Result<Option<Marked<'_>>, Error> {
    let number = |text: &[u8]| std::str::from_utf8(text).ok().and_then(|text| text.parse::<u64>().ok());
    match answer {
        [] => Ok(None),
        [seq, next, rest @ ..] => match (number(seq), number(next)) {
            (Some(seq), Some(next)) => Ok(Some((Watermark { seq, next }, rest))),
            _ => Err(corrupt("watermark", "it is not two numbers")),
        },
        [_] => Err(corrupt("watermark", "it is not two numbers")),
    }
}

/// Takes the gaps off what follows a watermark.
pub(super) fn split_gaps(rest: &[Vec<u8>]) -> Result<(Vec<Gap>, &[Vec<u8>]), Error> {
    match rest {
        [] => Err(corrupt("gaps", "the script did not answer them")),
        [gaps, rest @ ..] if gaps.is_empty() => Ok((Vec::new(), rest)),
        [gaps, rest @ ..] => {
            Ok((serde_json::from_slice(gaps).map_err(|error| corrupt("gaps", &error.to_string()))?, rest))
        }
    }
}

/// Gaps as they are stored: JSON, nothing for none.
pub(super) fn stored_gaps(gaps: &[Gap]) -> Result<Vec<u8>, Error> {
    if gaps.is_empty() {
        return Ok(Vec::new());
    }
    serde_json::to_vec(gaps).map_err(|error| corrupt("gaps", &error.to_string()))
}

/// Reads a member of the sorted set: its place, 01, the entry.
pub(super) fn entry(member: &[u8], tenant: &TenantName) -> Result<ChunkMeta, Error> {
    let (place, stored) = split_member(member)?;
    place::decode(place, stored, tenant)
}

pub(super) fn split_member(member: &[u8]) -> Result<(&[u8], &[u8]), Error> {
    place::split_member(member).ok_or_else(|| corrupt(&member.escape_ascii().to_string(), "it has no entry"))
}

pub(super) fn corrupt(key: &str, reason: &str) -> Error {
    Error::Corrupt { key: key.to_owned(), reason: reason.to_owned() }
}

pub(super) fn failed(what: &str, error: &RedisError) -> Error {
    match (error.kind(), error.code()) {
        (ErrorKind::InvalidClientConfig | ErrorKind::AuthenticationFailed, _)
        | (ErrorKind::Server(ServerErrorKind::NoPerm), _)
        | (_, Some("NOAUTH" | "WRONGPASS")) => Error::Unfit(format!("{what}: {error}")),
        (ErrorKind::Parse | ErrorKind::UnexpectedReturnType, _) | (_, Some("CORRUPT" | "WRONGTYPE")) => {
            corrupt(what, &error.to_string())
        }
        _ => Error::Unavailable { what: what.to_owned(), reason: error.to_string() },
    }
}
