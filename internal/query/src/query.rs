use loglake_model::{TenantId, TimeRange};
use loglake_search::{Filter, Matcher};
use sha2::{Digest as _, Sha256};

use crate::order::{Direction, Position};

/// What was asked: a value, made once at the edge.
#[derive(Clone, Debug)]
pub(crate) struct Query {
    pub(crate) tenant: TenantId,
    pub(crate) filter: Filter,
    pub(crate) matcher: Matcher,
    /// The range of the whole query, resolved.
    pub(crate) range: TimeRange,
    pub(crate) direction: Direction,
    /// Rows a page, at least 1.
    pub(crate) limit: usize,
    /// Where the page before ended.
    pub(crate) after: Option<Position>,
}

/// What makes two requests pages of one query.
pub(crate) type Fingerprint = [u8; 16];

impl Query {
    /// Covers tenant, filters and direction; not the limit.
    pub(crate) fn fingerprint(tenant: &TenantId, filter: &Filter, direction: Direction) -> Fingerprint {
        let mut hash = Sha256::new();
        hash.update(tenant.as_str().as_bytes());
        hash.update([0, u8::from(direction.is_forward())]);
        hash.update(filter.fingerprint_bytes());
        let whole: [u8; 32] = hash.finalize().into();
        let mut short = Fingerprint::default();
        short.copy_from_slice(&whole[..16]);
        short
    }

    /// Whether a record at `position` comes after the page before.
    pub(crate) fn is_past(&self, position: Position) -> bool {
        self.after.is_none_or(|after| self.direction.rank(position) > self.direction.rank(after))
    }

    /// What of the range can still hold rows.
    pub(crate) fn rest(&self) -> TimeRange {
        let (start, end) = (self.range.start_ns(), self.range.end_ns());
        let rest = match (self.after, self.direction) {
            (None, _) => return self.range,
            (Some((at, _)), Direction::Forward) => TimeRange::new(start.max(at).min(end), end),
            (Some((at, _)), Direction::Backward) => TimeRange::new(start, end.min(at.saturating_add(1)).max(start)),
        };
        rest.unwrap_or(self.range)
    }
}
