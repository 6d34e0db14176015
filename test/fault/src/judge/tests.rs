use std::time::Instant;

use loglake_integration::oracle::rfc3339;
use serde_json::{Value, json};

use super::{Extent, Wrong, judge};
use crate::entry::Record;
use crate::ledger::{Draft, Ledger};

const AT: i64 = 1_772_323_200_000_000_000;

/// Two tenants with ten records each; all sent once, all acknowledged but number 3.
fn ledger() -> (Ledger, Vec<Record>) {
    let ledger = Ledger::new(vec!["alpha".to_owned(), "beta".to_owned()]);
    let records: Vec<_> = (0..20)
        .map(|n| {
            let draft = Draft {
                tenant: n % 2,
                writer: 1,
                service: "shop".to_owned(),
                timestamp_ns: AT + n as i64 * 1_000,
                level: Some("info"),
                text: "some text",
                is_deduplicated: false,
            };
            ledger.number(draft)
        })
        .collect();
    ledger.attempt(0..20);
    ledger.acknowledge((0..20).filter(|n| *n != 3));
    (ledger, records)
}

fn item(record: &Record) -> Value {
    json!({
        "id": format!("1-0-{}-0", record.number),
        "timestamp": rfc3339(record.timestamp_ns),
        "service": record.service,
        "level": record.level,
        "message": record.message,
    })
}

fn of(records: &[Record], tenant: u64) -> Vec<Value> {
    records.iter().filter(|record| record.number % 2 == tenant).map(item).collect()
}

fn all(ledger: &Ledger, tenant: usize, items: &[Value]) -> Vec<Wrong> {
    judge(ledger, tenant, items, true, Extent::All)
}

#[test]
fn what_was_sent_is_right_in_both_directions_and_unknown_ones_may_come_or_not() {
    let (ledger, records) = ledger();
    let mut items = of(&records, 1);
    assert_eq!(all(&ledger, 1, &items), []);
    items.remove(1);
    assert_eq!(all(&ledger, 1, &items), []);
    items.reverse();
    assert_eq!(judge(&ledger, 1, &items, false, Extent::All), []);
}

#[test]
fn a_loss_is_seen() {
    let (ledger, records) = ledger();
    let mut items = of(&records, 0);
    items.remove(4);
    assert_eq!(all(&ledger, 0, &items), [Wrong::Lost(8)]);
    assert_eq!(judge(&ledger, 0, &items, true, Extent::Part), []);
    assert_eq!(judge(&ledger, 0, &items, true, Extent::Since(Instant::now())), [Wrong::Lost(8)]);
}

#[test]
fn a_repetition_is_seen_under_another_id_and_under_the_same() {
    let (ledger, records) = ledger();
    let mut items = of(&records, 0);
    let mut again = items[9].clone();
    again["id"] = json!("1-0-900-0");
    items.push(again);
    assert_eq!(all(&ledger, 0, &items), [Wrong::Repeated(18)]);
    let mut items = of(&records, 0);
    items.insert(3, items[3].clone());
    let wrong = all(&ledger, 0, &items);
    assert!(wrong.contains(&Wrong::Repeated(6)), "{wrong:?}");
    assert!(wrong.iter().any(|wrong| matches!(wrong, Wrong::SameId(_))), "{wrong:?}");
    assert!(wrong.iter().any(|wrong| matches!(wrong, Wrong::OutOfOrder(_))), "{wrong:?}");
}

#[test]
fn a_retry_may_come_twice_only_where_the_server_does_not_promise_otherwise() {
    let (ledger, records) = ledger();
    ledger.attempt([3]);
    let mut items = of(&records, 1);
    let mut again = items[1].clone();
    again["id"] = json!("1-0-3-1");
    items.insert(2, again);
    assert_eq!(all(&ledger, 1, &items), []);
    ledger.entries()[3].is_deduplicated = true;
    assert_eq!(all(&ledger, 1, &items), [Wrong::Repeated(3)]);
}

#[test]
fn a_foreign_row_is_seen() {
    let (ledger, records) = ledger();
    let mut items = of(&records, 0);
    items.push(item(&records[19]));
    assert!(matches!(&all(&ledger, 0, &items)[..], [Wrong::Foreign(_)]));
    // The other tenant's number under the own canary is no better.
    let mut items = of(&records, 0);
    let mut forged = records[19].clone();
    forged.message = forged.message.replace("beta", "alpha");
    items.push(item(&forged));
    assert!(matches!(&all(&ledger, 0, &items)[..], [Wrong::Foreign(_)]));
}

#[test]
fn a_flipped_payload_is_seen_in_each_field() {
    let (ledger, records) = ledger();
    for (field, value) in [
        ("message", json!(records[4].message.replace("some", "sone"))),
        ("service", json!("shop2")),
        ("level", json!("warn")),
        ("level", Value::Null),
        ("timestamp", json!(rfc3339(records[4].timestamp_ns + 1))),
    ] {
        let mut items = of(&records, 0);
        items[2][field] = value;
        let wrong = all(&ledger, 0, &items);
        assert!(wrong.contains(&Wrong::Altered(4)) && wrong.contains(&Wrong::Lost(4)), "{field}: {wrong:?}");
    }
}

#[test]
fn what_was_never_sent_is_seen() {
    let (ledger, records) = ledger();
    let mut items = of(&records, 0);
    let mut made_up = records[18].clone();
    made_up.number = 7_000;
    made_up.timestamp_ns += 1;
    made_up.message = made_up.message.replace("number 18", "number 7000");
    items.push(item(&made_up));
    assert_eq!(all(&ledger, 0, &items), [Wrong::NeverSent(7_000)]);
    ledger.retract([3]);
    assert_eq!(all(&ledger, 1, &of(&records, 1)), [Wrong::NeverSent(3)]);
}
