//! What the bodies of all routes have in common: the filters, the range and the tenant.

use std::fmt;

use loglake_model::{Fault, FaultCode, Level, Service, TimeRange, Timestamp};
use loglake_search::{FieldFilter, Filter, LevelSet, MAX_FIELDS, MAX_NEEDLES, MAX_SERVICES};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;

/// The largest body, in bytes.
pub(crate) const MAX_BODY_BYTES: usize = 1 << 20;
/// Names that `level` may list.
const MAX_LEVELS: usize = 100;
/// More members than any route has keys for, twice over: one of them is unknown or repeated.
const MAX_MEMBERS: usize = 64;

/// Which records, and whose.
#[derive(Debug, Default)]
pub(crate) struct Conditions {
    pub(crate) tenant_id: Option<String>,
    filter: Filter,
    from: Option<i64>,
    to: Option<i64>,
    least: Option<LevelSet>,
}

impl Conditions {
    /// The keys that it takes.
    pub(crate) const KEYS: [&str; 12] = [
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
    ];

    /// Reads a body whose keys are [`Conditions::KEYS`] and `others`; these are given to `other`.
    ///
    /// # Errors
    /// A fault that names the key, and for broken JSON the line and column.
    pub(crate) fn parse(
        body: &[u8],
        others: &[&'static str],
        mut other: impl FnMut(&'static str, &Value) -> Result<(), Fault>,
    ) -> Result<Self, Fault> {
        let Members(members) = serde_json::from_slice(body).map_err(|error| malformed(&error))?;
        let mut conditions = Self::default();
        for (at, (key, value)) in members.iter().enumerate() {
            let Some(&name) = Self::KEYS.iter().chain(others).find(|name| *name == key) else {
                let shown: String = key.chars().take(60).collect();
                let keys = [Self::KEYS.as_slice(), others].concat().join(", ");
                let message = format!("there is no such key; the keys are {keys}");
                return Err(Fault::new(FaultCode::UnknownField, shown, message));
            };
            if members[..at].iter().any(|(other, _)| other == key) {
                return Err(Fault::new(FaultCode::DuplicateKey, name, "the key stands twice"));
            }
            if value.is_null() {
                continue;
            }
            if others.contains(&name) { other(name, value)? } else { conditions.take(name, value)? }
        }
        Ok(conditions)
    }

    fn take(&mut self, name: &'static str, value: &Value) -> Result<(), Fault> {
        let filter = &mut self.filter;
        match name {
            "tenant_id" => self.tenant_id = Some(text(name, value)?.to_owned()),
            "service" => filter.services.push(service(name, text(name, value)?)?),
            "services" => {
                for item in list(name, value, MAX_SERVICES)? {
                    filter.services.push(service(name, text(name, item)?)?);
                }
            }
            "from_ts" => self.from = Some(timestamp(name, value)?),
            "to_ts" => self.to = Some(timestamp(name, value)?),
            "level" => filter.levels = Some(levels(name, value)?),
            "min_level" => self.least = Some(min_level(name, value)?),
            "contains" => filter.contains = texts(name, value)?,
            "icontains" => filter.icontains = texts(name, value)?,
            "regex" => filter.regex = Some(text(name, value)?.to_owned()),
            "trace_id" => filter.trace_id = Some(text(name, value)?.to_owned()),
            _ => filter.fields = fields(name, value)?,
        }
        Ok(())
    }

    /// The range asked for, whose ends may both be open.
    ///
    /// # Errors
    /// A fault when it is reversed.
    pub(crate) fn range(&self) -> Result<TimeRange, Fault> {
        range(self.from, self.to)
    }

    /// Whether both ends of the range were given.
    pub(crate) fn is_bounded(&self) -> bool {
        self.from.is_some() && self.to.is_some()
    }

    /// The filter, in which `level` and `min_level` have met.
    pub(crate) fn into_filter(self) -> Filter {
        let mut filter = self.filter;
        if let Some(least) = self.least {
            filter.levels = Some(filter.levels.unwrap_or(LevelSet::ALL).intersection(least));
        }
        filter
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

pub(crate) fn invalid(name: &str, right: impl Into<String>) -> Fault {
    Fault::new(FaultCode::Invalid, name, right)
}

pub(crate) fn text<'a>(name: &str, value: &'a Value) -> Result<&'a str, Fault> {
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

pub(crate) fn one_or_list<'a>(name: &str, value: &'a Value, most: usize) -> Result<&'a [Value], Fault> {
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
                    if members.len() > MAX_MEMBERS {
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
