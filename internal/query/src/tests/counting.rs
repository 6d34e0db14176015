//! What `POST /v1/aggregate` answers is compared with a plain count of what was sent.

use std::collections::BTreeMap;

use loglake_index::Gap;
use loglake_model::{ErrorKind, Level, LevelCounts, Timestamp};
use loglake_search::Filter;
use loglake_store::ObjectStore as _;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::fake_tail::{Claim, FakeTail};
use super::lake::{Lake, NOW_NS, PARTITIONS, Sent, tenant};
use super::tenants::Running;
use crate::Error;
use crate::aggregate::{Request, aggregate};

const MINUTE_NS: i64 = 60_000_000_000;
/// The hour of [`NOW_NS`] begins here.
const HOUR_NS: i64 = NOW_NS - NOW_NS % (60 * MINUTE_NS);
const SERVICES: [&str; 3] = ["api", "web", "queue"];

/// The answer's series as a map: labels as JSON, then the points.
type Series = BTreeMap<String, Vec<(String, u64)>>;

async fn count(lake: &Lake, tenant_name: &str, body: &Value) -> Result<Value, Error> {
    let asked = Request::parse(body.to_string().as_bytes()).unwrap();
    let budget = lake.budget();
    let counts = aggregate(lake.shared(), tenant(tenant_name), asked, budget).await?;
    Ok(serde_json::to_value(counts).unwrap())
}

fn series(answer: &Value) -> Series {
    let of = |series: &Value| {
        let points = serde_json::from_value(series["points"].clone()).unwrap();
        (series["labels"].to_string(), points)
    };
    answer["series"].as_array().unwrap().iter().map(of).collect()
}

/// What a plain count gives for the keys that the tests use.
fn expected(lake: &Lake, tenant_name: &str, body: &Value, step_ns: Option<i64>) -> Series {
    let asked = |name: &str| body["group_by"].as_array().is_some_and(|groups| groups.contains(&json!(name)));
    let (from, to) = (body["from_ts"].as_i64().unwrap_or(0), body["to_ts"].as_i64().unwrap_or(i64::MAX));
    let regex = body["regex"].as_str().map(|regex| Filter { regex: Some(regex.to_owned()), ..Filter::default() });
    let regex = regex.map(|filter| filter.compile().unwrap());
    let mut counts = BTreeMap::<String, BTreeMap<i64, u64>>::new();
    for (_, sent) in &lake.sent {
        let level = sent.level.map_or("unknown", Level::as_str);
        let is_wanted = sent.tenant == tenant_name
            && (from..to).contains(&sent.timestamp_ns)
            && body["level"].as_str().is_none_or(|wanted| wanted == level)
            && body["service"].as_str().is_none_or(|wanted| wanted == sent.service)
            && body["contains"].as_str().is_none_or(|text| sent.message.contains(text))
            && regex.as_ref().is_none_or(|regex| regex.matches(&sent.line()))
            && body["trace_id"].as_str().is_none_or(|wanted| wanted == sent.trace_id);
        if !is_wanted {
            continue;
        }
        let mut labels = serde_json::Map::new();
        if asked("level") {
            labels.insert("level".to_owned(), json!(level));
        }
        if asked("service") {
            labels.insert("service".to_owned(), json!(sent.service));
        }
        let at_ns = step_ns.map_or(from, |step_ns| sent.timestamp_ns.div_euclid(step_ns) * step_ns);
        *counts.entry(Value::Object(labels).to_string()).or_default().entry(at_ns).or_default() += 1;
    }
    let told = |(labels, points): (String, BTreeMap<i64, u64>)| {
        (labels, points.into_iter().map(|(at, count)| (Timestamp(at).to_string(), count)).collect())
    };
    counts.into_iter().map(told).collect()
}

/// Records over two hours, some of them at the edges of minutes.
fn record() -> impl Strategy<Value = Sent> {
    let second = prop_oneof![Just(0), Just(MINUTE_NS - 1), 0..MINUTE_NS];
    (0..120_i64, second, 0..SERVICES.len(), 0..7_usize, 0..4_u8, any::<bool>()).prop_map(
        |(minute, within, service, slot, word, is_other)| Sent {
            tenant: if is_other { "other" } else { "acme" },
            service: SERVICES[service],
            timestamp_ns: HOUR_NS + minute * MINUTE_NS + within,
            level: Level::from_slot(slot),
            message: format!("{} came late", ["payment", "letter", "train", "payments"][usize::from(word)]),
            trace_id: ["", "trace-one", "trace-two", ""][usize::from(word)],
        },
    )
}

