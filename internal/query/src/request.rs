//! The body of `POST /v1/query`, read and checked.

use std::fmt;

use loglake_model::{Fault, FaultCode, Level, Service, TimeRange, Timestamp};
use loglake_search::{FieldFilter, Filter, LevelSet, MAX_FIELDS, MAX_NEEDLES, MAX_SERVICES};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;

use crate::order::Direction;

/// The largest body, in bytes.
pub(crate) const MAX_BODY_BYTES: usize = 1 << 20;
/// Rows a page unless said otherwise.
const DEFAULT_LIMIT: u64 = 100;
/// The most rows a page.
const MAX_LIMIT: u64 = 10_000;
/// Names that `level` may list.
const MAX_LEVELS: usize = 100;
/// All keys.
const KEYS: [&str; 15] = [
    "tenant_id",
    "service",
    "services",
    "from_ts",
    "to_ts",
    "level",
    "min_level",
    "contains",
    "icontains",
    "regex",
    "trace_id",
    "fields",
    "direction",
    "limit",
    "cursor",
];

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
        let Members(members) = serde_json::from_slice(body).map_err(|error| malformed(&error))?;
        let mut request = Self {
            tenant_id: None,
            filter: Filter::default(),
            range: TimeRange::ALL,
            direction: Direction::Backward,
            limit: DEFAULT_LIMIT as usize,
            cursor: None,
        };
        let (mut from, mut to, mut least) = (None, None, None);
        for (at, (key, value)) in members.iter().enumerate() {
            let Some(&name) = KEYS.iter().find(|name| *name == key) else {
                let shown: String = key.chars().take(60).collect();
                let message = format!("there is no such key; the keys are {}", KEYS.join(", "));
                return Err(Fault::new(FaultCode::UnknownField, shown, message));
            };
            if members[..at].iter().any(|(other, _)| other == key) {
                return Err(Fault::new(FaultCode::DuplicateKey, name, "the key stands twice"));
            }
            if value.is_null() {
                continue;
            }
            match name {
                "tenant_id" => request.tenant_id = Some(text(name, value)?.to_owned()),
                "service" => request.filter.services.push(service(name, text(name, value)?)?),
                "services" => {
                    for item in list(name, value, MAX_SERVICES)? {
                        request.filter.services.push(service(name, text(name, item)?)?);
                    }
                }
                "from_ts" => from = Some(timestamp(name, value)?),
                "to_ts" => to = Some(timestamp(name, value)?),
                "level" => request.filter.levels = Some(levels(name, value)?),
                "min_level" => least = Some(min_level(name, value)?),
                "contains" => request.filter.contains = texts(name, value)?,
                "icontains" => request.filter.icontains = texts(name, value)?,
                "regex" => request.filter.regex = Some(text(name, value)?.to_owned()),
                "trace_id" => request.filter.trace_id = Some(text(name, value)?.to_owned()),
                "fields" => request.filter.fields = fields(name, value)?,
                "direction" => request.direction = direction(name, value)?,
                "limit" => request.limit = limit(name, value)?,
                _ => request.cursor = Some(text(name, value)?.to_owned()),
            }
        }
        if let Some(least) = least {
            let levels = request.filter.levels.unwrap_or(LevelSet::ALL);
            request.filter.levels = Some(levels.intersection(least));
        }
        request.range = range(from, to)?;
        Ok(request)
    }
}

/// Makes `[from, to)` of its two ends, either of which may be missing.
pub(crate) fn range(from: Option<i64>, to: Option<i64>) -> Result<TimeRange, Fault> {
    let (from, to) = (from.unwrap_or(0), to.unwrap_or(i64::MAX));
    TimeRange::new(from, to).ok_or_else(|| Fault::new(FaultCode::Invalid, "from_ts", "from_ts lies after to_ts"))
}

/// Says what is wrong with a text that is not the JSON asked for.
fn malformed(error: &serde_json::Error) -> Fault {
    Fault::new(FaultCode::Malformed, "", format!("the body is not one JSON object: {error}"))
}

