use std::cmp::Ordering;
use std::fmt;

use serde::de::{Deserializer as _, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::Error;
use crate::limits::{MAX_NAME_BYTES, MAX_NEEDLE_BYTES};

/// A condition on a named field.
///
/// **Which field**: the record's own field of that name (`host`, `span_id`, `service`, … all but `id`) where the record has it; else the
/// attribute whose key is the whole name, dots and all; else the attribute that the name leads to as a path of keys.
/// `attributes.` before a name means the attributes alone.
///
/// **Comparing**: numbers compare as numbers, texts as texts (by their bytes), `true`, `false` and `null` equal themselves;
/// values of different types are never equal and have no order. Of a list, such as `tags`, one item that fits is enough.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FieldFilter {
    /// The field's name.
    pub name: String,
    /// How it is compared.
    pub op: FieldOp,
    /// With what: a text, a number, `true`, `false` or `null`. Texts and numbers only where order counts; with `exists`
    /// nothing, `true`, or `false` for records without the field.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<Value>,
}

/// How a field is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FieldOp {
    /// Equal.
    Eq,
    /// Not [`FieldOp::Eq`]: also where there is no such field.
    Ne,
    /// There is such a field, whatever its value.
    Exists,
    /// Greater.
    Gt,
    /// Greater or equal.
    Gte,
    /// Less.
    Lt,
    /// Less or equal.
    Lte,
}

/// The record's own fields, but for `id`: the lines of a broker message do not have it yet.
pub(crate) const OWN: [&str; 11] = [
    "timestamp",
    "level",
    "service",
    "message",
    "trace_id",
    "span_id",
    "parent_span_id",
    "host",
    "tags",
    "attributes",
    "received_at",
];

const ATTRIBUTES: &str = "attributes";

impl FieldFilter {
    /// Checks that value and name fit; `at` is its place in the list.
    pub(crate) fn check(&self, at: usize) -> Result<(), Error> {
        let place = |what: &str| format!("fields[{at}].{what}");
        if self.name.is_empty() {
            let message = "a condition on a field has a name".to_owned();
            return Err(Error::Invalid { field: place("name"), message });
        }
        if self.name.len() > MAX_NAME_BYTES {
            return Err(Error::TooLong { field: place("name"), limit: MAX_NAME_BYTES, actual: self.name.len() });
        }
        if let Some(Value::String(text)) = &self.value
            && text.len() > MAX_NEEDLE_BYTES
        {
            return Err(Error::TooLong { field: place("value"), limit: MAX_NEEDLE_BYTES, actual: text.len() });
        }
        let right = match (self.op, &self.value) {
            (FieldOp::Exists, None | Some(Value::Bool(_))) => return Ok(()),
            (FieldOp::Exists, Some(_)) => "exists takes no value, true or false",
            (_, Some(Value::String(_) | Value::Number(_))) => return Ok(()),
            (FieldOp::Eq | FieldOp::Ne, Some(Value::Bool(_) | Value::Null)) => return Ok(()),
            (FieldOp::Eq | FieldOp::Ne, _) => "eq and ne take a text, a number, true, false or null",
            _ => "gt, gte, lt and lte take a text or a number",
        };
        Err(Error::Invalid { field: place("value"), message: right.to_owned() })
    }

    /// A text that every matching record holds in an attribute's value; `None` when there is none.
    pub(crate) fn attribute_text(&self) -> Option<&str> {
        self.text().filter(|_| !OWN.contains(&self.name.as_str()))
    }

    /// A text that every matching record holds as a whole JSON string; `None` when there is none.
    pub(crate) fn text(&self) -> Option<&str> {
        match (&self.value, self.op) {
            (Some(Value::String(text)), FieldOp::Eq) => Some(text),
            _ => None,
        }
    }

    /// Whether the record `line` meets the condition.
    pub(crate) fn matches(&self, line: &str) -> bool {
        let found = find(line, &self.name);
        match self.op {
            FieldOp::Exists => found.is_some() != matches!(self.value, Some(Value::Bool(false))),
            FieldOp::Ne => !self.fits(found, |order| order == Ordering::Equal),
            FieldOp::Eq => self.fits(found, |order| order == Ordering::Equal),
            FieldOp::Gt => self.fits(found, |order| order == Ordering::Greater),
            FieldOp::Gte => self.fits(found, |order| order != Ordering::Less),
            FieldOp::Lt => self.fits(found, |order| order == Ordering::Less),
            FieldOp::Lte => self.fits(found, |order| order != Ordering::Greater),
        }
    }

    fn fits(&self, found: Option<&str>, wanted: impl Fn(Ordering) -> bool) -> bool {
        let (Some(found), Some(value)) = (found, &self.value) else { return false };
        // A number too large for any type of ours compares with nothing.
        let Ok(found) = serde_json::from_str::<Value>(found) else { return false };
        let one = |item: &Value| compare(item, value).is_some_and(&wanted);
        match &found {
            Value::Array(items) => items.iter().any(one),
            item => one(item),
        }
    }
}

/// The order of two scalars of one type.
fn compare(left: &Value, right: &Value) -> Option<Ordering> {
    match (left, right) {
        (Value::String(left), Value::String(right)) => Some(left.as_bytes().cmp(right.as_bytes())),
        (Value::Number(left), Value::Number(right)) => {
            let whole = |number: &serde_json::Number| {
                number.as_i64().map(i128::from).or_else(|| number.as_u64().map(i128::from))
            };
            match (whole(left), whole(right)) {
                (Some(left), Some(right)) => Some(left.cmp(&right)),
                _ => left.as_f64()?.partial_cmp(&right.as_f64()?),
            }
        }
        (Value::Bool(left), Value::Bool(right)) => (left == right).then_some(Ordering::Equal),
        (Value::Null, Value::Null) => Some(Ordering::Equal),
        _ => None,
    }
}

