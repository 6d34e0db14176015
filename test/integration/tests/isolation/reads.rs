//! Every way out, judged by a plain scan of what the tenant itself has sent.

use loglake_integration::Dev;
use loglake_integration::oracle::LEVELS;
use rand::prelude::*;
use serde_json::{Value, json};

use crate::tenant::{Mine, Record, SERVICES, START_NS, TRACES, Tenant};
use crate::watch::{HTTP, Said, Watch};

/// How many kinds of conditions there are.
const KINDS: usize = 10;

/// A condition that a record meets or not.
type Meets = Box<dyn Fn(&Record) -> bool + Send + Sync>;

pub(crate) async fn post(dev: &Dev, watch: &Watch, tenant: &Tenant, path: &str, body: &Value) -> Said {
    let request = HTTP.post(format!("{}{path}", dev.ports.query_url()));
    let request = request.header("content-type", "application/json").body(body.to_string());
    let said = Said::by(request.header("x-api-key", &tenant.token)).await;
    watch.of(&tenant.name, &body.to_string(), &said);
    said
}

async fn services(dev: &Dev, watch: &Watch, tenant: &Tenant) -> Value {
    let request = HTTP.get(format!("{}/v1/services", dev.ports.query_url()));
    let said = Said::by(request.bearer_auth(&tenant.token)).await;
    watch.of(&tenant.name, "GET /v1/services", &said);
    assert_eq!(said.status, 200, "{said:?}");
    serde_json::from_str(&said.body).unwrap()
}

fn is_whole(said: &Said) -> Value {
    assert_eq!(said.status, 200, "{said:?}");
    let answer: Value = serde_json::from_str(&said.body).unwrap();
    assert_eq!(answer["complete"], json!(true), "{answer}");
    answer
}

/// Reads everything that the tenant has, in every shape.
pub(crate) async fn all(dev: &Dev, watch: &Watch, tenant: &Tenant) {
    check(dev, watch, tenant, json!({}), &|_| true, 1_000).await;
    for group_by in [json!([]), json!("level"), json!("service"), json!(["service", "level"])] {
        let body = json!({"group_by": group_by});
        assert_eq!(count(dev, watch, tenant, &body).await, tenant.sent.len() as u64, "{body}");
    }
    let found = services(dev, watch, tenant).await;
    let records = found["services"].as_array().unwrap().iter().map(|one| one["records"].as_u64().unwrap());
    assert_eq!(records.sum::<u64>(), tenant.sent.len() as u64, "{found}");
}

/// Asks for something by several conditions, and counts it.
pub(crate) async fn some(dev: &Dev, watch: &Watch, tenant: &mut Tenant, other: &Mine, rng: &mut StdRng) {
    let mut body = json!({});
    let mut conditions: Vec<Meets> = Vec::new();
    let mut kinds: Vec<usize> = (0..KINDS).collect();
    kinds.shuffle(rng);
    for kind in &kinds[..rng.random_range(0..4)] {
        // A name beside a list of names means any of them.
        if !(*kind == 0 && body.get("services").is_some() || *kind == 1 && body.get("service").is_some()) {
            conditions.push(condition(*kind, &mut body, tenant, other, rng));
        }
    }
    let meets = move |record: &Record| conditions.iter().all(|meets| meets(record));
    let expected = tenant.sent.iter().filter(|record| meets(record)).count() as u64;
    let mut counting = body.clone();
    let group_by = [json!([]), json!("level"), json!("service"), json!(["level", "service"])];
    counting["group_by"] = group_by.choose(rng).unwrap().clone();
    if rng.random() {
        counting["step"] = json!(["1m", "7s", "1h"].choose(rng).unwrap());
    }
    assert_eq!(count(dev, watch, tenant, &counting).await, expected, "{counting}");
    if rng.random() {
        body["direction"] = json!("forward");
    }
    let limit = rng.random_range(3..60);
    let last = check(dev, watch, tenant, body.clone(), &meets, limit).await;
    if let Some(cursor) = last {
        tenant.cursor = Some((cursor, body.clone()));
    }
    // The other's cursor under the very query that it may be of; one's own under another.
    if let Some(cursor) = &other.cursor {
        body["cursor"] = json!(cursor);
        let said = post(dev, watch, tenant, "/v1/query", &body).await;
        assert_eq!(said.status, 403, "{said:?}");
    }
    if let Some((cursor, _)) = &tenant.cursor {
        let said = post(dev, watch, tenant, "/v1/query", &json!({"cursor": cursor, "contains": "another"})).await;
        assert_eq!(said.status, 400, "{said:?}");
    }
}

