//! Where a chunk's entry stands among all of a partition: sorted so that one tenant's, one service's and one range of
//! time's entries are next to each other.
//!
//! ```text
//! <tenant> 01 <service> 01 <window start, 8 hex digits> <object key>
//! ```
//! Tenant and service have no control characters, so the byte 01 ends them for certain: no name reads as the beginning of
//! another one. The window's start is in minutes since the epoch plus 2^28, so that earlier ones are smaller numbers too.

use loglake_model::{ChunkMeta, Service, TenantName, TimeRange};

use crate::Error;

/// Ends the tenant and the service.
pub(crate) const END: u8 = 1;
/// Sorts right after every place that continues with [`END`].
pub(crate) const PAST_END: u8 = 2;

const MINUTE_NS: i64 = 60_000_000_000;
const DAY_MINUTES: i64 = 24 * 60;
const SHIFT: i64 = 1 << 28;

/// What all places of `tenant` begin with.
pub(crate) fn of_tenant(tenant: &TenantName) -> Vec<u8> {
    let mut place = tenant.as_str().as_bytes().to_vec();
    place.push(END);
    place
}

/// What all places of `service` of `tenant` begin with.
pub(crate) fn of_service(tenant: &TenantName, service: &Service) -> Vec<u8> {
    let mut place = of_tenant(tenant);
    place.extend_from_slice(service.as_str().as_bytes());
    place.push(END);
    place
}

/// The place of `chunk`.
///
/// # Errors
/// `Corrupt` when its numbers contradict each other, so that a query by time would not find it.
pub(crate) fn of(chunk: &ChunkMeta) -> Result<Vec<u8>, Error> {
    let corrupt = |reason: &str| Err(Error::Corrupt { key: chunk.key.clone(), reason: reason.to_owned() });
    if !is_visible(&chunk.key) {
        return corrupt("the object's key has characters that no key has");
    }
    let window = chunk.window;
    let whole_minutes = window.start_ns % MINUTE_NS == 0 && window.length_ns % MINUTE_NS == 0;
    if !whole_minutes || !(1..=DAY_MINUTES).contains(&(window.length_ns / MINUTE_NS)) {
        return corrupt("the window is not of whole minutes, up to a day");
    }
    if chunk.min_ns > chunk.max_ns || !window.contains(chunk.min_ns) || !window.contains(chunk.max_ns) {
        return corrupt("its timestamps are not in its window");
    }
    let mut place = of_service(&chunk.tenant, &chunk.service);
    place.extend_from_slice(minute(window.start_ns.div_euclid(MINUTE_NS) + SHIFT).as_bytes());
    place.extend_from_slice(chunk.key.as_bytes());
    Ok(place)
}

/// Whether `key` is visible ASCII.
fn is_visible(key: &str) -> bool {
    !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_graphic())
}

/// The length of `chunk`'s window, in minutes.
pub(crate) fn window_minutes(chunk: &ChunkMeta) -> i64 {
    chunk.window.length_ns / MINUTE_NS
}

/// The first and the last minute of `range` (both included), shifted as in a place. A chunk that overlaps it begins at most
/// the longest window before the first, and not after the last.
pub(crate) fn minutes(range: TimeRange) -> (i64, i64) {
    let minute = |ns: i64| ns.div_euclid(MINUTE_NS) + SHIFT;
    (minute(range.start_ns()), minute(range.end_ns().saturating_sub(1)))
}

/// The window starts, `[from, to)` as they stand in a place, that chunks overlapping `range` can have when no window is
/// longer than `longest_minutes`.
pub(crate) fn starts(range: TimeRange, longest_minutes: i64) -> (String, String) {
    let (first, last) = minutes(range);
    (minute(first.saturating_sub(longest_minutes)), minute(last.saturating_add(1)))
}

fn minute(shifted: i64) -> String {
    format!("{:08x}", shifted.clamp(0, 0xffff_ffff))
}

/// The service in a place below `tenant_place`; `None` when it is none.
pub(crate) fn service_part<'a>(place: &'a [u8], tenant_place: &[u8]) -> Option<&'a [u8]> {
    let rest = place.strip_prefix(tenant_place)?;
    rest.iter().position(|byte| *byte == END).map(|end| &rest[..end])
}

/// The stored form of an entry.
pub(crate) fn encode(chunk: &ChunkMeta) -> Result<Vec<u8>, Error> {
    serde_json::to_vec(chunk).map_err(|error| Error::Corrupt { key: chunk.key.clone(), reason: error.to_string() })
}

/// Takes a member apart that holds a place, [`END`] and an entry; `None` when it has no entry.
#[cfg(any(feature = "redis", feature = "fuzzing"))]
pub(crate) fn split_member(member: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut marks = member.iter().enumerate().filter(|(_, byte)| **byte == END).map(|(at, _)| at);
    let at = marks.nth(2)?;
    Some((&member[..at], &member[at + 1..]))
}