fn steps() -> impl Strategy<Value = (Option<&'static str>, Option<i64>)> {
    proptest::sample::select(vec![
        (None, None),
        (Some("5m"), Some(5 * MINUTE_NS)),
        (Some("1m"), Some(MINUTE_NS)),
        (Some("90s"), Some(MINUTE_NS * 3 / 2)),
        (Some("10s"), Some(MINUTE_NS / 6)),
        (Some("7ms"), Some(7_000_000)),
        (Some("1h"), Some(60 * MINUTE_NS)),
        (Some("7m13s"), Some(433_000_000_000)),
        (Some("1d"), Some(1440 * MINUTE_NS)),
    ])
}

fn edge() -> impl Strategy<Value = Option<i64>> {
    let minute = (-5..125_i64).prop_map(|minute| Some(HOUR_NS + minute * MINUTE_NS));
    prop_oneof![Just(None), minute, (0..120 * MINUTE_NS).prop_map(|at| Some(HOUR_NS + at))]
}

fn body() -> impl Strategy<Value = (Value, Option<i64>)> {
    let groups =
        proptest::sample::select(vec![json!([]), json!(["level"]), json!(["service"]), json!(["service", "level"])]);
    let filter = proptest::sample::select(vec![
        json!({}),
        json!({}),
        json!({"level": "error"}),
        json!({"level": "unknown"}),
        json!({"service": "web"}),
        json!({"contains": "payment"}),
        json!({"contains": "no such text"}),
        json!({"contains": "payments", "level": "warn", "service": "api"}),
        json!({"trace_id": "trace-one"}),
        json!({"regex": "^(pay|let)\\w+ came LATE|trains?"}),
        json!({"regex": "(?i)PAYMENTS? came \\w+$", "level": "info"}),
    ]);
    (groups, filter, steps(), edge(), edge()).prop_map(|(groups, mut filter, (step, step_ns), a, b)| {
        let (from, to) = if let (Some(a), Some(b)) = (a, b) { (Some(a.min(b)), Some(a.max(b))) } else { (a, b) };
        let body = filter.as_object_mut().unwrap();
        body.insert("group_by".to_owned(), groups);
        // Bounds narrower than the limit of steps, or open.
        let is_long = matches!((from, to, step_ns), (Some(from), Some(to), Some(step)) if (to - from) / step > 10_000);
        if !is_long {
            from.map(|from| body.insert("from_ts".to_owned(), json!(from)));
            to.map(|to| body.insert("to_ts".to_owned(), json!(to)));
        }
        step.map(|step| body.insert("step".to_owned(), json!(step)));
        (filter, step_ns)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn counts_agree_with_a_plain_count_whatever_is_flushed(
        records in proptest::collection::vec(record(), 0..120), flushed in 0..121_usize, has_owner: bool,
        bodies in proptest::collection::vec(body(), 12), block_lines in 1..9_usize,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut lake = Lake::new().await;
            lake.block_lines = block_lines;
            let flushed = flushed.min(records.len());
            lake.send(&records[..flushed]).await;
            lake.flush_all().await;
            lake.send(&records[flushed..]).await;
            if has_owner {
                let (_, address) = FakeTail::start(&lake).await;
                (0..PARTITIONS).for_each(|partition| lake.lease(partition, &address));
            }
            for (body, step_ns) in bodies {
                let answer = count(&lake, "acme", &body).await.unwrap();
                assert_eq!((&answer["complete"], &answer["missing"]), (&json!(true), &json!([])));
                assert_eq!(series(&answer), expected(&lake, "acme", &body, step_ns), "{body}");
            }
            assert!(!has_owner || lake.shared().metrics.tail_fallbacks.get() == 0);
        });
    }
}

/// Two hours of records in chunks, three in four of them.
async fn two_hours() -> Lake {
    let mut lake = Lake::new().await;
    let sent = |at: i64| Sent {
        tenant: "acme",
        service: SERVICES[at as usize % 3],
        timestamp_ns: HOUR_NS + at * 17_000_000_000,
        level: Level::from_slot(at as usize % 7),
        message: format!("number {at}"),
        trace_id: "",
    };
    let records: Vec<Sent> = (0..420).map(sent).collect();
    lake.send(&records[..300]).await;
    lake.flush_all().await;
    lake.send(&records[300..]).await;
    lake.flush_all().await;
    lake
}

