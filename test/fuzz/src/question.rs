//! Bodies of queries, and the filter as one role writes it for another.

use loglake_query::fuzzing;
use loglake_search::Filter;

use crate::memory;

/// Takes an input. The first byte: what it is.
pub fn run(data: &[u8]) {
    let Some((kind, bytes)) = data.split_first() else { return };
    // Every byte may be a value of its own before it is found to be too many; a compiled expression has a limit of its own.
    let most = 400 * bytes.len() + (32 << 20);
    match kind % 4 {
        0 => {
            if let Some(filter) = memory::at_most(most, || fuzzing::read_question(bytes)) {
                told_on(&filter);
            }
        }
        1 => {
            memory::at_most(most, || fuzzing::read_count(bytes));
        }
        2 => {
            if let Ok(filter) = serde_json::from_slice::<Filter>(bytes) {
                told_on(&filter);
            }
        }
        _ => {
            let Ok(text) = std::str::from_utf8(bytes) else { return };
            if let Some(trace) = fuzzing::trace_id(text) {
                assert!(trace.len() == 32 && text.contains(trace), "{text}");
            }
        }
    }
}

/// Inputs to begin with.
#[must_use]
pub fn seeds() -> Vec<Vec<u8>> {
    let query = br#"{"services":["a","b"],"from_ts":"2023-11-14T22:13:20Z","to_ts":1700000001,"level":["warn","unknown"],
        "min_level":"info","contains":["x"],"icontains":"Y","regex":"a+(b|c)\\d","trace_id":"t","limit":7,"direction":"forward",
        "fields":[{"name":"n","op":"gte","value":1.5},{"name":"a.b","op":"exists"}],"cursor":"AA","tenant_id":"acme"}"#;
    let count = br#"{"step":"1h30m","group_by":["level","service"],"service":"a","from_ts":0,"to_ts":1700000000000000000}"#;
    let filter = br#"{"services":["a"],"contains":["x"],"regex":"a|b","fields":[{"name":"n","op":"eq","value":null}]}"#;
    let trace = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    [(0, &query[..]), (1, count), (2, filter), (3, trace)].map(|(kind, bytes)| [&[kind], bytes].concat()).to_vec()
}

/// A filter comes to another role as it was, and compiles there if it does here.
fn told_on(filter: &Filter) {
    let text = serde_json::to_string(filter).expect("a filter is JSON");
    let again: Filter = serde_json::from_str(&text).expect("its own form");
    assert_eq!(&again, filter, "{text}");
    assert_eq!(again.compile().is_ok(), filter.compile().is_ok(), "{text}");
}
