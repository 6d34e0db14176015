use loglake_model::{Level, Service, line};

/// The most bytes of a message: below the 1 MiB that brokers take unless told otherwise, with room for their own headers.
pub const MAX_BYTES: usize = 900 * 1024;
/// A message ends when its records lie in so many minutes, counted for each service. Whatever the window of chunks is, it
/// becomes at most so many chunks, so that the entry of the chain which names them stays under 4 MiB.
pub const MAX_MINUTES: usize = 3_000;
/// The longest trace id, in bytes.
pub const MAX_TRACE_ID_BYTES: usize = 256;
/// The format version that is written; the only one that is read so far.
pub const VERSION: u8 = 1;

pub(crate) const MAGIC: [u8; 4] = *b"LLB1";
/// Everything before the tenant's name.
pub(crate) const HEAD_BYTES: usize = 24;
/// Everything of a group before its service.
pub(crate) const GROUP_HEAD_BYTES: usize = 9;
/// Everything of a record before its trace id.
pub(crate) const RECORD_HEAD_BYTES: usize = 15;
/// The checksum at the end.
pub(crate) const CHECKSUM_BYTES: usize = 4;

/// What follows timestamp, level and service in a canonical line.
const MESSAGE_KEY: &[u8] = b",\"message\":\"";

/// Checks that `bytes` begin and end as the canonical line of such a record does, are UTF-8, and stay one line.
/// `scratch` is overwritten.
pub(crate) fn check_line(
    scratch: &mut Vec<u8>,
    bytes: &[u8],
    timestamp_ns: i64,
    level: Option<Level>,
    service: &Service,
) -> Result<(), &'static str> {
    // The last nanosecond is the open end of all time ranges: no query could return it.
    if !(0..i64::MAX).contains(&timestamp_ns) {
        return Err("its timestamp is before 1970 or past 2262");
    }
    scratch.clear();
    line::begin(scratch, timestamp_ns, level, service.as_str());
    scratch.extend_from_slice(MESSAGE_KEY);
    if !bytes.starts_with(scratch) {
        return Err("its line does not begin with its timestamp, level and service in canonical form");
    }
    if !bytes.ends_with(b"\"}") && !bytes.ends_with(b"]}") && !bytes.ends_with(b"}}") {
        return Err("its line does not end as a canonical line does");
    }
    if memchr::memchr(b'\n', bytes).is_some() {
        return Err("its line has a line feed");
    }
    if std::str::from_utf8(bytes).is_err() {
        return Err("its line is not UTF-8");
    }
    Ok(())
}
