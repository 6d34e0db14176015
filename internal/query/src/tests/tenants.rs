use loglake_model::Level;
use loglake_search::Filter;
use loglake_store::ObjectStore as _;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::fake_tail::FakeTail;
use super::lake::{Lake, NOW_NS, PARTITIONS, Sent};
use crate::order::Direction;

/// A running service, for requests over HTTP.
pub(super) struct Running {
    pub(super) base: String,
    pub(super) tokens: std::collections::BTreeMap<&'static str, String>,
    pub(super) client: reqwest::Client,
    pub(super) stop: CancellationToken,
}

impl Running {
    pub(super) fn start(lake: Lake) -> Self {
        let stop = CancellationToken::new();
        let (base, tokens) = (format!("http://{}", lake.service.addr()), lake.tokens);
        tokio::spawn(lake.service.run(stop.clone()));
        Self { base, tokens, client: reqwest::Client::new(), stop }
    }

    pub(super) async fn query(&self, tenant: &str, body: &Value) -> (u16, Value) {
        let request = self.client.post(format!("{}/v1/query", self.base)).bearer_auth(&self.tokens[tenant]).json(body);
        let response = request.send().await.unwrap();
        (response.status().as_u16(), response.json().await.unwrap())
    }

    pub(super) async fn services(&self, tenant: &str, parameters: &str) -> (u16, Value) {
        let request =
            self.client.get(format!("{}/v1/services{parameters}", self.base)).bearer_auth(&self.tokens[tenant]);
        let response = request.send().await.unwrap();
        (response.status().as_u16(), response.json().await.unwrap())
    }
}

fn canaries(tenant: &'static str) -> Vec<Sent> {
    let sent = |at: i64| Sent {
        tenant,
        service: if at % 2 == 0 { "api" } else { "web" },
        timestamp_ns: NOW_NS + at * 1_000,
        level: Some(Level::Error),
        message: format!("canary-{tenant} {at}"),
        trace_id: "shared-trace",
    };
    (0..20).map(sent).collect()
}

pub(super) async fn two_tenants() -> Lake {
    let mut lake = Lake::new().await;
    lake.send(&canaries("acme")).await;
    lake.send(&canaries("other")).await;
    lake.flush_all().await;
    lake.send(&canaries("acme")).await;
    lake.send(&canaries("other")).await;
    let (_, address) = FakeTail::start(&lake).await;
    (0..PARTITIONS).for_each(|partition| lake.lease(partition, &address));
    lake
}

#[tokio::test]
async fn nobody_sees_anything_of_another_tenant() {
    let running = Running::start(two_tenants().await);
    for (mine, theirs) in [("acme", "canary-other"), ("other", "canary-acme")] {
        for body in [
            json!({"limit": 1000}),
            json!({"trace_id": "shared-trace", "direction": "forward", "limit": 1000}),
            json!({"contains": "canary", "service": "api", "limit": 1000}),
            json!({"tenant_id": mine, "level": "error", "limit": 1000}),
        ] {
            let mut count = 0;
            let mut body = body;
            loop {
                let (status, answer) = running.query(mine, &body).await;
                assert_eq!((status, &answer["complete"]), (200, &Value::Bool(true)), "{answer}");
                assert!(!answer.to_string().contains(theirs), "{answer}");
                count += answer["items"].as_array().unwrap().len();
                if answer["next_cursor"].is_null() {
                    break;
                }
                body["cursor"] = answer["next_cursor"].clone();
            }
            assert_eq!(count, if body["service"].is_null() { 40 } else { 20 });
        }
        let (_, answer) = running.services(mine, "").await;
        let counts: Vec<_> = answer["services"].as_array().unwrap().iter().map(|row| row["records"].as_u64()).collect();
        assert_eq!(counts, [Some(20), Some(20)], "{answer}");
    }
    let (status, answer) = running.query("acme", &json!({"tenant_id": "other"})).await;
    assert_eq!((status, answer["error"]["code"].as_str()), (403, Some("forbidden")), "{answer}");
    let (status, _) = running.services("acme", "?tenant_id=other").await;
    assert_eq!(status, 403);
}

#[tokio::test]
async fn a_chunk_of_another_tenant_is_damage_even_if_the_index_names_it() {
    let lake = two_tenants().await;
    // Fills the cache with the other tenant's footers, then plants their chunks under this tenant's name.
    lake.page(lake.query("other", &Filter::default(), Direction::Backward, 100)).await.unwrap();
    for (_, chunks) in lake.index.state.lock().partitions.values_mut() {
        chunks.retain(|chunk| chunk.tenant.as_str() == "other");
        chunks.iter_mut().for_each(|chunk| chunk.tenant = loglake_model::TenantName::parse("acme").unwrap());
    }
    let answer = lake.page(lake.query("acme", &Filter::default(), Direction::Backward, 100)).await.unwrap();
    assert!(!answer.missing.is_empty());
    assert!(!String::from_utf8_lossy(&answer.items).contains("canary-other"));
}

