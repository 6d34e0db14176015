use std::fmt;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use loglake_model::{ErrorKind, RecordId, TenantId, TenantName, TimeRange};
use sha2::Sha256;

use crate::order::{Direction, Position};
use crate::query::Fingerprint;

/// How long a cursor lives, ns.
pub(crate) const LIFE_NS: i64 = 3_600_000_000_000;

const VERSION: u8 = 1;
const MAC_BYTES: usize = 32;
/// Version, length of the tenant, fingerprint, range, direction, last position, expiry.
const FIXED_BYTES: usize = 1 + 1 + 16 + 16 + 1 + 28 + 8;
/// The longest text that can be one.
const MAX_TEXT_BYTES: usize = (FIXED_BYTES + TenantName::MAX_BYTES + MAC_BYTES) * 4 / 3 + 4;

/// Where a page ended, and of what query: all that the next page needs. There is no other state.
///
/// Written as unpadded base64url of, little-endian: version (1 byte), length and text of the tenant, fingerprint (16), start and
/// end of the range (8 each), direction (1: forward, 0: backward), timestamp (8) and id (4, 4, 8, 4) of the last row,
/// expiry (8, ns), HMAC-SHA-256 of all before (32).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cursor {
    pub(crate) tenant: TenantName,
    pub(crate) fingerprint: Fingerprint,
    pub(crate) range: TimeRange,
    pub(crate) direction: Direction,
    pub(crate) last: Position,
    pub(crate) expires_ns: i64,
}

/// Why a cursor is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InvalidCursor {
    #[error("this is no cursor of ours; send it exactly as `next_cursor` gave it")]
    Altered,
    #[error("the cursor is of another query: repeat the filters and the direction of the first page")]
    OtherQuery,
    #[error("the cursor is another tenant's")]
    OtherTenant,
    #[error("the cursor has expired, they live for an hour; start the query anew")]
    Expired,
}

impl InvalidCursor {
    pub(crate) fn kind(self) -> ErrorKind {
        match self {
            Self::Altered | Self::OtherQuery => ErrorKind::Invalid,
            Self::OtherTenant => ErrorKind::Forbidden,
            Self::Expired => ErrorKind::Expired,
        }
    }
}

/// Signs cursors and knows its own.
#[derive(Clone)]
pub(crate) struct CursorKey([u8; 32]);

impl fmt::Debug for CursorKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CursorKey(hidden)")
    }
}

impl CursorKey {
    pub(crate) fn new(key: [u8; 32]) -> Self {
        Self(key)
    }

    fn mac(&self, said: &[u8]) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("HMAC takes a key of any length");
        mac.update(said);
        mac
    }

    /// The text of `cursor`.
    pub(crate) fn sign(&self, cursor: &Cursor) -> String {
        let tenant = cursor.tenant.as_str().as_bytes();
        let (timestamp_ns, id) = cursor.last;
        let mut out = Vec::with_capacity(FIXED_BYTES + tenant.len() + MAC_BYTES);
        // A tenant's name has at most 64 bytes.
        out.extend_from_slice(&[VERSION, tenant.len() as u8]);
        out.extend_from_slice(tenant);
        out.extend_from_slice(&cursor.fingerprint);
        out.extend_from_slice(&cursor.range.start_ns().to_le_bytes());
        out.extend_from_slice(&cursor.range.end_ns().to_le_bytes());
        out.push(u8::from(cursor.direction.is_forward()));
        out.extend_from_slice(&timestamp_ns.to_le_bytes());
        out.extend_from_slice(&id.incarnation.to_le_bytes());
        out.extend_from_slice(&id.partition.to_le_bytes());
        out.extend_from_slice(&id.offset.to_le_bytes());
        out.extend_from_slice(&id.index.to_le_bytes());
        out.extend_from_slice(&cursor.expires_ns.to_le_bytes());
        self.seal(out)
    }

    /// The text of what is `said`, signed.
    pub(crate) fn seal(&self, mut said: Vec<u8>) -> String {
        let mac = self.mac(&said).finalize().into_bytes();
        said.extend_from_slice(&mac);
        BASE64_URL_SAFE_NO_PAD.encode(said)
    }

    /// Reads a text that [`CursorKey::sign`] made for `tenant` and the query of `fingerprint`, not expired at `now_ns`.
    pub(crate) fn open(
        &self,
        text: &str,
        tenant: &TenantId,
        fingerprint: &Fingerprint,
        now_ns: i64,
    ) -> Result<Cursor, InvalidCursor> {
        let cursor = self.read(text).ok_or(InvalidCursor::Altered)?;
        if cursor.tenant != *tenant.name() {
            return Err(InvalidCursor::OtherTenant);
        }
        if now_ns >= cursor.expires_ns {
            return Err(InvalidCursor::Expired);
        }
        if cursor.fingerprint != *fingerprint {
            return Err(InvalidCursor::OtherQuery);
        }
        Ok(cursor)
    }

    pub(crate) fn read(&self, text: &str) -> Option<Cursor> {
        if text.len() > MAX_TEXT_BYTES {
            return None;
        }
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).ok()?;
        let (said, mac) = bytes.split_last_chunk::<MAC_BYTES>()?;
        // Compares in constant time.
        self.mac(said).verify_slice(mac).ok()?;
        let mut bytes = Bytes(said);
        if bytes.take::<1>()? != [VERSION] {
            return None;
        }
        let [tenant_len] = bytes.take::<1>()?;
        let (tenant, rest) = bytes.0.split_at_checked(usize::from(tenant_len))?;
        bytes.0 = rest;
        let tenant = TenantName::parse(std::str::from_utf8(tenant).ok()?).ok()?;
        let fingerprint = bytes.take()?;
        let range = TimeRange::new(bytes.i64()?, bytes.i64()?)?;
        let direction = match bytes.take::<1>()? {
            [0] => Direction::Backward,
            [1] => Direction::Forward,
            _ => return None,
        };
        let timestamp_ns = bytes.i64()?;
        let id = RecordId {
            incarnation: u32::from_le_bytes(bytes.take()?),
            partition: u32::from_le_bytes(bytes.take()?),
            offset: u64::from_le_bytes(bytes.take()?),
            index: u32::from_le_bytes(bytes.take()?),
        };
        let expires_ns = bytes.i64()?;
        bytes.0.is_empty().then_some(Cursor {
            tenant,
            fingerprint,
            range,
            direction,
            last: (timestamp_ns, id),
            expires_ns,
        })
    }
}

