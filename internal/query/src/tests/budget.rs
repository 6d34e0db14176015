//! What a query may search is bounded: a page ends early, a count is refused, and nothing is lost by either.

use loglake_model::{ErrorKind, Level};
use loglake_search::Filter;
use serde_json::json;

use super::lake::{Lake, NOW_NS, Sent, ids_of, tenant};
use crate::aggregate::{Request, aggregate};
use crate::answer::answer;
use crate::budget::Budget;
use crate::order::Direction;
use crate::query::Query;

/// Sixty records in blocks of two, all flushed.
async fn lake() -> Lake {
    let mut lake = Lake::new().await;
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
