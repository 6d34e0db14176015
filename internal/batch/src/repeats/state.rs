use std::collections::BTreeMap;

use super::runs::Runs;
use super::{KEY_GOOD_NS, MAX_OUTSTANDING, MAX_PARTS, SESSION_END_NS, Verdict};
use crate::{IdempotencyKey, SessionPart};

/// The version of the saved texts.
const VERSION: u32 = 1;

/// What is remembered of one session or key. Saved as an array of numbers, which needs no escapes within an entry:
///
/// ```text
/// session  [1, opened at ns, low mark, [[first, last], …] numbers seen whole, [[number, parts, [[first, last], …] parts seen], …]]
/// key      [1, first seen ns, parts, [[first, last], …] parts seen]
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum State {
    Session {
        opened_at_ns: i64,
        low: u64,
        /// Numbers at or above `low` of which all is there.
        seen: Runs,
        /// Numbers of which some parts are there: how many there will be, and which.
        partial: BTreeMap<u64, (u32, Runs)>,
    },
    Key {
        first_seen_ns: i64,
        parts: u32,
        seen: Runs,
    },
}

type SessionText = (u32, i64, u64, Runs, Vec<(u64, u32, Runs)>);
type KeyText = (u32, i64, u32, Runs);

impl State {
    pub(super) fn opened(part: &SessionPart) -> Self {
        let opened_at_ns = part.opened_at_ns;
        Self::Session { opened_at_ns, low: 0, seen: Runs::default(), partial: BTreeMap::new() }
    }

    pub(super) fn first_seen(key: &IdempotencyKey) -> Self {
        Self::Key { first_seen_ns: key.first_seen_ns, parts: key.parts, seen: Runs::default() }
    }

    /// The log's time from which on no message can need it.
    pub(super) fn end_ns(&self) -> i64 {
        match self {
            Self::Session { opened_at_ns, .. } => opened_at_ns.saturating_add(SESSION_END_NS),
            // The last request that is a repeat was received just within the time, and may take as long to be appended.
            Self::Key { first_seen_ns, .. } => first_seen_ns.saturating_add(2 * KEY_GOOD_NS),
        }
    }

    /// Whether `key` is a new use of the key that this one is of.
    pub(super) fn is_over_for(&self, key: &IdempotencyKey) -> bool {
        match self {
            Self::Key { first_seen_ns, .. } => key.first_seen_ns >= first_seen_ns.saturating_add(KEY_GOOD_NS),
            Self::Session { .. } => false,
        }
    }

    /// Takes a message of this session; also says whether this changed it.
    pub(super) fn take_part(&mut self, part: &SessionPart) -> (Verdict, bool) {
        // What is kept under a session's id is a session's.
        let Self::Session { low, seen, partial, .. } = self else { return (Verdict::Late, false) };
        let number = part.number;
        let is_repeat = number < *low
            || seen.contains(number)
            // Another number of parts: another batch under the same number. The first counts.
            || partial.get(&number).is_some_and(|(parts, runs)| {
                *parts != part.parts || runs.contains(u64::from(part.part))
            });
        if !is_repeat && part.parts == 1 {
            seen.insert(number);
        } else if !is_repeat {
            let (_, runs) = partial.entry(number).or_insert_with(|| (part.parts, Runs::default()));
            runs.insert(u64::from(part.part));
            if runs.is_all_below(u64::from(part.parts)) {
                partial.remove(&number);
                seen.insert(number);
            }
        }
        let rises = part.oldest_unacknowledged > *low;
        if rises {
            *low = part.oldest_unacknowledged;
            seen.drop_below(*low);
            *partial = partial.split_off(low);
        }
        (if is_repeat { Verdict::Repeat } else { Verdict::New }, rises || !is_repeat)
    }

    /// Takes a message of this key; also says whether this changed it.
    pub(super) fn take_key(&mut self, key: &IdempotencyKey) -> (Verdict, bool) {
        // What is kept under a key's hash is a key's.
        let Self::Key { parts, seen, .. } = self else { return (Verdict::Late, false) };
        if *parts != key.parts || seen.contains(u64::from(key.part)) {
            return (Verdict::Repeat, false);
        }
        seen.insert(u64::from(key.part));
        (Verdict::New, true)
    }

    /// How long its text is, at most, in bytes.
    pub(super) fn encoded_len(&self) -> usize {
        // A run of numbers has at most 44 bytes, one of parts 13.
        match self {
            Self::Session { seen, partial, .. } => {
                let partial: usize = partial.values().map(|(_, runs)| 34 + 13 * runs.len()).sum();
                52 + 44 * seen.len() + partial
            }
            Self::Key { seen, .. } => 36 + 13 * seen.len(),
        }
    }

    pub(super) fn encode(&self) -> String {
        let text = match self {
            Self::Session { opened_at_ns, low, seen, partial } => {
                let partial: Vec<_> = partial.iter().map(|(number, (parts, runs))| (number, parts, runs)).collect();
                serde_json::to_string(&(VERSION, opened_at_ns, low, seen, partial))
            }
            Self::Key { first_seen_ns, parts, seen } => serde_json::to_string(&(VERSION, first_seen_ns, parts, seen)),
        };
        text.expect("numbers always become JSON")
    }

    pub(super) fn decode(is_session: bool, text: &str) -> Result<Self, &'static str> {
        const SHAPE: &str = "its state is not of the known shape";
        const RULES: &str = "its state breaks its own rules";
        let known = |version: u32| if version == VERSION { Ok(()) } else { Err("its state is of an unknown version") };
        if is_session {
            let (version, opened_at_ns, low, seen, rest): SessionText =
                serde_json::from_str(text).map_err(|_| SHAPE)?;
            known(version)?;
            let is_above = |(first, last): (u64, u64)| first >= low && last - low < MAX_OUTSTANDING;
            if opened_at_ns < 0 || !seen.is_valid_to(u64::MAX) || !seen.bounds().is_none_or(is_above) {
                return Err(RULES);
            }
            let count = rest.len();
            let partial: BTreeMap<_, _> =
                rest.into_iter().map(|(number, parts, runs)| (number, (parts, runs))).collect();
            let is_partial = |(number, (parts, runs)): (&u64, &(u32, Runs))| {
                is_above((*number, *number))
                    && (1..=MAX_PARTS).contains(parts)
                    && runs.is_valid_to(u64::from(*parts - 1))
            };
            if partial.len() != count || !partial.iter().all(is_partial) {
                return Err(RULES);
            }
            Ok(Self::Session { opened_at_ns, low, seen, partial })
        } else {
            let (version, first_seen_ns, parts, seen): KeyText = serde_json::from_str(text).map_err(|_| SHAPE)?;
            known(version)?;
            if first_seen_ns < 0 || !(1..=MAX_PARTS).contains(&parts) || !seen.is_valid_to(u64::from(parts - 1)) {
                return Err(RULES);
            }
            Ok(Self::Key { first_seen_ns, parts, seen })
        }
    }
}
