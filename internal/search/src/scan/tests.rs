use loglake_model::{Level, RecordId, Service, TimeRange, line};
use proptest::prelude::*;
use serde_json::{Map, Value};

use crate::{Error, FieldFilter, FieldOp, Filter, LevelSet};

#[derive(Clone, Debug)]
struct Sample {
    timestamp_ns: i64,
    level: Option<Level>,
    service: String,
    message: String,
    trace_id: String,
    attributes: Map<String, Value>,
}

impl Sample {
    fn line(&self, id: Option<u64>) -> Vec<u8> {
        let mut out = Vec::new();
        line::begin(&mut out, self.timestamp_ns, self.level, &self.service);
        line::text_field(&mut out, "message", &self.message);
        if !self.trace_id.is_empty() {
            line::text_field(&mut out, "trace_id", &self.trace_id);
        }
        if !self.attributes.is_empty() {
            out.extend_from_slice(b",\"attributes\":");
            serde_json::to_writer(&mut out, &self.attributes).unwrap();
        }
        out.push(b'}');
        let Some(offset) = id else { return out };
        let mut whole = Vec::new();
        line::append_with_id(&mut whole, &out, RecordId { incarnation: 0, partition: 1, offset, index: 0 });
        whole
    }
}

/// The same question answered on the parsed record, in the plainest way.
fn naive(filter: &Filter, line: &[u8]) -> bool {
    let record: Value = serde_json::from_slice(line).unwrap();
    let text = |name: &str| record[name].as_str();
    let message = text("message").unwrap();
    let level = text("level").and_then(Level::from_text);
    filter.levels.is_none_or(|levels| levels.contains(level))
        && (filter.services.is_empty()
            || filter.services.iter().any(|service| text("service") == Some(service.as_str())))
        && filter.contains.iter().all(|needle| message.contains(needle))
        && filter.icontains.iter().all(|needle| message.to_ascii_lowercase().contains(&needle.to_ascii_lowercase()))
        && filter.regex.as_ref().is_none_or(|regex| regex::Regex::new(regex).unwrap().is_match(message))
        && filter.trace_id.as_ref().is_none_or(|id| text("trace_id") == Some(id))
        && filter.fields.iter().all(|field| record["attributes"].get(&field.name) == field.value.as_ref())
}

/// Few characters, so that needles are found, and all kinds that are escaped or folded.
fn text(most: usize) -> impl Strategy<Value = String> {
    let letters = prop_oneof![
        Just('n'),
        Just('N'),
        Just('a'),
        Just('"'),
        Just('\\'),
        Just('\n'),
        Just('\t'),
        Just('\u{1}'),
        Just('u'),
        Just('0'),
        Just('ä'),
        Just('Ä'),
        Just('\u{7f}'),
        Just('😀'),
        Just('}'),
        Just(','),
        Just(' ')
    ];
    prop::collection::vec(letters, 0..most).prop_map(|letters| letters.into_iter().collect())
}

fn sample() -> impl Strategy<Value = Sample> {
    let attributes = prop::collection::btree_map("[ab]", text(4).prop_map(Value::String), 0..3);
    let trace = prop_oneof![Just(String::new()), Just("t\"1".to_owned()), Just("t2".to_owned())];
    (0_i64..50, 0_usize..7, "[ab\"]{1,2}", text(12), trace, attributes).prop_map(
        |(timestamp_ns, level, service, message, trace_id, attributes)| Sample {
            timestamp_ns,
            level: Level::from_slot(level),
            service,
            message,
            trace_id,
            attributes: attributes.into_iter().collect(),
        },
    )
}