/// Reads the stored form of the entry at `place`, found below `tenant`'s.
///
/// # Errors
/// `Corrupt` when it is none, belongs at another place, or says that it is another tenant's.
pub(crate) fn decode(place: &[u8], stored: &[u8], tenant: &TenantName) -> Result<ChunkMeta, Error> {
    let corrupt = |reason: String| Error::Corrupt { key: place.escape_ascii().to_string(), reason };
    let chunk: ChunkMeta = serde_json::from_slice(stored).map_err(|error| corrupt(error.to_string()))?;
    if chunk.tenant != *tenant {
        return Err(corrupt("it says that it is another tenant's".to_owned()));
    }
    if of(&chunk)? != place {
        return Err(corrupt("it belongs elsewhere".to_owned()));
    }
    Ok(chunk)
}

/// Reads the stored form of the entry at `place`, whoever's it is.
///
/// # Errors
/// As [`decode`].
pub(crate) fn decode_any(place: &[u8], stored: &[u8]) -> Result<ChunkMeta, Error> {
    let end = place.iter().position(|byte| *byte == END).unwrap_or(0);
    let tenant = std::str::from_utf8(&place[..end]).ok().and_then(|name| TenantName::parse(name).ok());
    let tenant = tenant.ok_or_else(|| Error::Corrupt {
        key: place.escape_ascii().to_string(),
        reason: "it names no tenant".to_owned(),
    })?;
    decode(place, stored, &tenant)
}

#[cfg(test)]
mod tests {
    use loglake_model::Window;
    use proptest::prelude::*;

    use super::*;

    fn chunk(tenant: &str, service: &str, min_ns: i64, max_ns: i64, length_minutes: i64) -> ChunkMeta {
        ChunkMeta {
            key: "k".to_owned(),
            length: 1,
            footer_offset: 0,
            checksum: 0,
            tenant: TenantName::parse(tenant).unwrap(),
            service: Service::parse(service).unwrap(),
            window: Window::holding(min_ns, length_minutes * MINUTE_NS),
            min_ns,
            max_ns,
            records: 1,
            bytes: 1,
            levels: Default::default(),
            lowest_offset: 0,
            highest_offset: 0,
        }
    }

    #[test]
    fn entries_are_read_only_where_they_belong() {
        let chunk = chunk("a", "s", 5, 7, 60);
        let (place, stored) = (of(&chunk).unwrap(), encode(&chunk).unwrap());
        assert_eq!(decode(&place, &stored, &chunk.tenant).unwrap(), chunk);
        assert!(decode(&place, &stored, &TenantName::parse("b").unwrap()).is_err());
        assert!(decode(&[&place[..], b"x"].concat(), &stored, &chunk.tenant).is_err());
        assert!(decode(&place, &stored[1..], &chunk.tenant).is_err());
    }

    #[test]
    fn no_name_reads_as_the_beginning_of_another() {
        let (a, ab) = (TenantName::parse("a").unwrap(), TenantName::parse("ab").unwrap());
        assert!(!of_tenant(&ab).starts_with(&of_tenant(&a)));
        let place = of(&chunk("a", "ab", 0, 1, 60)).unwrap();
        assert!(!place.starts_with(&of_service(&a, &Service::parse("a").unwrap())));
        assert_eq!(service_part(&place, &of_tenant(&a)), Some(&b"ab"[..]));
    }

    #[test]
    fn chunks_that_no_query_would_find_are_refused() {
        let good = chunk("a", "s", 5, 7, 60);
        assert!(of(&good).is_ok());
        let bad = [
            ChunkMeta { min_ns: -1, ..good.clone() },
            ChunkMeta { max_ns: 3_600_000_000_000, ..good.clone() },
            ChunkMeta { min_ns: 8, ..good.clone() },
            ChunkMeta { window: Window { start_ns: 0, length_ns: 0 }, ..good.clone() },
            ChunkMeta { window: Window { start_ns: 1, length_ns: MINUTE_NS }, ..good.clone() },
            ChunkMeta { window: Window { start_ns: 0, length_ns: 2 * DAY_MINUTES * MINUTE_NS }, ..good.clone() },
            ChunkMeta { key: "a\u{1}".to_owned(), ..good.clone() },
        ];
        for bad in bad {
            assert!(of(&bad).is_err(), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn the_starts_of_a_range_miss_no_chunk_that_overlaps(
            at in 0..i64::MAX - 1, spread in 0..90_000_000_000_000_i64, length in prop::sample::select(vec![1, 60, 1440]),
            from in any::<i64>(), near in -100_000_000_000_000..100_000_000_000_000_i64, width in 0..i64::MAX,
        ) {
            let window = Window::holding(at, length * MINUTE_NS);
            let chunk = chunk("t", "s", at, at.saturating_add(spread).min(window.end_ns() - 1), length);
            let place = of(&chunk).unwrap();
            let start = String::from_utf8(place[4..12].to_vec()).unwrap();
            for from in [from, at.saturating_add(near)] {
                let range = TimeRange::new(from, from.saturating_add(width)).unwrap();
                let (low, high) = starts(range, length);
                prop_assert!(!chunk.overlaps(range) || low <= start && start < high, "{low} {start} {high}");
            }
        }
    }
}
