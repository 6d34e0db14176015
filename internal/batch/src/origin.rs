use crate::Error;
use crate::repeats::{KEY_GOOD_NS, MAX_OUTSTANDING, MAX_PARTS, SESSION_END_NS};
use crate::wire::Reader;

/// Where a message's records come from, so that a repeat is recognised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A client that says nothing about repeats: at least once from there.
    None,
    /// A numbered batch of a session.
    Session(SessionPart),
    /// A request with an idempotency key.
    Key(IdempotencyKey),
}

/// A message of a session's batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionPart {
    /// The session's random id.
    pub id: [u8; 16],
    /// When the session was opened, by the log's clock, ns UTC.
    pub opened_at_ns: i64,
    /// How many partitions the session routes to, at least 1: fixed when it was opened, so that a repeat goes the same way.
    pub partitions: u32,
    /// The number of the client's batch.
    pub number: u64,
    /// The oldest number that had no acknowledgement when this was sent; at most `number`.
    pub oldest_unacknowledged: u64,
    /// Which of the messages that the batch became in this partition, from 0.
    pub part: u32,
    /// How many messages the batch became in this partition, at least 1.
    pub parts: u32,
}

/// A message of a request with an idempotency key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdempotencyKey {
    /// A hash of tenant and key.
    pub hash: [u8; 32],
    /// When this request was received, by the log's clock, ns UTC.
    pub first_seen_ns: i64,
    /// How many partitions the request was routed to, at least 1.
    pub partitions: u32,
    /// Which of the messages that the request became in this partition, from 0.
    pub part: u32,
    /// How many messages the request became in this partition, at least 1.
    pub parts: u32,
}

impl Origin {
    /// How long the form of kinds 1 and 2 is.
    const BYTES: usize = 52;

    /// The append time, by the log's own clock, from which on such a message is dropped and must not be acknowledged; `None` for
    /// one that is always taken.
    #[must_use]
    pub fn deadline_ns(&self) -> Option<i64> {
        match self {
            Self::None => None,
            Self::Session(session) => Some(session.opened_at_ns.saturating_add(SESSION_END_NS)),
            Self::Key(key) => Some(key.first_seen_ns.saturating_add(KEY_GOOD_NS)),
        }
    }

    pub(crate) fn code(&self) -> u8 {
        match self {
            Self::None => 0,
            Self::Session(_) => 1,
            Self::Key(_) => 2,
        }
    }

    pub(crate) fn encoded_len(&self) -> usize {
        match self {
            Self::None => 0,
            Self::Session(_) | Self::Key(_) => Self::BYTES,
        }
    }

    /// Sets which of how many messages this is; no effect without session and key.
    pub(crate) fn set_part(&mut self, number: u32, count: u32) {
        match self {
            Self::None => {}
            Self::Session(SessionPart { part, parts, .. }) | Self::Key(IdempotencyKey { part, parts, .. }) => {
                (*part, *parts) = (number, count);
            }
        }
    }

    pub(crate) fn check(&self) -> Result<(), &'static str> {
        let (at_ns, partitions, part, parts) = match self {
            Self::None => return Ok(()),
            Self::Session(session) => {
                if session.oldest_unacknowledged > session.number {
                    return Err("the oldest unacknowledged number is past the batch's own");
                }
                if session.number - session.oldest_unacknowledged >= MAX_OUTSTANDING {
                    return Err("the number lies too far above the oldest unacknowledged one");
                }
                (session.opened_at_ns, session.partitions, session.part, session.parts)
            }
            Self::Key(key) => (key.first_seen_ns, key.partitions, key.part, key.parts),
        };
        if at_ns < 0 {
            return Err("the origin's time is before 1970");
        }
        if partitions == 0 {
            return Err("the origin routes to no partition");
        }
        if part >= parts {
            return Err("the part is past the number of parts");
        }
        if parts > MAX_PARTS {
            return Err("there are too many parts");
        }
        Ok(())
    }

    pub(crate) fn encode_into(&self, out: &mut Vec<u8>) {
        match self {
            Self::None => {}
            Self::Session(session) => {
                out.extend_from_slice(&session.id);
                out.extend_from_slice(&session.opened_at_ns.to_le_bytes());
                out.extend_from_slice(&session.partitions.to_le_bytes());
                out.extend_from_slice(&session.number.to_le_bytes());
                out.extend_from_slice(&session.oldest_unacknowledged.to_le_bytes());
                out.extend_from_slice(&session.part.to_le_bytes());
                out.extend_from_slice(&session.parts.to_le_bytes());
            }
            Self::Key(key) => {
                out.extend_from_slice(&key.hash);
                out.extend_from_slice(&key.first_seen_ns.to_le_bytes());
                out.extend_from_slice(&key.partitions.to_le_bytes());
                out.extend_from_slice(&key.part.to_le_bytes());
                out.extend_from_slice(&key.parts.to_le_bytes());
            }
        }
    }

    pub(crate) fn decode(code: u8, reader: &mut Reader<'_>) -> Result<Self, Error> {
        let at = reader.at();
        let origin = match code {
            0 => Self::None,
            1 => Self::Session(SessionPart {
                id: reader.array()?,
                opened_at_ns: reader.i64()?,
                partitions: reader.u32()?,
                number: reader.u64()?,
                oldest_unacknowledged: reader.u64()?,
                part: reader.u32()?,
                parts: reader.u32()?,
            }),
            2 => Self::Key(IdempotencyKey {
                hash: reader.array()?,
                first_seen_ns: reader.i64()?,
                partitions: reader.u32()?,
                part: reader.u32()?,
                parts: reader.u32()?,
            }),
            _ => return reader.corrupt("the kind of origin is not known"),
        };
        match origin.check() {
            Ok(()) => Ok(origin),
            Err(what) => Err(Error::Corrupt { offset_bytes: at, what }),
        }
    }
}
