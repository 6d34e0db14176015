use loglake_model::{Level, Service, Timestamp, line};

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
/// What is wrong with a line of another record.
pub(crate) const NOT_ITS_LINE: &str = "its line does not begin with its timestamp, level and service in canonical form";

/// What stands in each line of `service` after timestamp and level, up to the text of the message.
pub(crate) fn service_part(service: &Service) -> Vec<u8> {
    let mut part = Vec::new();
    line::service_part_into(&mut part, service.as_str());
    part.extend_from_slice(MESSAGE_KEY);
    part
}

/// Checks that a record may have this time. The last nanosecond is the open end of all time ranges: no query could return it.
pub(crate) fn check_timestamp(timestamp_ns: i64) -> Result<(), &'static str> {
    let is_possible = (0..i64::MAX).contains(&timestamp_ns);
    if is_possible { Ok(()) } else { Err("its timestamp is before 1970 or past 2262") }
}

/// Checks the line of a record with the time `timestamp`, written out, and the level and [`service_part`] it has.
pub(crate) fn check_line(
    line: &[u8],
    timestamp: &[u8; Timestamp::TEXT_BYTES],
    level: Option<Level>,
    service_part: &[u8],
) -> Result<(), &'static str> {
    let rest = line
        .strip_prefix(line::HEAD)
        .and_then(|rest| rest.strip_prefix(timestamp))
        .and_then(|rest| rest.strip_prefix(line::level_part(level)))
        .and_then(|rest| rest.strip_prefix(service_part));
    check_rest(rest.ok_or(NOT_ITS_LINE)?)
}

/// Checks that a line ends as a canonical line does, is UTF-8, and stays one line; `rest` is all from the text of its message on.
pub(crate) fn check_rest(rest: &[u8]) -> Result<(), &'static str> {
    if !rest.ends_with(b"\"}") && !rest.ends_with(b"]}") && !rest.ends_with(b"}}") {
        return Err("its line does not end as a canonical line does");
    }
    // All bytes at once, without leaving early: nearly every line is one line of ASCII.
    let (has_feed, all) = rest.iter().fold((false, 0), |(feed, all), &byte| (feed | (byte == b'\n'), all | byte));
    if has_feed {
        return Err("its line has a line feed");
    }
    if !all.is_ascii() && std::str::from_utf8(rest).is_err() {
        return Err("its line is not UTF-8");
    }
    Ok(())
}
