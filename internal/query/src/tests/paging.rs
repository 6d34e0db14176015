use std::sync::atomic::Ordering;
use std::time::Duration;

use loglake_model::{ErrorKind, Level, TimeRange};
use loglake_search::{Filter, LevelSet};
use proptest::prelude::*;

use super::fake_tail::FakeTail;
use super::lake::{Lake, NOW_NS, PARTITIONS, Sent, ids_of};
use crate::order::Direction;

const HOUR_NS: i64 = 3_600_000_000_000;

fn record() -> impl Strategy<Value = Sent> {
    let tenant = prop_oneof![3 => Just("acme"), 1 => Just("other")];
    let service = prop_oneof![Just("api"), Just("web"), Just("db\"1"), Just("queue")];
    // Few moments, some equal, in three windows.
    let timestamp = (0_i64..3, 0_i64..12).prop_map(|(hour, at)| NOW_NS + hour * HOUR_NS + at);
    let message =
        prop_oneof![Just("timeout of upstream"), Just("connection \"reset\"\n"), Just("request served"), Just("x")];
    let trace = prop_oneof![Just(""), Just("trace-1"), Just("trace-2")];
    (tenant, service, timestamp, 0_usize..7, message, trace).prop_map(
        |(tenant, service, timestamp_ns, level, message, trace_id)| Sent {
            tenant,
            service,
            timestamp_ns,
            level: Level::from_slot(level),
            message: message.to_owned(),
            trace_id,
        },
    )
}