fn invalid(name: &str, right: impl Into<String>) -> Fault {
    Fault::new(FaultCode::Invalid, name, right)
}

fn text<'a>(name: &str, value: &'a Value) -> Result<&'a str, Fault> {
    value.as_str().ok_or_else(|| invalid(name, format!("{name} takes text")))
}

fn list<'a>(name: &str, value: &'a Value, most: usize) -> Result<&'a [Value], Fault> {
    let items = value.as_array().ok_or_else(|| invalid(name, format!("{name} takes a list")))?;
    if items.len() > most {
        let message = format!("{name} has at most {most} items");
        return Err(Fault::new(FaultCode::TooMany, name, message).with_limit(most as u64, items.len() as u64));
    }
    Ok(items)
}

fn one_or_list<'a>(name: &str, value: &'a Value, most: usize) -> Result<&'a [Value], Fault> {
    if value.is_array() { list(name, value, most) } else { Ok(std::slice::from_ref(value)) }
}

fn texts(name: &str, value: &Value) -> Result<Vec<String>, Fault> {
    one_or_list(name, value, MAX_NEEDLES)?.iter().map(|item| text(name, item).map(str::to_owned)).collect()
}

fn service(name: &str, value: &str) -> Result<Service, Fault> {
    Service::parse(value).map_err(|error| invalid(name, error.to_string()))
}

fn levels(name: &str, value: &Value) -> Result<LevelSet, Fault> {
    one_or_list(name, value, MAX_LEVELS)?.iter().try_fold(LevelSet::EMPTY, |set, item| {
        let level = LevelSet::parse(text(name, item)?).map_err(|error| invalid(name, error.to_string()))?;
        Ok(set.union(level))
    })
}

fn min_level(name: &str, value: &Value) -> Result<LevelSet, Fault> {
    Level::from_text(text(name, value)?)
        .map(LevelSet::at_least)
        .ok_or_else(|| invalid(name, "min_level is one of trace, debug, info, warn, error, fatal"))
}

fn timestamp(name: &str, value: &Value) -> Result<i64, Fault> {
    let moment = match value {
        Value::Number(number) => match number.as_i64() {
            Some(number) => Timestamp::from_integer(number),
            None => return Err(invalid(name, format!("{name} takes RFC 3339 or an integer of s, ms, us or ns"))),
        },
        value => Timestamp::parse(text(name, value)?),
    };
    moment.map(|moment| moment.0).map_err(|error| invalid(name, error.to_string()))
}

/// Reads a moment of a URL's query.
pub(crate) fn timestamp_text(name: &str, value: &str) -> Result<i64, Fault> {
    Timestamp::parse(value).map(|moment| moment.0).map_err(|error| invalid(name, error.to_string()))
}

fn fields(name: &str, value: &Value) -> Result<Vec<FieldFilter>, Fault> {
    let items = list(name, value, MAX_FIELDS)?.iter().enumerate();
    items
        .map(|(at, item)| {
            FieldFilter::deserialize(item).map_err(|error| {
                let shape = r#"{"name":"…","op":"eq|ne|exists|gt|gte|lt|lte","value":…}"#;
                invalid(&format!("{name}[{at}]"), format!("{error}; a condition is {shape}"))
            })
        })
        .collect()
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

/// The members of a JSON object in their order, repeated keys too.
struct Members(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        struct Collect;

        impl<'de> Visitor<'de> for Collect {
            type Value = Members;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                    // More than twice the keys there are: one of them is unknown or repeated.
                    if members.len() > 2 * KEYS.len() {
                        break;
                    }
                }
                while map.next_entry::<serde::de::IgnoredAny, serde::de::IgnoredAny>()?.is_some() {}
                Ok(Members(members))
            }
        }

        reader.deserialize_map(Collect)
    }
}

#[cfg(test)]
mod tests;