/// The JSON text of the field that `name` means in the record `line`.
fn find<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    if OWN.contains(&name)
        && let Some(own) = member(line, name)
    {
        return Some(own);
    }
    let attributes = member(line, ATTRIBUTES)?;
    let within = |name: &str| member(attributes, name).or_else(|| path(attributes, name));
    within(name).or_else(|| within(name.strip_prefix(ATTRIBUTES)?.strip_prefix('.')?))
}

/// Follows `name`, keys with dots between, into `object`.
fn path<'a>(object: &'a str, name: &str) -> Option<&'a str> {
    name.contains('.').then(|| name.split('.').try_fold(object, member)).flatten()
}

/// The JSON text of the value of `key` in `object`; `None` when there is none or it is no object.
fn member<'a>(object: &'a str, key: &str) -> Option<&'a str> {
    struct Member<'k>(&'k str);

    impl<'de> Visitor<'de> for Member<'_> {
        type Value = Option<&'de RawValue>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut found = None;
            while let Some(is_it) = map.next_key_seed(Is(self.0))? {
                if is_it && found.is_none() {
                    found = Some(map.next_value()?);
                } else {
                    map.next_value::<IgnoredAny>()?;
                }
            }
            Ok(found)
        }
    }

    let mut reader = serde_json::Deserializer::from_str(object);
    reader.deserialize_map(Member(key)).ok().flatten().map(RawValue::get)
}

/// Reads a key and tells whether it is the one looked for, without keeping it.
struct Is<'k>(&'k str);

impl<'de> serde::de::DeserializeSeed<'de> for Is<'_> {
    type Value = bool;

    fn deserialize<D: serde::Deserializer<'de>>(self, reader: D) -> Result<bool, D::Error> {
        reader.deserialize_str(self)
    }
}

impl Visitor<'_> for Is<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: serde::de::Error>(self, key: &str) -> Result<bool, E> {
        Ok(key == self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = r#"{"timestamp":"2023-11-14T22:13:20.000000000Z","service":"api","message":"m","host":"h1","tags":["a","b"],"attributes":{"a.b":1,"a":{"b":2,"c":{"d":"deep"}},"big":123456789012345678901234567890,"code":500,"huge":1e999,"k\n":true,"none":null,"ratio":1.50,"text":"500","span_id":"own"}}"#;

    #[track_caller]
    fn check(name: &str, op: FieldOp, value: Value, expected: bool) {
        let filter = FieldFilter { name: name.into(), op, value: Some(value) };
        filter.check(0).unwrap();
        assert_eq!(filter.matches(LINE), expected, "{filter:?}");
    }

    #[test]
    fn names_mean_own_fields_then_whole_keys_then_paths() {
        use FieldOp::Eq;
        check("a.b", Eq, 1.into(), true);
        check("a.b", Eq, 2.into(), false);
        check("a.c.d", Eq, "deep".into(), true);
        check("attributes.a.b", Eq, 1.into(), true);
        check("host", Eq, "h1".into(), true);
        check("service", Eq, "api".into(), true);
        check("span_id", Eq, "own".into(), true);
        check("tags", Eq, "b".into(), true);
        check("tags", Eq, "c".into(), false);
        check("k\n", Eq, true.into(), true);
        check("a.c.x", Eq, "deep".into(), false);
        check("a.b.c.d", Eq, "deep".into(), false);
    }

    #[test]
    fn numbers_compare_as_numbers_and_texts_as_texts() {
        use FieldOp::{Eq, Gt, Gte, Lt, Lte, Ne};
        check("code", Eq, 500.into(), true);
        check("code", Eq, 500.0.into(), true);
        check("code", Eq, "500".into(), false);
        check("text", Eq, "500".into(), true);
        check("text", Gt, 100.into(), false);
        check("text", Gt, "1000".into(), true);
        check("code", Gt, 99.into(), true);
        check("code", Gte, 500.into(), true);
        check("code", Lt, 500.into(), false);
        check("ratio", Lte, 1.5.into(), true);
        check("big", Gt, 5.into(), true);
        check("huge", Gt, 5.into(), false);
        check("none", Eq, Value::Null, true);
        check("code", Ne, 501.into(), true);
        check("absent", Ne, 1.into(), true);
        check("absent", Eq, Value::Null, false);
        check("timestamp", Lt, "2024".into(), true);
    }

    #[test]
    fn exists_asks_for_the_field_alone() {
        check("huge", FieldOp::Exists, true.into(), true);
        check("none", FieldOp::Exists, true.into(), true);
        check("absent", FieldOp::Exists, true.into(), false);
        check("absent", FieldOp::Exists, false.into(), true);
    }

    #[test]
    fn values_that_cannot_fit_are_refused() {
        for (op, value) in [(FieldOp::Gt, Some(Value::Null)), (FieldOp::Eq, None), (FieldOp::Exists, Some(1.into()))] {
            let error = FieldFilter { name: "n".into(), op, value }.check(3).unwrap_err();
            assert_eq!(error.fault().field, "fields[3].value");
        }
    }
}
