use std::collections::HashSet;
use std::fmt;

use loglake_api::ingest::v1::LogRecord;
use loglake_model::{Level, Timestamp, line};
use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::text::level_number;

/// The members of one JSON object in their order, values as their text. A key that stands twice is an error.
struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        struct Walk;
        impl<'de> Visitor<'de> for Walk {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let (mut members, mut seen) = (Vec::new(), HashSet::new());
                while let Some((key, value)) = map.next_entry::<String, &RawValue>()? {
                    if !seen.insert(key.clone()) {
                        return Err(A::Error::custom(format_args!("the key `{key}` stands twice")));
                    }
                    members.push((key, value));
                }
                Ok(Members(members))
            }
        }
        input.deserialize_map(Walk)
    }
}

/// Makes a record of one line of NDJSON: keys and aliases as `POST /v1/ingest` takes them, unknown keys become attributes,
/// numbers in attributes keep their text. Of two names of one field the first counts, the other becomes an attribute.
/// `defaults` fill in what the line does not say; a line without a time keeps 0.
///
/// # Errors
/// A sentence that says what is wrong with the line.
pub fn parse_line(text: &[u8], default_service: &str, default_host: &str) -> Result<LogRecord, String> {
    let Members(members) = serde_json::from_slice(text).map_err(|error| in_line(&error))?;
    let mut record = LogRecord::default();
    let mut attributes = Attributes::default();
    let mut taken = HashSet::new();
    for (key, value) in members {
        let field = match key.as_str() {
            "timestamp" | "ts" | "time" | "@timestamp" => "timestamp",
            "message" | "msg" => "message",
            "level" | "severity" => "level",
            "parent_span_id" | "parent_id" => "parent_span_id",
            "attributes" | "attrs" | "metadata" => "attributes",
            "service" | "trace_id" | "span_id" | "host" | "tags" => key.as_str(),
            _ => "",
        };
        if field.is_empty() || taken.contains(field) {
            attributes.push(key, value.get())?;
            continue;
        }
        if value.get() == "null" {
            continue;
        }
        match field {
            "timestamp" => record.timestamp_ns = timestamp_of(value).map_err(|reason| format!("{key}: {reason}"))?,
            "level" => match level_of(value).map_err(|reason| format!("{key}: {reason}"))? {
                Ok(level) => record.level = level_number(level),
                Err(unknown) => attributes.push("level_text".to_owned(), &unknown)?,
            },
            "tags" => {
                record.tags =
                    serde_json::from_str(value.get()).map_err(|_| format!("{key}: must be a list of texts"))?;
            }
            "attributes" => {
                let Members(inner) = serde_json::from_str(value.get())
                    .map_err(|error| format!("{key}: must be an object: {}", in_line(&error)))?;
                for (key, value) in inner {
                    attributes.push(key, value.get())?;
                }
            }
            _ => {
                let text = serde_json::from_str(value.get()).map_err(|_| format!("{key}: must be a text"))?;
                *match field {
                    "service" => &mut record.service,
                    "message" => &mut record.message,
                    "trace_id" => &mut record.trace_id,
                    "span_id" => &mut record.span_id,
                    "host" => &mut record.host,
                    _ => &mut record.parent_span_id,
                } = text;
            }
        }
        taken.insert(field.to_owned());
    }
    if record.service.is_empty() {
        record.service = default_service.to_owned();
    }
    if record.host.is_empty() {
        record.host = default_host.to_owned();
    }
    record.attributes_json = attributes.finish().into();
    Ok(record)
}

/// What is wrong, with its column. The text is one line, so "line 1" would only mislead.
fn in_line(error: &serde_json::Error) -> String {
    error.to_string().replace(" at line 1 column ", " at column ")
}

/// One JSON object in the making.
#[derive(Default)]
struct Attributes {
    json: Vec<u8>,
    keys: HashSet<String>,
}

impl Attributes {
    fn push(&mut self, key: String, value_json: &str) -> Result<(), String> {
        self.json.extend_from_slice(if self.json.is_empty() { b"{\"" } else { b",\"" });
        line::escape_into(&mut self.json, &key);
        self.json.extend_from_slice(b"\":");
        self.json.extend_from_slice(value_json.as_bytes());
        if self.keys.contains(&key) {
            return Err(format!("the attribute `{key}` stands twice"));
        }
        self.keys.insert(key);
        Ok(())
    }

    fn finish(mut self) -> Vec<u8> {
        if !self.json.is_empty() {
            self.json.push(b'}');
        }
        self.json
    }
}

fn timestamp_of(value: &RawValue) -> Result<u64, String> {
    let read = match serde_json::from_str::<String>(value.get()) {
        Ok(text) => Timestamp::parse(&text),
        Err(_) => Timestamp::parse(value.get()),
    };
    read.map(|timestamp| timestamp.0.unsigned_abs()).map_err(|error| error.to_string())
}