struct Bytes<'a>(&'a [u8]);

impl Bytes<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*taken)
    }

    fn i64(&mut self) -> Option<i64> {
        self.take().map(i64::from_le_bytes)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[expect(clippy::disallowed_methods, reason = "test")]
    fn tenant(name: &str) -> TenantId {
        TenantId::from_credential(TenantName::parse(name).unwrap())
    }

    fn key() -> CursorKey {
        CursorKey::new([7; 32])
    }

    fn cursor() -> impl Strategy<Value = Cursor> {
        let id = any::<(u32, u32, u64, u32)>().prop_map(|(incarnation, partition, offset, index)| RecordId {
            incarnation,
            partition,
            offset,
            index,
        });
        (
            "[a-z0-9][a-z0-9_-]{0,63}",
            any::<[u8; 16]>(),
            any::<(i64, i64)>(),
            any::<bool>(),
            (any::<i64>(), id),
            1..i64::MAX,
        )
            .prop_map(|(tenant, fingerprint, (a, b), is_forward, last, expires_ns)| Cursor {
                tenant: TenantName::parse(&tenant).unwrap(),
                fingerprint,
                range: TimeRange::new(a.min(b), a.max(b)).unwrap(),
                direction: if is_forward { Direction::Forward } else { Direction::Backward },
                last,
                expires_ns,
            })
    }

    proptest! {
        #[test]
        fn what_was_signed_comes_back(cursor in cursor()) {
            let text = key().sign(&cursor);
            prop_assert!(text.len() <= MAX_TEXT_BYTES);
            let opened = key().open(&text, &tenant(cursor.tenant.as_str()), &cursor.fingerprint, cursor.expires_ns - 1);
            prop_assert_eq!(opened, Ok(cursor));
        }

        #[test]
        fn whatever_was_not_signed_is_refused(cursor in cursor(), at in any::<prop::sample::Index>(), byte in b'A'..=b'z', text in ".{0,400}") {
            let mut altered = key().sign(&cursor).into_bytes();
            let at = at.index(altered.len());
            prop_assume!(altered[at] != byte);
            altered[at] = byte;
            let altered = String::from_utf8(altered).unwrap();
            prop_assert_eq!(key().read(&altered), None);
            prop_assert_eq!(key().read(&text), None);
            prop_assert_eq!(CursorKey::new([8; 32]).read(&key().sign(&cursor)), None);
        }
    }

    #[test]
    fn each_wrong_use_has_its_own_answer() {
        let cursor = Cursor {
            tenant: TenantName::parse("acme").unwrap(),
            fingerprint: [1; 16],
            range: TimeRange::ALL,
            direction: Direction::Backward,
            last: (5, RecordId::MIN),
            expires_ns: 100,
        };
        let text = key().sign(&cursor);
        let open =
            |tenant_name: &str, fingerprint, now_ns| key().open(&text, &tenant(tenant_name), &fingerprint, now_ns);
        assert!(open("acme", [1; 16], 99).is_ok());
        assert_eq!(open("acme", [1; 16], 100), Err(InvalidCursor::Expired));
        assert_eq!(open("acme", [2; 16], 99), Err(InvalidCursor::OtherQuery));
        assert_eq!(open("other", [1; 16], 99), Err(InvalidCursor::OtherTenant));
        assert_eq!(key().read(&format!("{text}A")), None);
    }
}
