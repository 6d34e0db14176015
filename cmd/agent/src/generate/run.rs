use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::{Bursts, Generator, Pace, Settings};
use crate::{Sink, Tally, render_line};

/// Event times without a rate or a span: so many records a second.
const DEFAULT_EVENT_RATE: f64 = 1_000.0;
/// Records that are due within this are made at once.
const SLACK: Duration = Duration::from_millis(5);
/// How many lines are gathered before they are written.
const PRINT_BYTES: usize = 64 * 1024;

/// How many records are made, how fast, and when they say they happened.
#[derive(Clone, Debug)]
pub struct Plan {
    /// What they look like.
    pub settings: Settings,
    /// Records a second; `None` for as fast as they are taken.
    pub rate: Option<f64>,
    /// When more come.
    pub bursts: Option<Bursts>,
    /// How many; `None` for no bound.
    pub total: Option<u64>,
    /// For how long; `None` for no bound.
    pub duration: Option<Duration>,
    /// Event time of the first, ns UTC.
    pub start_ns: i64,
    /// Event time from the first to the last; needs `total`. `None`: event time runs as the rate says.
    pub span: Option<Duration>,
}

impl Plan {
    /// Says what does not fit together.
    ///
    /// # Errors
    /// A sentence for the person at the command line.
    pub fn check(&self) -> anyhow::Result<()> {
        if self.span.is_some() && self.total.is_none() {
            anyhow::bail!("--span needs --total: how many records are to be spread over it?");
        }
        Ok(())
    }

    fn generator(&self) -> Generator {
        let pace = match (self.span, self.total) {
            (Some(span), Some(total)) => Pace::over(span, total, self.bursts),
            _ => Pace::new(self.rate.unwrap_or(DEFAULT_EVENT_RATE), self.bursts),
        };
        Generator::new(&self.settings, self.start_ns, pace)
    }

    fn schedule(&self) -> Schedule {
        Schedule {
            started: Instant::now(),
            pace: self.rate.map(|rate| Pace::new(rate, self.bursts)),
            duration: self.duration,
        }
    }
}

/// When records are due.
struct Schedule {
    started: Instant,
    pace: Option<Pace>,
    duration: Option<Duration>,
}

impl Schedule {
    /// When the next record is due; `None` when the time is over.
    fn next(&mut self) -> Option<Instant> {
        let after = match &mut self.pace {
            Some(pace) => Duration::from_nanos(pace.next_ns().unsigned_abs()),
            None => self.started.elapsed(),
        };
        self.duration.is_none_or(|duration| after < duration).then(|| self.started + after)
    }
}

/// Makes records and puts them into `sink` at the pace of the plan. Ends with the plan, or when the sink is closed.
pub async fn run(plan: &Plan, sink: &mut Sink, tally: &Arc<Tally>) {
    let mut schedule = plan.schedule();
    let records = plan.generator().zip(1_u64..).take_while(|(_, place)| plan.total.is_none_or(|total| *place <= total));
    if sink.begin("generated").await.is_err() {
        return;
    }
    for (record, place) in records {
        let Some(due) = schedule.next() else { break };
        while due > Instant::now() + SLACK {
            let until = sink.flush_at().map_or(due, |flush_at| flush_at.min(due));
            tokio::time::sleep_until(until).await;
            if sink.flush_at().is_some_and(|flush_at| flush_at <= Instant::now()) && sink.flush().await.is_err() {
                return;
            }
        }
        tally.add_read();
        if sink.push(&record, place).await.is_err() {
            return;
        }
    }
    // A closed sink is reported by the delivery.
    let _ = sink.flush().await;
}

/// Makes records and writes them to `out` as NDJSON, at the pace of the plan; returns how many.
///
/// # Errors
/// What `out` reports; a reader that has gone is not an error.
pub fn print(plan: &Plan, out: &mut dyn Write) -> std::io::Result<u64> {
    let mut schedule = plan.schedule();
    let (mut lines, mut printed) = (Vec::with_capacity(PRINT_BYTES * 2), 0);
    for record in plan.generator() {
        if plan.total.is_some_and(|total| printed >= total) {
            break;
        }
        let Some(due) = schedule.next() else { break };
        let wait = due.saturating_duration_since(Instant::now());
        if (lines.len() >= PRINT_BYTES || wait > SLACK) && !write_lines(out, &mut lines)? {
            return Ok(printed);
        }
        if wait > SLACK {
            std::thread::sleep(wait);
        }
        render_line(&mut lines, &record);
        printed += 1;
    }
    write_lines(out, &mut lines)?;
    Ok(printed)
}

/// Writes and clears `lines`; `false` when nobody reads any more.
fn write_lines(out: &mut dyn Write, lines: &mut Vec<u8>) -> std::io::Result<bool> {
    let written = out.write_all(lines).and_then(|()| out.flush());
    lines.clear();
    match written {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse_line;

    fn plan() -> Plan {
        Plan {
            settings: Settings::default(),
            rate: None,
            bursts: None,
            total: Some(1_000),
            duration: None,
            start_ns: 1_700_000_000_000_000_000,
            span: Some(Duration::from_secs(3_600)),
        }
    }

    #[test]
    fn printed_lines_are_the_records_and_repeat_with_the_seed() {
        let (mut one, mut again) = (Vec::new(), Vec::new());
        assert_eq!(print(&plan(), &mut one).unwrap(), 1_000);
        print(&plan(), &mut again).unwrap();
        assert!(one == again);
        let records: Vec<_> =
            one.split_inclusive(|byte| *byte == b'\n').map(|line| parse_line(line, "", "").unwrap()).collect();
        let expected: Vec<_> = plan().generator().take(1_000).collect();
        assert!(records == expected);
        let last_ns = records.last().unwrap().timestamp_ns - records[0].timestamp_ns;
        assert!((3_590_000_000_000..3_600_000_000_000).contains(&last_ns), "{last_ns}");
    }

    #[tokio::test]
    async fn the_rate_and_the_duration_bound_what_is_made() {
        let plan = Plan {
            rate: Some(2_000.0),
            total: None,
            duration: Some(Duration::from_secs(1)),
            span: None,
            bursts: Some("5:500ms:100ms".parse().unwrap()),
            ..plan()
        };
        let (sender, mut batches) = tokio::sync::mpsc::channel(4);
        let mut sink = Sink::new(sender, 100, 1 << 20, Duration::from_millis(100));
        let tally = Arc::new(Tally::default());
        let drain = tokio::spawn(async move { while batches.recv().await.is_some() {} });
        let started = Instant::now();
        run(&plan, &mut sink, &tally).await;
        drop(sink);
        drain.await.unwrap();
        // Twice 400 ms of the plain rate and 100 ms of five times as much.
        let made = tally.counts().read;
        assert!((3_590..=3_610).contains(&made), "{made}");
        assert!(started.elapsed() > Duration::from_millis(990), "{:?}", started.elapsed());
    }
}