/// The level, or the JSON of a spelling that is none.
fn level_of(value: &RawValue) -> Result<Result<Level, String>, String> {
    if let Ok(text) = serde_json::from_str::<String>(value.get()) {
        return Ok(Level::from_text(&text).ok_or_else(|| value.get().to_owned()));
    }
    match value.get().parse::<i64>() {
        Ok(number) => Ok(Level::from_number(number).ok_or_else(|| format!("\"{number}\""))),
        Err(_) => Err("must be a level's name or number".to_owned()),
    }
}

/// Appends `record` as one line of NDJSON with its line feed, in the key order of Loglake's own lines. A time of 0 is written
/// as it is: the server reads it as the time of receipt.
pub fn render_line(out: &mut Vec<u8>, record: &LogRecord) {
    let level = usize::try_from(record.level).ok().and_then(Level::from_slot);
    line::begin(out, i64::try_from(record.timestamp_ns).unwrap_or(i64::MAX), level, &record.service);
    line::text_field(out, "message", &record.message);
    let ids = [
        ("trace_id", &record.trace_id),
        ("span_id", &record.span_id),
        ("parent_span_id", &record.parent_span_id),
        ("host", &record.host),
    ];
    for (key, value) in ids {
        if !value.is_empty() {
            line::text_field(out, key, value);
        }
    }
    if !record.tags.is_empty() {
        out.extend_from_slice(b",\"tags\":[");
        for (at, tag) in record.tags.iter().enumerate() {
            out.extend_from_slice(if at == 0 { b"\"" } else { b",\"" });
            line::escape_into(out, tag);
            out.push(b'"');
        }
        out.push(b']');
    }
    if !record.attributes_json.is_empty() {
        out.extend_from_slice(b",\"attributes\":");
        out.extend_from_slice(&record.attributes_json);
    }
    out.extend_from_slice(b"}\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<LogRecord, String> {
        parse_line(text.as_bytes(), "default", "")
    }

    #[test]
    fn names_aliases_and_unknown_keys() {
        let record = parse(
            r#"{"ts":1700000000,"severity":"WARNING","msg":"a\nb","service":"s","parent_id":"p","tags":["x"],
               "attrs":{"n":1.10,"o":{"k":[1,2]}},"time":"later","user":"ä\"","host":null}"#,
        )
        .unwrap();
        assert_eq!((record.timestamp_ns, record.level), (1_700_000_000_000_000_000, 4));
        assert_eq!((record.message.as_str(), record.service.as_str()), ("a\nb", "s"));
        assert_eq!((record.parent_span_id.as_str(), record.tags.as_slice()), ("p", ["x".to_owned()].as_slice()));
        let attributes = std::str::from_utf8(&record.attributes_json).unwrap();
        assert_eq!(attributes, r#"{"n":1.10,"o":{"k":[1,2]},"time":"later","user":"ä\""}"#);
    }

    #[test]
    fn what_is_missing_is_filled_in() {
        let record = parse_line(br#"{"message":"m","level":"chatty"}"#, "svc", "h").unwrap();
        assert_eq!((record.service.as_str(), record.host.as_str(), record.level), ("svc", "h", 0));
        assert_eq!(record.timestamp_ns, 0);
        assert_eq!(&record.attributes_json[..], br#"{"level_text":"chatty"}"#);
    }

    #[test]
    fn what_is_wrong_is_said() {
        let cases = [
            ("[1]", "object"),
            ("{\"message\":", "EOF while parsing a value at column 11"),
            (r#"{"message":1}"#, "message: must be a text"),
            (r#"{"a":1,"a":2}"#, "twice"),
            (r#"{"user":1,"attrs":{"user":2}}"#, "twice"),
            (r#"{"time":"yesterday"}"#, "time: "),
            (r#"{"time":-5}"#, "1970"),
            (r#"{"tags":"x"}"#, "list"),
            (r#"{"attributes":[]}"#, "object"),
            (r#"{"level":[]}"#, "level"),
        ];
        for (text, part) in cases {
            let error = parse(text).unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
        assert!(parse_line(b"{\"message\":\"\xff\"}", "", "").is_err());
    }

    #[test]
    fn deep_nesting_does_not_overflow_the_stack() {
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(200_000), "]".repeat(200_000));
        // Either answer is fine: the server says what it does not take.
        let _ = parse(&deep);
    }

    #[test]
    fn a_rendered_line_is_read_back() {
        let record = LogRecord {
            timestamp_ns: 1_700_000_000_000_000_001,
            level: 5,
            service: "s".to_owned(),
            message: "tab\t \"quoted\" ü".to_owned(),
            trace_id: "t".to_owned(),
            host: "h".to_owned(),
            tags: vec!["a".to_owned(), "b".to_owned()],
            attributes_json: br#"{"k":[1,{"x":null}]}"#.to_vec().into(),
            ..LogRecord::default()
        };
        let mut out = Vec::new();
        render_line(&mut out, &record);
        assert_eq!(parse_line(out.strip_suffix(b"\n").unwrap(), "", ""), Ok(record));
    }
}
