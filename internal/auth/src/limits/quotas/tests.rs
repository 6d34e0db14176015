use std::time::Duration;

use loglake_model::FaultCode;

use super::*;
use crate::limits::Limits;

const NOW: i64 = 1_700_000_000_000_000_000;
const SECOND: i64 = 1_000_000_000;
const AT_ONCE: Duration = Duration::ZERO;

fn name(text: &str) -> TenantName {
    TenantName::parse(text).unwrap()
}

/// 100 bytes and 10 records a second, 2 s of them at once.
fn quotas() -> Quotas {
    let limits =
        Limits::none().with(Limit::IngestBytes, 100).with(Limit::IngestRecords, 10).with(Limit::IngestBurstMs, 2_000);
    Quotas::new(TenantLimits::new(limits, None), NOW)
}

#[test]
fn one_tenant_over_its_quota_takes_nothing_from_another() {
    let quotas = quotas();
    let (noisy, quiet) = (quotas.of(&name("noisy"), NOW), quotas.of(&name("quiet"), NOW));
    assert_eq!(noisy.take(200, 1, NOW, AT_ONCE), Ok(Duration::ZERO));
    let over = noisy.take(50, 1, NOW, AT_ONCE).unwrap_err();
    assert_eq!((over.limit, over.most, over.wait), (Limit::IngestBytes, 100, Some(Duration::from_millis(500))));
    assert!(over.actual > over.most && over.fault().code == FaultCode::RateLimited, "{over:?}");
    assert_eq!(quiet.take(200, 20, NOW, AT_ONCE), Ok(Duration::ZERO));
    // Both rates are asked, and a refusal takes of neither.
    let over = quiet.take(0, 1, NOW, AT_ONCE).unwrap_err();
    assert_eq!((over.limit, over.wait), (Limit::IngestRecords, Some(Duration::from_millis(100))));
    assert_eq!(quotas.of(&name("noisy"), NOW).take(50, 1, NOW + SECOND / 2, AT_ONCE), Ok(Duration::ZERO));
    let never = noisy.take(201, 1, NOW, Duration::MAX).unwrap_err();
    assert_eq!((never.wait, never.most, never.fault().code), (None, 200, FaultCode::TooLarge));
    noisy.give_back(50, 1);
    assert_eq!(noisy.take(50, 1, NOW + SECOND / 2, AT_ONCE), Ok(Duration::ZERO));
}

#[test]
fn two_ingestors_that_tell_each_other_let_one_quota_through() {
    let (here, there, tenant) = (quotas(), quotas(), name("acme"));
    let (mut sums, mut passed) = ((0, 0), 0_u64);
    let mut tell = |quotas: &Quotas, now_ns: i64| {
        let told = quotas.untold(now_ns);
        let add = |taken: &Taken| {
            sums = (sums.0 + taken.bytes, sums.1 + taken.records);
            Taken { tenant: taken.tenant.clone(), bytes: sums.0, records: sums.1 }
        };
        let after: Vec<_> = told.iter().map(add).collect();
        quotas.told(&told, &after, now_ns);
    };
    for second in 0..60 {
        let now_ns = NOW + second * SECOND;
        for quotas in [&here, &there] {
            let quota = quotas.of(&tenant, now_ns);
            while quota.take(10, 0, now_ns, AT_ONCE).is_ok() {
                passed += 10;
            }
        }
        tell(&here, now_ns);
        tell(&there, now_ns);
    }
    // What both let through before they first heard of each other, then one rate.
    assert!((60 * 100..=60 * 100 + 800).contains(&passed), "{passed}");
    // Alone again each has all of it.
    here.alone();
    let quota = here.of(&tenant, NOW + 100 * SECOND);
    assert_eq!(quota.take(200, 0, NOW + 100 * SECOND, AT_ONCE), Ok(Duration::ZERO));
}

