use std::time::Duration;

use loglake_api::ingest::v1::LogRecord;
use loglake_model::{Clock, Level};

use crate::first_level;

/// Gives the records of text lines their event time.
#[derive(Debug)]
pub(crate) struct Timeline<'a> {
    clock: &'a dyn Clock,
    /// Event time of the next record where the caller gave a start; else the last one given out.
    at_ns: i64,
    step_ns: Option<i64>,
}

impl<'a> Timeline<'a> {
    /// With a `start_ns` or a `step`, the n-th record gets start + n x step (default: now, 1 ms). With neither, each gets the
    /// time at which it was read, at least 1 ns after the one before, so that order is kept.
    pub(crate) fn new(clock: &'a dyn Clock, start_ns: Option<i64>, step: Option<Duration>) -> Self {
        if start_ns.is_none() && step.is_none() {
            return Self { clock, at_ns: 0, step_ns: None };
        }
        let step_ns = step.map_or(1_000_000, |step| i64::try_from(step.as_nanos()).unwrap_or(i64::MAX));
        Self { clock, at_ns: start_ns.unwrap_or_else(|| clock.now_ns()), step_ns: Some(step_ns) }
    }

    /// The event time of the next record, ns UTC.
    pub(crate) fn next_ns(&mut self) -> i64 {
        match self.step_ns {
            Some(step_ns) => {
                let now_ns = self.at_ns;
                self.at_ns = self.at_ns.saturating_add(step_ns);
                now_ns
            }
            None => {
                self.at_ns = self.clock.now_ns().max(self.at_ns.saturating_add(1));
                self.at_ns
            }
        }
    }
}

/// Makes a record of a line of text: the line is the message, its first level word the level.
pub(crate) fn record_of(line: &str, service: &str, host: &str, timestamp_ns: i64) -> LogRecord {
    LogRecord {
        timestamp_ns: timestamp_ns.unsigned_abs(),
        level: first_level(line).map_or(0, level_number),
        service: service.to_owned(),
        message: line.to_owned(),
        host: host.to_owned(),
        ..LogRecord::default()
    }
}

/// A level's number in the Protobuf enum: the same as in the model.
pub(crate) fn level_number(level: Level) -> i32 {
    i32::from(level as u8)
}

#[cfg(test)]
mod tests {
    use loglake_model::ManualClock;

    use super::*;

    #[test]
    fn times_follow_start_and_step_or_the_clock() {
        let clock = ManualClock::at(5_000);
        let mut given = Timeline::new(&clock, Some(7), Some(Duration::from_nanos(3)));
        assert_eq!([given.next_ns(), given.next_ns(), given.next_ns()], [7, 10, 13]);
        let mut from_now = Timeline::new(&clock, None, Some(Duration::from_nanos(1)));
        assert_eq!([from_now.next_ns(), from_now.next_ns()], [5_000, 5_001]);
        let mut now = Timeline::new(&clock, None, None);
        assert_eq!([now.next_ns(), now.next_ns()], [5_000, 5_001]);
        clock.advance(100);
        assert_eq!(now.next_ns(), 5_100);
    }

    #[test]
    fn a_line_becomes_a_record_with_its_level() {
        let record = record_of("[error] x", "Apache", "h", 9);
        assert_eq!((record.level, record.timestamp_ns, record.message.as_str()), (5, 9, "[error] x"));
        assert_eq!((record.service.as_str(), record.host.as_str()), ("Apache", "h"));
        assert_eq!(level_number(Level::Error), i32::from(loglake_api::ingest::v1::Level::Error));
    }
}
