//! The body of `POST /v1/query`, read and checked.

use loglake_model::{Fault, TimeRange};
use loglake_search::Filter;
use serde_json::Value;

use crate::conditions::{Conditions, invalid, text};
use crate::order::Direction;

/// Rows a page unless said otherwise.
const DEFAULT_LIMIT: u64 = 100;
/// The most rows a page.
const MAX_LIMIT: u64 = 10_000;
/// The keys beside those of [`Conditions`].
const KEYS: [&str; 3] = ["direction", "limit", "cursor"];

/// What a body asked for.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Request {
    pub(crate) tenant_id: Option<String>,
    pub(crate) filter: Filter,
    pub(crate) range: TimeRange,
    pub(crate) direction: Direction,
    pub(crate) limit: usize,
    pub(crate) cursor: Option<String>,
}

impl Request {
    /// Reads a body.
    ///
    /// # Errors
    /// A fault that names the key, and for broken JSON the line and column.
    pub(crate) fn parse(body: &[u8]) -> Result<Self, Fault> {
        let (mut direction, mut most, mut cursor) = (Direction::Backward, DEFAULT_LIMIT as usize, None);
        let mut conditions = Conditions::parse(body, &KEYS, |name, value| {
            match name {
                "direction" => direction = self::direction(name, value)?,
                "limit" => most = limit(name, value)?,
                _ => cursor = Some(text(name, value)?.to_owned()),
            }
            Ok(())
        })?;
        let (range, tenant_id) = (conditions.range()?, conditions.tenant_id.take());
        Ok(Self { tenant_id, filter: conditions.into_filter(), range, direction, limit: most, cursor })
    }
}

fn direction(name: &str, value: &Value) -> Result<Direction, Fault> {
    match text(name, value)? {
        "forward" => Ok(Direction::Forward),
        "backward" => Ok(Direction::Backward),
        _ => Err(invalid(name, "direction is forward (oldest first) or backward (newest first, the default)")),
    }
}

fn limit(name: &str, value: &Value) -> Result<usize, Fault> {
    let fault = || invalid(name, format!("limit is an integer from 1 to {MAX_LIMIT}"));
    match value.as_u64() {
        Some(limit) if (1..=MAX_LIMIT).contains(&limit) => usize::try_from(limit).map_err(|_| fault()),
        Some(limit) => Err(fault().with_limit(MAX_LIMIT, limit)),
        None => Err(fault()),
    }
}

#[cfg(test)]
mod tests;