fn filter() -> impl Strategy<Value = Filter> {
    let levels = prop::collection::vec(0_usize..7, 0..4)
        .prop_map(|slots| slots.into_iter().fold(LevelSet::EMPTY, |set, slot| set.with(Level::from_slot(slot))));
    let service = "[ab\"]{1,2}".prop_map(|name| Service::parse(&name).unwrap());
    let field =
        ("[ab]", text(3)).prop_map(|(name, value)| FieldFilter { name, op: FieldOp::Eq, value: Some(value.into()) });
    (
        prop::collection::vec(service, 0..3),
        prop::option::weighted(0.3, levels),
        prop::collection::vec(text(3), 0..2),
        prop::collection::vec(text(3), 0..2),
        prop::option::weighted(
            0.2,
            prop_oneof![
                Just("n+a".to_owned()),
                Just("^\\\\".to_owned()),
                Just("ä|\n".to_owned()),
                Just("(?i)na|\"ä".to_owned()),
                Just("[nN]a?[\\\\\"]".to_owned()),
                Just("(?i:Ä)N*(a|\t)".to_owned()),
                Just("(nan|aNa|0u)".to_owned()),
            ],
        ),
        prop::option::weighted(0.2, prop_oneof![Just("t\"1".to_owned()), Just("t2".to_owned())]),
        prop::collection::vec(field, 0..2),
        0_u8..16,
    )
        .prop_map(|(services, levels, contains, icontains, regex, trace_id, fields, keep)| Filter {
            services: if keep & 1 == 0 { services } else { Vec::new() },
            levels,
            contains: if keep & 2 == 0 { contains } else { Vec::new() },
            icontains: if keep & 4 == 0 { icontains } else { Vec::new() },
            regex,
            trace_id,
            fields: if keep & 8 == 0 { Vec::new() } else { fields },
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn scans_find_what_a_plain_evaluation_finds(samples in prop::collection::vec(sample(), 0..12), filter in filter(),
                                                from in 0_i64..50, to in 0_i64..50) {
        let range = TimeRange::new(from.min(to), from.max(to)).unwrap();
        let matcher = filter.compile().unwrap();
        let lines: Vec<Vec<u8>> = samples.iter().enumerate().map(|(at, sample)| sample.line(Some(at as u64))).collect();
        let mut block = Vec::new();
        for line in &lines {
            block.extend_from_slice(line);
            block.push(b'\n');
        }
        let mut expected = Vec::new();
        for (sample, line) in samples.iter().zip(&lines) {
            let is_match = naive(&filter, line);
            prop_assert_eq!(matcher.matches(line), is_match);
            prop_assert_eq!(matcher.matches(&sample.line(None)), is_match);
            if is_match {
                for needle in matcher.text_needles() {
                    let needle = needle.to_ascii_lowercase();
                    let values = std::iter::once(sample.message.as_str())
                        .chain(sample.attributes.values().filter_map(Value::as_str));
                    let mut values = values.map(str::to_ascii_lowercase);
                    prop_assert!(values.any(|value| memchr::memmem::find(value.as_bytes(), &needle).is_some()));
                }
                if range.contains(sample.timestamp_ns) {
                    expected.push((sample.timestamp_ns, line.as_slice()));
                }
            }
        }
        let mut found = Vec::new();
        let stats = matcher.scan(&block, range, |timestamp_ns, line| found.push((timestamp_ns, line)));
        prop_assert_eq!(stats.matched, found.len() as u64);
        prop_assert!(stats.scanned <= lines.len() as u64);
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn bytes_that_are_no_lines_match_nothing_and_do_no_harm(block in prop::collection::vec(any::<u8>(), 0..200)) {
        let filter = Filter { contains: vec!["a".into()], ..Filter::default() };
        let matcher = filter.compile().unwrap();
        prop_assert_eq!(matcher.scan(&block, TimeRange::ALL, |_, _| {}).matched, 0);
    }
}

#[test]
fn pathological_expressions_are_refused_at_once() {
    let big = |regex: String| Filter { regex: Some(regex), ..Filter::default() }.compile();
    for regex in [
        "(".repeat(10_000),
        "(".repeat(1_000),
        "(a".into(),
        "(".repeat(200) + &")".repeat(200),
        r"(\w{900}){900}".into(),
    ] {
        let error = big(regex).unwrap_err();
        assert!(matches!(error, Error::Regex(_) | Error::TooLong { .. }));
        assert_eq!(error.fault().field, "regex");
    }
    assert!(big(r"(a|aa)+$".into()).unwrap().matches(&line_of("aaaa")));
}

#[test]
fn lists_and_texts_over_their_limits_are_refused_by_name() {
    let many = Filter { contains: vec!["x".into(); 101], ..Filter::default() };
    let fault = many.compile().unwrap_err().fault();
    assert_eq!((fault.field.as_str(), fault.limit, fault.actual), ("contains", Some(100), Some(101)));
    let long = Filter { icontains: vec!["x".repeat((64 << 10) + 1)], ..Filter::default() };
    assert_eq!(long.compile().unwrap_err().fault().field, "icontains");
    let empty = Filter { trace_id: Some(String::new()), ..Filter::default() };
    assert_eq!(empty.compile().unwrap_err().fault().field, "trace_id");
}

fn line_of(message: &str) -> Vec<u8> {
    let mut out = Vec::new();
    line::begin(&mut out, 1, None, "s");
    line::text_field(&mut out, "message", message);
    out.push(b'}');
    out
}