#[test]
fn sums_that_began_anew_and_the_first_ones_take_nothing_away() {
    let (quotas, tenant) = (quotas(), name("acme"));
    quotas.of(&tenant, NOW).take(10, 1, NOW, AT_ONCE).unwrap();
    let sum = |bytes| [Taken { tenant: tenant.clone(), bytes, records: 0 }];
    let told = quotas.untold(NOW);
    quotas.told(&told, &sum(1_000_000), NOW);
    let mut left = quotas.of(&tenant, NOW).take(190, 1, NOW, AT_ONCE);
    assert_eq!(left, Ok(Duration::ZERO));
    let told = quotas.untold(NOW + SECOND);
    quotas.told(&told, &sum(190), NOW + SECOND);
    left = quotas.of(&tenant, NOW).take(100, 1, NOW + SECOND, AT_ONCE);
    assert_eq!(left, Ok(Duration::ZERO));
}

#[test]
fn tenants_without_end_are_forgotten_or_share() {
    let quotas = quotas();
    for n in 0..3_000 {
        let now_ns = NOW + n * SECOND;
        quotas.of(&name(&format!("t{n}")), now_ns).take(1, 1, now_ns, AT_ONCE).unwrap();
    }
    assert!(quotas.tenants.lock().counted.len() <= 1_100);
    assert!(quotas.untold(NOW + 3_000 * SECOND).iter().all(|taken| taken.bytes <= 1));
}

#[test]
fn who_has_too_much_stored_is_refused_as_long_as_that_is_known() {
    let quotas = Quotas::new(TenantLimits::new(Limits::none().with(Limit::StoredBytes, 1_000), None), NOW);
    let (full, other) = (name("full"), name("other"));
    let take = |tenant: &TenantName, now_ns| quotas.of(tenant, now_ns).take(1, 1, now_ns, AT_ONCE);
    assert!(quotas.unknown_storage(NOW).is_empty(), "nobody sent anything");
    assert!(take(&full, NOW).is_ok() && take(&other, NOW).is_ok(), "nothing is known yet");
    let mut asked = quotas.unknown_storage(NOW);
    asked.sort();
    assert_eq!(asked, [full.clone(), other.clone()]);
    quotas.stored(&asked, &[1_000, 999], true, NOW);
    let over = take(&full, NOW).unwrap_err();
    assert_eq!((over.limit, over.most, over.actual), (Limit::StoredBytes, 1_000, 1_000));
    assert_eq!((over.fault().code, over.wait), (FaultCode::QuotaExceeded, Some(Duration::from_secs(30))));
    assert!(quotas.of(&full, NOW).look(1, NOW).is_err() && quotas.of(&full, NOW).has_room(NOW).is_err());
    assert!(take(&other, NOW).is_ok(), "nobody else is refused");

    assert!(quotas.unknown_storage(NOW + 14 * SECOND).is_empty());
    assert_eq!(quotas.unknown_storage(NOW + 15 * SECOND).len(), 2);
    quotas.stored(std::slice::from_ref(&full), &[0], true, NOW + 15 * SECOND);
    assert!(take(&full, NOW + 15 * SECOND).is_ok());
    // Without an answer the last one holds for five minutes.
    quotas.stored(std::slice::from_ref(&full), &[5_000], true, NOW + 20 * SECOND);
    quotas.stored(std::slice::from_ref(&full), &[3], false, NOW + 25 * SECOND);
    assert!(take(&full, NOW + 319 * SECOND).is_err());
    assert!(take(&full, NOW + 320 * SECOND).is_ok());
    quotas.stored(std::slice::from_ref(&full), &[3_000], false, NOW + 320 * SECOND);
    assert!(take(&full, NOW + 320 * SECOND).is_err(), "at least that much is enough to know");
    assert_eq!(quotas.unknown_storage(NOW + 336 * SECOND), [full], "the other is quiet");
}

#[test]
fn a_known_sum_outlives_the_idle() {
    let quotas = Quotas::new(TenantLimits::new(Limits::none().with(Limit::StoredBytes, 1), None), NOW);
    let full = name("full");
    quotas.of(&full, NOW).take(1, 1, NOW, AT_ONCE).unwrap();
    quotas.stored(std::slice::from_ref(&full), &[1], true, NOW);
    for (after, is_refused) in [(60, true), (400, false)] {
        let now_ns = NOW + after * SECOND;
        for n in 0..1_100 {
            quotas.counted(&name(&format!("t{after}-{n}")), now_ns);
        }
        assert_eq!(quotas.of(&full, now_ns).has_room(now_ns).is_err(), is_refused, "after {after} s");
    }
}