#[tokio::test]
async fn levels_and_times_are_counted_without_reading_a_block() {
    let lake = two_hours().await;
    for body in [
        json!({"step": "5m", "group_by": ["level"]}),
        json!({"step": "1m", "group_by": ["level", "service"], "level": "error"}),
        json!({"step": "1h", "from_ts": HOUR_NS + 7 * MINUTE_NS, "to_ts": HOUR_NS + 71 * MINUTE_NS}),
        json!({"group_by": "service"}),
    ] {
        let answer = count(&lake, "acme", &body).await.unwrap();
        assert!(!series(&answer).is_empty());
        assert_eq!(answer["stats"]["events_scanned"], json!(0), "{body}: {answer}");
    }
    // Of a range that ends within a minute, one block a chunk.
    let body = json!({"from_ts": HOUR_NS, "to_ts": HOUR_NS + 30 * MINUTE_NS + 1});
    let answer = count(&lake, "acme", &body).await.unwrap();
    let scanned = answer["stats"]["events_scanned"].as_u64().unwrap();
    assert!((1..=3 * 4).contains(&scanned), "{answer}");
    assert_eq!(series(&answer), expected(&lake, "acme", &body, None));
    // All of it from the index, which names no object that was read.
    let answer = count(&lake, "acme", &json!({})).await.unwrap();
    assert_eq!((&answer["stats"]["objects_read"], &answer["stats"]["bytes_read"]), (&json!(0), &json!(0)));
    assert_eq!(answer["series"], json!([{"labels": {}, "points": [["1970-01-01T00:00:00.000000000Z", 420]]}]));
    let none = count(&lake, "acme", &json!({"service": "nobody"})).await.unwrap();
    assert_eq!(none["series"], json!([]));
}

#[tokio::test]
async fn a_tail_that_is_no_answer_is_not_counted() {
    let mut lake = two_hours().await;
    let more: Vec<Sent> =
        (0..30).map(|at| Sent { timestamp_ns: HOUR_NS + at, ..lake.sent[at as usize].1.clone() }).collect();
    lake.send(&more).await;
    let body = json!({"step": "1m", "group_by": ["service", "level"]});
    let (tail, address) = FakeTail::start(&lake).await;
    (0..PARTITIONS).for_each(|partition| lake.lease(partition, &address));
    // Its counts do not stand at the beginning of a step; then it lags; then it is right.
    *tail.forged_count.lock() = Some(1);
    let answer = count(&lake, "acme", &body).await.unwrap();
    assert_eq!(series(&answer), expected(&lake, "acme", &body, Some(MINUTE_NS)));
    let fallbacks = lake.shared().metrics.tail_fallbacks.get();
    assert!(fallbacks > 0);
    *tail.forged_count.lock() = None;
    let (two, address) = FakeTail::start(&lake).await;
    for partition in 0..PARTITIONS {
        lake.lease(partition, &address);
        let position = Some(lake.latest(partition).await.saturating_sub(1));
        two.claims.lock().insert(partition, Claim { position, ..Claim::WHOLE });
    }
    let answer = count(&lake, "acme", &body).await.unwrap();
    assert_eq!(series(&answer), expected(&lake, "acme", &body, Some(MINUTE_NS)));
    assert!(lake.shared().metrics.tail_fallbacks.get() > fallbacks);
    let fallbacks = lake.shared().metrics.tail_fallbacks.get();
    two.claims.lock().clear();
    let answer = count(&lake, "acme", &body).await.unwrap();
    assert_eq!(series(&answer), expected(&lake, "acme", &body, Some(MINUTE_NS)));
    assert_eq!(lake.shared().metrics.tail_fallbacks.get(), fallbacks, "the owner answered");
}

#[tokio::test]
async fn what_cannot_be_counted_is_named() {
    let lake = two_hours().await;
    // Damage in a block that must be read, and a gap.
    let (partition, chunk) = {
        let state = lake.index.state.lock();
        let (partition, (_, chunks)) = state.partitions.iter().find(|(_, (_, chunks))| !chunks.is_empty()).unwrap();
        (*partition, chunks[0].clone())
    };
    let mut broken = lake.store.get(&chunk.key, u64::MAX).await.unwrap().to_vec();
    broken[20] ^= 1;
    let mut named = chunk.clone();
    named.key = format!("{}.broken", chunk.key);
    lake.store.put(&named.key, broken.into()).await.unwrap();
    lake.index.state.lock().partitions.get_mut(&partition).unwrap().1[0] = named.clone();
    let gap = Gap { from: 3, to: 7, at_ns: NOW_NS, reason: "retention".to_owned() };
    lake.index.state.lock().gaps.insert(partition, vec![gap]);
    let answer = count(&lake, "acme", &json!({"contains": "number"})).await.unwrap();
    let missing = answer["missing"].as_array().unwrap();
    assert_eq!((answer["complete"].clone(), missing.len()), (json!(false), 2), "{answer}");
    assert!(missing.iter().any(|missing| missing["key"] == json!(named.key)));
    assert!(missing.iter().any(|missing| missing["reason"] == json!("retention")));
    // The directory alone is whole.
    lake.index.state.lock().gaps.clear();
    let body = json!({"step": "1m"});
    let answer = count(&lake, "acme", &body).await.unwrap();
    assert_eq!((&answer["complete"], series(&answer)), (&json!(true), expected(&lake, "acme", &body, Some(MINUTE_NS))));
    // An object that is gone, and stays so.
    lake.store.delete(&named.key).await.unwrap();
    let answer = count(&lake, "acme", &json!({"contains": "number"})).await.unwrap();
    assert_eq!(answer["missing"], json!([{"key": named.key, "reason": crate::missing::LOST}]));
}

