use http::HeaderValue;
use loglake_auth::keys::ClusterSecret;
use loglake_model::TenantName;

use super::*;

const NOW_NS: i64 = 1_700_000_000_000_000_000;

#[expect(clippy::disallowed_methods, reason = "test")]
fn tenant(name: &str) -> TenantId {
    TenantId::from_credential(TenantName::parse(name).unwrap())
}

fn origins(seed: u8) -> Origins {
    Origins::new(SessionKey::new(&ClusterSecret::from_bytes(&[seed; 32]).unwrap()), 6)
}

fn code(refused: Refusal) -> (ErrorKind, FaultCode) {
    (refused.kind, refused.fault.code)
}

#[test]
fn a_session_is_good_at_any_ingestor_for_its_tenant_for_an_hour() {
    let (one, other) = (origins(1), Origins::new(origins(1).key, 12));
    let opened = one.open(&tenant("a"), NOW_NS).unwrap();
    let resume = |at_ns| other.resume(&tenant("a"), opened.text(), at_ns);
    let mut resumed = resume(NOW_NS + 60_000_000_000).unwrap();
    assert_eq!(resumed.seconds_left(NOW_NS + 60_000_000_000), 3_540);
    let Origin::Session(part) = resumed.origin(7, 5, NOW_NS + 60_000_000_000).unwrap() else { panic!("a session") };
    assert_eq!((part.id, part.opened_at_ns, part.partitions), (opened.token.id, NOW_NS, 6), "routed as it was opened");
    assert!(resume(NOW_NS + SESSION_GOOD_NS - 1).is_ok());
    assert_eq!(code(resume(NOW_NS + SESSION_GOOD_NS).unwrap_err()), (ErrorKind::Expired, FaultCode::Expired));
    assert!(resume(NOW_NS - MAX_AHEAD_NS).is_ok());
    assert_eq!(code(resume(NOW_NS - MAX_AHEAD_NS - 1).unwrap_err()), (ErrorKind::Expired, FaultCode::Expired));
    let foreign = other.resume(&tenant("b"), opened.text(), NOW_NS).unwrap_err();
    assert_eq!(code(foreign), (ErrorKind::Forbidden, FaultCode::Forbidden));
    let strange = origins(2).resume(&tenant("a"), opened.text(), NOW_NS).unwrap_err();
    assert_eq!(code(strange), (ErrorKind::NotFound, FaultCode::NotFound));
    assert_eq!(code(resumed.origin(8, 5, NOW_NS + SESSION_GOOD_NS).unwrap_err()).0, ErrorKind::Expired);
    assert_ne!(one.open(&tenant("a"), NOW_NS).unwrap().token.id, opened.token.id);
}

#[test]
fn numbers_stay_within_the_window() {
    let mut session = origins(1).open(&tenant("a"), NOW_NS).unwrap();
    let mut take = |number, oldest| session.origin(number, oldest, NOW_NS).map(drop).map_err(code);
    for (number, oldest) in [(0, 0), (1, 0), (1, 2)] {
        assert_eq!(take(number, oldest), Err((ErrorKind::Invalid, FaultCode::Invalid)), "{number} {oldest}");
    }
    assert_eq!(take(1, 1), Ok(()));
    assert_eq!(take(256, 1), Ok(()));
    assert_eq!(take(257, 1), Err((ErrorKind::Invalid, FaultCode::TooMany)));
    assert_eq!(take(257, 2), Ok(()));
    assert_eq!(take(3, 2), Ok(()), "in any order");
    assert_eq!(take(2, 2), Ok(()));
    assert_eq!(take(1, 1), Err((ErrorKind::Invalid, FaultCode::Invalid)), "below what was said to be the oldest");
    assert_eq!(take(u64::MAX, u64::MAX), Ok(()));
}

#[test]
fn keys_are_texts_of_their_tenant_and_bounded_in_number() {
    let origins = origins(1);
    let of = |tenant_name: &str, keys: &[&[u8]]| {
        let mut headers = HeaderMap::new();
        for key in keys {
            headers.append(IDEMPOTENCY_KEY, HeaderValue::from_bytes(key).unwrap());
        }
        origins.of_request(&tenant(tenant_name), &headers, NOW_NS)
    };
    let hash = |origin| match origin {
        Ok(Origin::Key(key)) => key.hash,
        other => panic!("{other:?}"),
    };
    assert_eq!(of("a", &[]).unwrap(), Origin::None);
    assert_eq!(hash(of("a", &[b"order 1"])), hash(of("a", &[b"order 1"])));
    assert_ne!(hash(of("a", &[b"order 1"])), hash(of("b", &[b"order 1"])));
    assert_ne!(hash(of("a", &[b"order 1"])), hash(of("a", &[b"order 2"])));
    let long = [b'k'; 256];
    for keys in [&[b"" as &[u8]] as &[&[u8]], &[&long], &[b"\xc3\xa4"], &[b"a\tb"], &[b"a", b"a"]] {
        assert_eq!(code(of("a", keys).unwrap_err()), (ErrorKind::Invalid, FaultCode::Invalid), "{keys:?}");
    }
    assert!(of("a", &[&long[1..]]).is_ok());
    let refused = (0..=MAX_BEGUN).find_map(|number| of("a", &[number.to_string().as_bytes()]).err());
    assert_eq!(code(refused.unwrap()), (ErrorKind::Exhausted, FaultCode::RateLimited));
}