/// Asks page by page, and returns the cursor of the last page but one. What is found is what `meets`.
async fn check(
    dev: &Dev,
    watch: &Watch,
    tenant: &Tenant,
    mut body: Value,
    meets: &(dyn Fn(&Record) -> bool + Sync),
    limit: usize,
) -> Option<String> {
    body["limit"] = json!(limit);
    let mut found: Vec<String> = Vec::new();
    let mut last = None;
    loop {
        let answer = is_whole(&post(dev, watch, tenant, "/v1/query", &body).await);
        for item in answer["items"].as_array().unwrap() {
            assert!(item.to_string().contains(&tenant.canary), "{item}");
            found.push(item["message"].as_str().unwrap().to_owned());
        }
        let Some(cursor) = answer["next_cursor"].as_str() else { break };
        body["cursor"] = json!(cursor);
        last = Some(cursor.to_owned());
    }
    let mut expected: Vec<&str> =
        tenant.sent.iter().filter(|record| meets(record)).map(|record| record.message.as_str()).collect();
    expected.sort_unstable();
    found.sort_unstable();
    assert_eq!(found, expected, "{}: {body}", tenant.name);
    last
}

async fn count(dev: &Dev, watch: &Watch, tenant: &Tenant, body: &Value) -> u64 {
    let answer = is_whole(&post(dev, watch, tenant, "/v1/aggregate", body).await);
    let series = answer["series"].as_array().unwrap();
    series.iter().flat_map(|one| one["points"].as_array().unwrap()).map(|point| point[1].as_u64().unwrap()).sum()
}

/// What one who has nothing is told: nothing, at no cost. So not even how much there is of others can be told from it.
pub(crate) async fn nothing(dev: &Dev, watch: &Watch, tenant: &Tenant) {
    for (path, body) in [
        ("/v1/query", json!({})),
        ("/v1/query", json!({"services": SERVICES})),
        ("/v1/query", json!({"trace_id": TRACES[0]})),
        ("/v1/query", json!({"regex": "number \\d"})),
        ("/v1/aggregate", json!({"group_by": ["level", "service"]})),
        ("/v1/aggregate", json!({"contains": "number", "step": "1m"})),
    ] {
        let answer = is_whole(&post(dev, watch, tenant, path, &body).await);
        for (name, value) in answer["stats"].as_object().unwrap() {
            assert!(name == "duration_ms" || value == &json!(0), "{path} {body}: {answer}");
        }
        assert!(answer["items"].as_array().or(answer["series"].as_array()).unwrap().is_empty(), "{answer}");
        assert!(answer["next_cursor"].is_null(), "{answer}");
    }
    let found = services(dev, watch, tenant).await;
    assert_eq!(found["services"], json!([]), "{found}");
}

/// Adds a condition of a kind to `body`.
fn condition(kind: usize, body: &mut Value, tenant: &Tenant, other: &Mine, rng: &mut StdRng) -> Meets {
    let whose = if rng.random_ratio(1, 3) { &other.canary } else { &tenant.canary }.clone();
    match kind {
        0 => {
            let service = (*SERVICES.choose(rng).unwrap()).to_owned();
            body["service"] = json!(service);
            Box::new(move |record| record.service == service)
        }
        1 => {
            let services = vec![SERVICES[0].to_owned(), format!("only-{whose}")];
            body["services"] = json!(services);
            Box::new(move |record| services.contains(&record.service))
        }
        2 => {
            body["level"] = json!(["error", "unknown"]);
            Box::new(|record| matches!(record.level, None | Some("error")))
        }
        3 => {
            body["min_level"] = json!("warn");
            Box::new(|record| record.level.is_some_and(|level| LEVELS[3..].contains(&level)))
        }
        4 => {
            body["contains"] = json!(["number", whose]);
            Box::new(move |record| record.message.contains(&whose))
        }
        5 => {
            body["icontains"] = json!(whose.to_uppercase());
            Box::new(move |record| record.message.contains(&whose))
        }
        6 => {
            body["regex"] = json!(format!("number \\d*[02468] of {whose}$"));
            Box::new(move |record| record.n % 2 == 0 && record.message.contains(&whose))
        }
        7 => {
            let own = format!("{whose}{whose}");
            let trace = [TRACES[0], TRACES[1], &own].choose(rng).map(|trace| (*trace).to_owned()).unwrap();
            body["trace_id"] = json!(trace);
            Box::new(move |record| record.trace_id == trace)
        }
        8 => {
            body["fields"] = json!([
                {"name": format!("key-{whose}"), "op": "exists"},
                {"name": "host", "op": "eq", "value": format!("host-{whose}")},
                {"name": "n", "op": "gte", "value": 5},
            ]);
            Box::new(move |record| record.n >= 5 && record.message.contains(&whose))
        }
        _ => {
            let (from, to) = (START_NS + 3_000_000_000, START_NS + rng.random_range(3_000_000_000..60_000_000_000));
            (body["from_ts"], body["to_ts"]) = (json!(from), json!(to));
            Box::new(move |record| (from..to).contains(&record.timestamp_ns))
        }
    }
}
