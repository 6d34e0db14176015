//! All rows. To add one: a file in the folder of its group with `pub async fn run(lab: &mut Lab) -> Result<Outcome>`, its
//! name in the group's file, and a line in [`ROWS`].

mod embedded;

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
};