#[tokio::test]
async fn a_block_in_memory_is_its_own_tenants_alone_and_saves_the_store() {
    let lake = two_tenants().await;
    let query = lake.query("other", &Filter::default(), Direction::Backward, 100);
    let first = lake.page(query.clone()).await.unwrap();
    let again = lake.page(query).await.unwrap();
    assert!(first.stats.bytes_read > 0 && again.stats.bytes_read == 0, "{:?} {:?}", first.stats, again.stats);
    assert!(first.rows > 0 && first.items == again.items);
    // The same place, asked for by another tenant: it is read, not given.
    let chunk = {
        let state = lake.index.state.lock();
        let mut chunks = state.partitions.values().flat_map(|(_, chunks)| chunks.clone());
        chunks.find(|chunk| chunk.tenant.as_str() == "other").unwrap()
    };
    let bytes = lake.store.get(&chunk.key, u64::MAX).await.unwrap();
    let rows = loglake_chunk::Footer::of_chunk(&bytes).unwrap().blocks().to_vec();
    let span = &crate::spans::spans(rows)[0];
    let blocks = &lake.shared().blocks;
    blocks.get(&super::lake::tenant("other"), &chunk, span).await.unwrap();
    for (name, is_kept) in [("other", true), ("acme", false)] {
        let members = blocks.get(&super::lake::tenant(name), &chunk, span).await.unwrap();
        assert_eq!(members.bytes == 0, is_kept, "{name}");
    }
}

#[tokio::test]
async fn cursors_are_good_for_their_own_query_and_tenant_only() {
    let lake = two_tenants().await;
    let clock = lake.clock.clone();
    let running = Running::start(lake);
    let (_, first) = running.query("acme", &json!({"level": "error", "limit": 5})).await;
    let cursor = first["next_cursor"].clone();
    let (status, next) = running.query("acme", &json!({"level": "ERROR", "limit": 7, "cursor": cursor})).await;
    assert_eq!((status, next["items"].as_array().unwrap().len()), (200, 7));
    assert!(!first["items"].as_array().unwrap().contains(&next["items"][0]));

    let mut altered = cursor.as_str().unwrap().to_owned();
    altered.replace_range(10..11, if &altered[10..11] == "A" { "B" } else { "A" });
    for (tenant, body, expected) in [
        ("acme", json!({"level": "error", "cursor": altered}), 400),
        ("acme", json!({"level": "error", "cursor": "AAAA"}), 400),
        ("acme", json!({"level": "error", "cursor": ""}), 400),
        ("acme", json!({"level": "warn", "cursor": cursor}), 400),
        ("acme", json!({"level": "error", "direction": "forward", "cursor": cursor}), 400),
        ("other", json!({"level": "error", "cursor": cursor}), 403),
    ] {
        let (status, answer) = running.query(tenant, &body).await;
        assert_eq!((status, answer["error"]["field"].as_str()), (expected, Some("cursor")), "{answer}");
    }
    clock.advance(crate::cursor::LIFE_NS);
    let (status, answer) = running.query("acme", &json!({"level": "error", "cursor": cursor})).await;
    assert_eq!((status, answer["error"]["code"].as_str()), (410, Some("expired")), "{answer}");
}

#[tokio::test]
async fn services_are_counted_exactly_at_the_edges_and_with_the_tail() {
    let lake = two_tenants().await;
    let running = Running::start(lake);
    // Records 3 to 8 of both halves: odd ones are of `web`.
    let (from, to) = (NOW_NS + 3_000, NOW_NS + 8_001);
    let (status, answer) = running.services("acme", &format!("?from_ts={from}&to_ts={to}")).await;
    let rows = answer["services"].as_array().unwrap();
    assert_eq!((status, rows.len(), &answer["complete"]), (200, 2, &Value::Bool(true)));
    assert_eq!((rows[0]["service"].as_str(), rows[0]["records"].as_u64()), (Some("api"), Some(6)));
    assert_eq!((rows[1]["service"].as_str(), rows[1]["records"].as_u64()), (Some("web"), Some(6)));
    assert_eq!(rows[1]["first"].as_str(), Some("2023-11-14T22:13:20.000003000Z"));
    assert_eq!(rows[0]["last"].as_str(), Some("2023-11-14T22:13:20.000008000Z"));
}
