//! What a query may search is bounded: a page ends early, a count is refused, and nothing is lost by either.

use loglake_model::{ErrorKind, Level, Service, TimeRange};
use loglake_search::Filter;
use serde_json::json;
use tokio::time::Instant;

use super::lake::{Lake, NOW_NS, Sent, ids_of, tenant};
use crate::Config;
use crate::aggregate::{Request, aggregate};
use crate::answer::answer;
use crate::budget::Budget;
use crate::order::Direction;
use crate::query::Query;
use crate::services::services;

/// Sixty records in blocks of two, all flushed.
async fn lake() -> Lake {
    lake_with(|_| {}).await
}

async fn lake_with(change: impl FnOnce(&mut Config)) -> Lake {
    let mut lake = Lake::with(change).await;
    lake.block_lines = 2;
    let record = |at: usize| Sent {
        tenant: "acme",
        service: ["api", "web", "queue"][at % 3],
        timestamp_ns: NOW_NS + at as i64,
        level: Some(Level::Info),
        message: format!("number {at}"),
        trace_id: "",
    };
    lake.send(&(0..60).map(record).collect::<Vec<_>>()).await;
    lake.flush_all().await;
    lake
}

#[tokio::test]
async fn a_page_that_searched_enough_ends_early_and_the_next_goes_on() {
    let lake = lake().await;
    for direction in [Direction::Forward, Direction::Backward] {
        let mut query = lake.query("acme", &Filter::default(), direction, 100);
        let fingerprint = Query::fingerprint(&query.tenant, &query.filter, query.direction);
        // Some blocks of each service.
        let budget = Budget { most_bytes: Some(2_500), ..lake.budget() };
        let (mut ids, mut pages) = (Vec::new(), 0);
        loop {
            let page = answer(lake.shared(), query.clone(), budget).await.unwrap();
            assert!(page.missing.is_empty());
            ids.extend(ids_of(&page));
            pages += 1;
            let Some(text) = &page.next_cursor else { break };
            let cursor = lake.shared().cursors.open(text, &query.tenant, &fingerprint, NOW_NS).unwrap();
            query.after = Some(cursor.last);
            assert!(pages < 100);
        }
        assert!(pages > 3, "{pages}");
        query.after = None;
        assert_eq!(ids, lake.expected(&query));
    }
}

#[tokio::test]
async fn paging_that_gets_nowhere_ends_in_a_refusal() {
    let lake = lake().await;
    // Enough for two blocks, and each page needs one of three services.
    let mut query = lake.query("acme", &Filter::default(), Direction::Forward, 100);
    let fingerprint = Query::fingerprint(&query.tenant, &query.filter, query.direction);
    let budget = Budget { most_bytes: Some(900), ..lake.budget() };
    for _ in 0..20 {
        match answer(lake.shared(), query.clone(), budget).await {
            Ok(page) => {
                let text = page.next_cursor.unwrap();
                let cursor = lake.shared().cursors.open(&text, &query.tenant, &fingerprint, NOW_NS).unwrap();
                query.after = Some(cursor.last);
            }
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::TooCostly);
                return;
            }
        }
    }
    panic!("it goes on without end");
}

#[tokio::test]
async fn what_needs_many_chunks_has_room_or_is_refused() {
    // A chunk for each of three services: rooms for 1 and 2, for 1 and 4.
    for (plan_bytes, may_have_all) in [(4 << 10, false), (8 << 10, true)] {
        let lake = lake_with(|config| config.plan_bytes = plan_bytes).await;
        let shared = lake.shared();
        let everything = || lake.query("acme", &Filter::default(), Direction::Backward, 100);
        let one = Filter { services: vec![Service::parse("api").unwrap()], ..Filter::default() };
        let one = lake.query("acme", &one, Direction::Backward, 100);
        assert_eq!(answer(shared, one, lake.budget()).await.unwrap().rows, 20);
        let count = Request::parse(br#"{"contains": "number"}"#).unwrap();
        let (page, counts, services) = tokio::join!(
            answer(shared, everything(), lake.budget()),
            aggregate(shared, tenant("acme"), count, lake.budget()),
            services(shared, tenant("acme"), TimeRange::ALL, lake.budget()),
        );
        let errors = [page.as_ref().err(), counts.as_ref().err(), services.as_ref().err()];
        if may_have_all {
            assert!(errors.iter().all(Option::is_none), "{errors:?}");
            assert_eq!(page.unwrap().rows, 60);
            continue;
        }
        for error in errors {
            let error = error.unwrap();
            assert_eq!(error.kind(), ErrorKind::TooCostly, "{error}");
            assert_eq!((error.refusal().fault.limit, error.refusal().fault.actual), (Some(2), Some(3)));
        }
        // Nothing is kept of it.
        shared.room.large(tenant("acme").name(), Instant::now()).await.unwrap();
    }
}

#[tokio::test]
async fn what_gets_nowhere_and_counts_that_cost_too_much_are_refused() {
    let lake = lake().await;
    let budget = Budget { most_bytes: Some(100), ..lake.budget() };
    let query = lake.query("acme", &Filter::default(), Direction::Backward, 100);
    let refused = answer(lake.shared(), query, budget).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::TooCostly);
    let refusal = refused.refusal();
    assert!(refusal.fault.limit == Some(100) && refusal.fault.actual > Some(100), "{refusal:?}");
    let count = async |body, most_bytes| {
        let asked = Request::parse(serde_json::Value::to_string(&body).as_bytes()).unwrap();
        aggregate(lake.shared(), tenant("acme"), asked, Budget { most_bytes, ..budget }).await
    };
    let refused = count(json!({"contains": "number"}), Some(100)).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::TooCostly);
    assert!(count(json!({"contains": "number"}), Some(1 << 20)).await.is_ok());
    // The directories alone are no search.
    assert!(count(json!({"group_by": ["level"]}), Some(1)).await.is_ok());
}
