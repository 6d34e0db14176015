//! All rows. To add one: a file in the folder of its group with `pub async fn run(lab: &mut Lab) -> Result<Outcome>`, its
//! name in the group's file, and a line in [`ROWS`].

mod clocks;
mod embedded;
mod index;
mod ingestor;
mod kafka;
mod load;
mod people;
mod processor;
mod query;
mod store;
mod wait;

use std::pin::Pin;

use anyhow::Result;

use crate::lab::Lab;
use crate::run::Verdict;

/// What a row found when nothing was wrong.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// How it is known that the fault fired.
    pub fired: String,
    /// What the judge counted.
    pub verdict: Verdict,
    /// What else is worth a word in the table.
    pub note: String,
}

impl Outcome {
    /// Of a row whose fault is proved by `fired`.
    pub fn new(fired: impl Into<String>, verdict: Verdict) -> Self {
        Self { fired: fired.into(), verdict, note: String::new() }
    }

    /// The same with a note.
    #[must_use]
    pub fn noting(mut self, note: impl Into<String>) -> Self {
        self.note = note.into();
        self
    }
}

/// What a row's function returns.
pub type Running<'a> = Pin<Box<dyn Future<Output = Result<Outcome>> + Send + 'a>>;

/// A fault to survive.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// `group/name`.
    pub name: &'static str,
    /// What is done and what must hold, in one line.
    pub claim: &'static str,
    /// Whether it is part of `make test`.
    pub is_short: bool,
    /// Does it. An error, or a panic, is a failure.
    pub run: for<'a> fn(&'a mut Lab) -> Running<'a>,
}

macro_rules! rows {
    ($($name:literal $(($short:ident))? => $run:path: $claim:literal;)*) => {
        &[$(Row { name: $name, claim: $claim, is_short: rows!(@short $($short)?), run: |lab| Box::pin($run(lab)) }),*]
    };
    (@short short) => { true };
    (@short) => { false };
}

/// Every row, in the order in which they run.
pub const ROWS: &[Row] = rows! {
    "embedded/kill" (short) => embedded::kill::run: "kill -9 again and again under load";
    "ingestor/kill" => ingestor::kill::run: "kill -9 of one of two under load";
    "ingestor/lost-reply" => ingestor::lost_reply::run: "the broker has it, the acknowledgement is lost";
    "ingestor/stall" => ingestor::stall::run: "stalled for a minute and resumed";
    "ingestor/resume" => ingestor::resume::run: "one dies for good, its clients go on at another";
    "kafka/down" => kafka::down::run: "away for two minutes";
    "kafka/one-of-three" => kafka::one_of_three::run: "one broker of three dies, then the next";
    "kafka/below-isr" => kafka::below_isr::run: "fewer replicas in sync than asked for: no acknowledgement";
    "kafka/recreated" => kafka::recreated::run: "the topic is made anew: halt, never take new for old";
    "kafka/added" => kafka::added::run: "partitions are added under load";
    "kafka/retention" => kafka::retention::run: "retention ran past a stopped processor: halt, then a gap by decision";
    "kafka/truncated" => kafka::truncated::run: "the log comes back shorter: halt, go on with the right one";
    "processor/steps" => processor::steps::run: "kill -9 at every step";
    "processor/zombie" => processor::zombie::run: "wakes up while its successor flushes, or after a fold: it loses";
    "processor/storm" => processor::storm::run: "processors join and leave every second or two";
    "processor/cut-kafka" => processor::cut_kafka::run: "cut from Kafka only";
    "processor/cut-store" => processor::cut_store::run: "cut from the store only: holds its cap, pauses, does not grow";
    "embedded/torn" (short) => embedded::torn::run: "a torn tail of the local log is cut";
    "embedded/flipped" (short) => embedded::flipped::run: "a flipped bit in the local log is refused, file named";
    "embedded/full" (short) => embedded::full::run: "the disk is full: ingest is refused, reads go on";
    "embedded/read-only" (short) => embedded::read_only::run: "a read-only folder is refused";
    "embedded/second" (short) => embedded::second::run: "a second process on the same folder is refused";
    "clocks/stepping" (short) => clocks::stepping::run: "the clock steps by hours, to and fro";
    "clocks/event-times" => clocks::event_times::run: "event times from 1970 to 2262";
    "load/slow" => load::slow::run: "slow readers and senders";
    "load/descriptors" => load::descriptors::run: "256 file descriptors";
    "load/memory" => load::memory::run: "512 MiB of memory";
    "people/broken-configuration" => people::broken_configuration::run: "a broken configuration at the restart";
    "store/lost-reply" (short) => store::lost_reply::run: "PUT applied, reply lost";
    "store/conflict" => store::conflict::run: "409 with nothing stored";
    "store/errors" => store::errors::run: "30 % of 500 and 503";
    "store/late" => store::late::run: "PUT that lands later";
    "store/truncated" => store::bodies::truncated: "bodies of GET cut short";
    "store/flipped" (short) => store::bodies::flipped: "bodies of GET with a flipped bit";
    "store/killed" => store::killed::run: "the store killed";
    "store/full" => store::full::run: "the store full";
    "store/unconditional" (short) => store::unconditional::run: "a store that ignores the condition";
    "index/flushall" => index::flushall::run: "FLUSHALL under queries";
    "index/rolled-back" (short) => index::rolled_back::run: "a failover that loses the last seconds";
    "index/stalled" => index::stalled::run: "Redis stalled";
    "index/cut" (short) => index::cut::run: "connections cut in mid-answer";
    "index/full" => index::full::run: "Redis out of memory, no eviction";
    "query/killed" => query::killed::run: "a query service killed while a client pages";
    "query/owner-dead" => query::owner_dead::run: "the owner of the tail dead";
    "query/owner-stale" (short) => query::owner_stale::run: "a stale owner answers";
    "people/rolling" => people::rolling::run: "everything restarted in turn";
};