fn filter() -> impl Strategy<Value = Filter> {
    let contains = prop_oneof![Just(vec![]), Just(vec!["timeout".to_owned()]), Just(vec!["\"reset".to_owned()])];
    let services = prop_oneof![3 => Just(vec![]), 1 => Just(vec!["api"]), 1 => Just(vec!["web", "queue"])];
    let levels = prop_oneof![2 => Just(None), 1 => Just(Some(LevelSet::at_least(Level::Warn)))];
    let trace = prop_oneof![3 => Just(None), 1 => Just(Some("trace-2".to_owned()))];
    (contains, services, levels, trace).prop_map(|(contains, services, levels, trace_id)| Filter {
        contains,
        services: services.into_iter().map(|name| loglake_model::Service::parse(name).unwrap()).collect(),
        levels,
        trace_id,
        ..Filter::default()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn pages_are_what_a_plain_filter_and_sort_gives(
        before in prop::collection::vec(record(), 0..40),
        between in prop::collection::vec(record(), 0..20),
        after in prop::collection::vec(record(), 0..20),
        filter in filter(),
        is_forward: bool,
        is_served: bool,
        block_lines in 1_usize..6,
        limits in prop::collection::vec(1_usize..9, 1..5),
        page_bytes in prop_oneof![Just(300_usize), Just(1 << 20)],
        from in 0_i64..3 * HOUR_NS,
        length in prop_oneof![Just(i64::MAX / 4), 0_i64..2 * HOUR_NS],
    ) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(async {
            let mut lake = Lake::with(|config| config.page_bytes = page_bytes).await;
            lake.block_lines = block_lines;
            lake.send(&before).await;
            lake.flush_all().await;
            lake.send(&between).await;
            lake.flush(1, lake.latest(1).await).await;
            lake.send(&after).await;
            if is_served {
                let (_, address) = FakeTail::start(&lake).await;
                (0..PARTITIONS).for_each(|partition| lake.lease(partition, &address));
            }
            let direction = if is_forward { Direction::Forward } else { Direction::Backward };
            let mut query = lake.query("acme", &filter, direction, 1);
            query.range = TimeRange::new(NOW_NS + from, NOW_NS + from + length).unwrap();
            let expected = lake.expected(&query);
            let (found, is_complete) = lake.all_pages(query, |page| limits[page % limits.len()]).await;
            assert!(is_complete);
            assert_eq!(found, expected);
        });
    }
}

fn numbered(count: i64) -> Vec<Sent> {
    let sent = |at: i64| Sent {
        tenant: "acme",
        service: "api",
        timestamp_ns: NOW_NS + at,
        level: Some(Level::Info),
        message: format!("record {at} of many words"),
        trace_id: "",
    };
    (0..count).map(sent).collect()
}

#[tokio::test]
async fn only_what_the_page_needs_is_read() {
    let mut lake = Lake::new().await;
    lake.send(&numbered(400)).await;
    lake.flush_all().await;
    let newest = lake.page(lake.query("acme", &Filter::default(), Direction::Backward, 3)).await.unwrap();
    assert_eq!(newest.rows, 3);
    assert!(newest.stats.events_scanned <= 4 * 8, "{:?}", newest.stats);
    assert_eq!(newest.stats.objects_read, 1);

    let rare = Filter { contains: vec!["record 123 of".to_owned()], ..Filter::default() };
    let found = lake.page(lake.query("acme", &rare, Direction::Backward, 100)).await.unwrap();
    assert_eq!((found.rows, found.next_cursor.as_deref()), (1, None));
    assert!(found.stats.blocks_pruned > 80 && found.stats.events_scanned < 80, "{:?}", found.stats);

    let absent = Filter { contains: vec!["no such words anywhere".to_owned()], ..Filter::default() };
    let none = lake.page(lake.query("acme", &absent, Direction::Backward, 100)).await.unwrap();
    assert_eq!((none.rows, none.stats.chunks_pruned, none.stats.events_scanned), (0, 1, 0));
    // The footer was in memory by now.
    assert_eq!(none.stats.bytes_read, 0);
}

#[tokio::test]
async fn pages_stay_stable_while_chunks_are_made_and_records_come() {
    let mut lake = Lake::new().await;
    lake.send(&numbered(40)).await;
    let mut query = lake.query("acme", &Filter::default(), Direction::Backward, 7);
    let expected = lake.expected(&query);
    let fingerprint = crate::query::Query::fingerprint(&query.tenant, &query.filter, query.direction);
    let mut found = Vec::new();
    for step in 0..20 {
        let page = lake.page(query.clone()).await.unwrap();
        found.extend(ids_of(&page));
        let Some(cursor) = page.next_cursor else { break };
        query.after = Some(lake.shared().cursors.open(&cursor, &query.tenant, &fingerprint, NOW_NS).unwrap().last);
        // Newer records, ahead of every page; then what is there moves into chunks.
        let newer: Vec<Sent> =
            numbered(3).into_iter().map(|sent| Sent { timestamp_ns: NOW_NS + 1_000 + step, ..sent }).collect();
        lake.send(&newer).await;
        lake.flush_all().await;
    }
    assert_eq!(found, expected);
}

#[tokio::test]
async fn a_page_that_runs_out_of_time_goes_on_by_its_cursor() {
    for (direction, needle) in
        [(Direction::Forward, "of many"), (Direction::Backward, "of many"), (Direction::Forward, "39 of")]
    {
        let mut lake = Lake::with(|config| config.timeout = Duration::from_millis(700)).await;
        lake.send(&numbered(40)).await;
        lake.flush_all().await;
        let filter = Filter { contains: vec![needle.to_owned()], ..Filter::default() };
        let mut query = lake.query("acme", &filter, direction, 100);
        let expected = lake.expected(&query);
        let fingerprint = crate::query::Query::fingerprint(&query.tenant, &query.filter, query.direction);

        // Not even a footer: nothing can be said.
        lake.store.left.store(0, Ordering::SeqCst);
        assert_eq!(lake.page(query.clone()).await.unwrap_err().kind(), ErrorKind::Deadline);

        // The footer and a few blocks of ten, which one request reads.
        let mut found = Vec::new();
        let mut pages = 0;
        loop {
            lake.store.left.store(2, Ordering::SeqCst);
            let page = lake.page(query.clone()).await.unwrap();
            assert_eq!(page.missing, []);
            found.extend(ids_of(&page));
            pages += 1;
            let Some(cursor) = page.next_cursor else { break };
            query.after = Some(lake.shared().cursors.open(&cursor, &query.tenant, &fingerprint, NOW_NS).unwrap().last);
        }
        assert_eq!(found, expected);
        assert!(pages > 1 || expected.len() == 1, "{pages} pages");
    }
}