#[tokio::test]
async fn answers_have_a_greatest_length() {
    let mut lake = Lake::new().await;
    let sent = |at: i64| Sent {
        tenant: "acme",
        service: "api",
        timestamp_ns: HOUR_NS + at * 10_000_000,
        level: None,
        message: "m".to_owned(),
        trace_id: "",
    };
    lake.block_lines = 50_000;
    let records: Vec<Sent> = (0..crate::aggregate::MAX_CELLS as i64 + 1).map(sent).collect();
    for records in records.chunks(500) {
        lake.send(records).await;
    }
    let body = json!({"step": "10ms"});
    let refused = |error: Error| (error.kind(), error.refusal().fault.field);
    assert_eq!(
        count(&lake, "acme", &body).await.map_err(refused),
        Err((ErrorKind::Invalid, "step".to_owned())),
        "from the broker"
    );
    let (_, address) = FakeTail::start(&lake).await;
    (0..PARTITIONS).for_each(|partition| lake.lease(partition, &address));
    assert_eq!(
        count(&lake, "acme", &body).await.map_err(refused),
        Err((ErrorKind::Invalid, "step".to_owned())),
        "from an owner"
    );
    lake.flush_all().await;
    assert_eq!(
        count(&lake, "acme", &body).await.map_err(refused),
        Err((ErrorKind::Invalid, "step".to_owned())),
        "from chunks"
    );
    let counts: LevelCounts = [records.len() as u64, 0, 0, 0, 0, 0, 0];
    let answer = count(&lake, "acme", &json!({"step": "1h"})).await.unwrap();
    assert_eq!(answer["series"][0]["points"][0][1], json!(counts[0]));
}

#[tokio::test]
async fn counts_are_answered_over_http_within_the_tenants_walls() {
    let mut lake = two_hours().await;
    let theirs: Vec<Sent> = (0..50).map(|at| Sent { tenant: "other", ..lake.sent[at].1.clone() }).collect();
    lake.send(&theirs[..25]).await;
    lake.flush_all().await;
    lake.send(&theirs[25..]).await;
    let body = json!({"step": "30m", "group_by": ["service", "level"], "contains": "number"});
    let wanted = ["acme", "other"].map(|tenant| (tenant, expected(&lake, tenant, &body, Some(30 * MINUTE_NS))));
    let running = Running::start(lake);
    let ask = |tenant: &str, body: &Value| {
        let request = running.client.post(format!("{}/v1/aggregate", running.base));
        let request = request.bearer_auth(&running.tokens[tenant]).json(body);
        async move {
            let response = request.send().await.unwrap();
            (response.status().as_u16(), response.json::<Value>().await.unwrap())
        }
    };
    for (tenant, wanted) in wanted {
        let (status, answer) = ask(tenant, &body).await;
        assert_eq!((status, &answer["complete"]), (200, &json!(true)), "{answer}");
        assert_eq!(series(&answer), wanted);
        assert!(answer["stats"]["events_scanned"].as_u64().unwrap() > 0);
    }
    for (tenant, body, status, field) in [
        ("acme", json!({"tenant_id": "other"}), 403, ""),
        ("acme", json!({"limit": 1}), 400, "limit"),
        ("acme", json!({"step": "soon"}), 400, "step"),
        ("acme", json!({"group_by": "host"}), 400, "group_by"),
        ("acme", json!({"regex": "("}), 400, "regex"),
        ("acme", json!({"step": "1ms", "from_ts": 1_700_000_000, "to_ts": 1_700_000_100}), 400, "step"),
        ("writer", json!({}), 403, ""),
    ] {
        let (told, answer) = ask(tenant, &body).await;
        assert_eq!((told, answer["error"]["field"].as_str().unwrap_or_default()), (status, field), "{answer}");
    }
}
