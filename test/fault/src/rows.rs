//! All rows. To add one: a file in the folder of its group with `pub async fn run(lab: &mut Lab) -> Result<Outcome>`, its
//! name in the group's file, and a line in [`ROWS`].

mod embedded;
mod ingestor;
mod kafka;
mod processor;
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
};
