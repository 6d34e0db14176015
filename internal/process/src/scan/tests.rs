use bytes::Bytes;
use loglake_batch::{BatchBuilder, Head, Origin};
use loglake_broker::Message;
use loglake_model::{Level, TenantName};
use loglake_search::{Filter, LevelSet};
use proptest::prelude::*;

use super::*;
use crate::budget::Budget;
use crate::counts::CountQuery;
use loglake_search::Steps;

/// A record: service, time, level, message, trace.
type Drawn = (usize, i64, bool, String, Option<String>);

#[expect(clippy::disallowed_methods, reason = "there are no credentials here")]
fn id(name: &TenantName) -> TenantId {
    TenantId::from_credential(name.clone())
}

/// Few different ones, so that they meet; texts occur in traces, which stand before the lines, too.
fn records() -> impl Strategy<Value = Vec<Drawn>> {
    proptest::collection::vec(
        (0..2_usize, 0..12_i64, any::<bool>(), "[ab ]{0,6}", proptest::option::of("[ab]{1,4}")),
        1..12,
    )
}

fn payload(tenant: &TenantName, records: &[Drawn]) -> Bytes {
    let mut builder = BatchBuilder::new(tenant, 1, Origin::None);
    for (service, timestamp_ns, is_error, message, trace_id) in records {
        let service = Service::parse(["api", "web"][*service]).unwrap();
        let trace_id = trace_id.as_deref().unwrap_or_default();
        let head =
            Head { service: &service, timestamp_ns: *timestamp_ns, level: is_error.then_some(Level::Error), trace_id };
        let rest = |out: &mut Vec<u8>| {
            line::escape_into(out, message);
            out.push(b'"');
            if !trace_id.is_empty() {
                line::text_field(out, "trace_id", trace_id);
            }
            out.push(b'}');
        };
        builder.write(head, None, rest).unwrap();
    }
    builder.finish().unwrap()
}

/// All that the query asks for, looked at one by one, and whether that is more than its limit.
fn plainly(query: &TailQuery, messages: &[Arc<Held>]) -> (Vec<Position>, bool) {
    let mut found = Vec::new();
    for held in messages {
        let batch = held.batch.as_ref().unwrap();
        for group in batch.groups().filter(|_| batch.tenant() == query.tenant.name()) {
            for record in group.records() {
                let id = RecordId { incarnation: 0, partition: 3, offset: held.offset(), index: record.index };
                let position = (record.timestamp_ns, id);
                let is_chosen = query.services.is_empty() || query.services.contains(group.service());
                let is_in = query.range.contains(record.timestamp_ns) && query.is_past(position);
                if is_chosen && is_in && query.matcher.matches(record.line) {
                    found.push(position);
                }
            }
        }
    }
    found.sort_unstable();
    if !query.is_forward {
        found.reverse();
    }
    let is_truncated = found.len() > query.limit;
    found.truncate(query.limit);
    (found, is_truncated)
}

proptest! {
    #[test]
    fn what_is_passed_over_would_not_have_been_found(
        messages in proptest::collection::vec((any::<bool>(), records()), 0..6),
        kind in 0..6_u8,
        text in "[ab ]{0,3}",
        service: bool,
        (start, end) in (0..12_i64, 0..13_i64),
        is_forward: bool,
        after in proptest::option::of((0..12_i64, 0..6_u64, 0..4_u32)),
        limit in 1..8_usize,
    ) {
        let (acme, other) = (TenantName::parse("acme").unwrap(), TenantName::parse("other").unwrap());
        let budget = Budget::new(1 << 30);
        let messages: Vec<Arc<Held>> = (0..)
            .zip(&messages)
            .map(|(offset, (is_other, records))| {
                let payload = payload(if *is_other { &other } else { &acme }, records);
                Arc::new(Held::new(Message { offset, append_time_ns: 1, leader_epoch: None, payload }, &budget))
            })
            .collect();
        let mut filter = Filter::default();
        match kind {
            0 => filter.contains.push(text),
            1 => filter.icontains.push(text.to_uppercase()),
            2 => filter.trace_id = Some(text).filter(|text| !text.is_empty()),
            3 => filter.levels = Some(LevelSet::EMPTY.with(Some(Level::Error))),
            4 => filter.regex = Some(format!("{text}.?b")),
            _ => {}
        }
        let services: Vec<Service> = service.then(|| Service::parse("web").unwrap()).into_iter().collect();
        let range = TimeRange::new(start, start.max(end)).unwrap();
        let query = TailQuery {
            tenant: id(&acme),
            matcher: filter.compile().unwrap(),
            services: services.clone(),
            range,
            is_forward,
            after: after.map(|(at, offset, index)| (at, RecordId { incarnation: 0, partition: 3, offset, index })),
            limit,
            max_bytes: u64::MAX,
        };
        let (expected, is_truncated) = plainly(&query, &messages);
        let rows = query.scan(&messages, 0, 3);
        let found: Vec<Position> =
            rows.lines.iter().map(|row| (line::timestamp_of(row).unwrap(), line::id_of(row).unwrap())).collect();
        prop_assert_eq!((found, rows.is_truncated), (expected, is_truncated));

        let all = TailQuery { after: None, limit: usize::MAX, ..query };
        let count = CountQuery {
            tenant: all.tenant.clone(),
            matcher: all.matcher.clone(),
            services,
            range,
            steps: Steps::ONE,
            by_service: false,
            limit: 10,
        };
        let counted: u64 = count.count(&messages).tally.iter().map(|(_, _, levels)| levels.iter().sum::<u64>()).sum();
        prop_assert_eq!(counted, plainly(&all, &messages).0.len() as u64);
    }
}

#[test]
fn from_the_newest_on_no_message_is_searched_that_cannot_hold_better() {
    let acme = TenantName::parse("acme").unwrap();
    let budget = Budget::new(1 << 30);
    let records = |at: i64, text: &str| -> Vec<Drawn> {
        (0..10).map(|n| (0, at + n, false, format!("{text} {n}"), None)).collect()
    };
    let texts = ["a day", "a night", "a day", "a day"];
    let messages: Vec<Arc<Held>> = (0..)
        .zip(texts)
        .map(|(offset, text)| {
            let payload = payload(&acme, &records(offset as i64 * 100, text));
            Arc::new(Held::new(Message { offset, append_time_ns: 1, leader_epoch: None, payload }, &budget))
        })
        .collect();
    let scanned = |filter: Filter, limit: usize| {
        let query = TailQuery {
            tenant: id(&acme),
            matcher: filter.compile().unwrap(),
            services: Vec::new(),
            range: TimeRange::new(0, i64::MAX).unwrap(),
            is_forward: false,
            after: None,
            limit,
            max_bytes: u64::MAX,
        };
        let rows = query.scan(&messages, 0, 0);
        (rows.lines.len(), rows.is_truncated, rows.scanned)
    };
    let night = Filter { contains: vec!["night".to_owned()], ..Filter::default() };
    assert_eq!(scanned(night, 100), (10, false, 40));
    // The newest message has more than enough.
    assert_eq!(scanned(Filter::default(), 5), (5, true, 10));
    // That there are no more is known only at the end.
    assert_eq!(scanned(Filter::default(), 40), (40, false, 40));
}
