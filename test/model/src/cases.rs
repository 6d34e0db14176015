//! Every configuration that is checked: those that must hold, and those that must fail.

mod chain;
mod folding;
mod lineage;
mod routing;
mod sessions;

use crate::chain::{self as chain_model, Chain};
use crate::folding::{self as folding_model, Folding};
use crate::lineage::{self as lineage_model, Lineage};
use crate::routing::{self as routing_model, Routing};
use crate::sessions::{self as session_model, Sessions};
use crate::verdict::{Verdict, check, progress};

/// What a case explores.
#[derive(Clone, Copy, Debug)]
pub enum Subject {
    /// One partition's chain.
    Chain(chain_model::Config),
    /// The same, with a look whether everything can still be done.
    ChainProgress(chain_model::Config),
    /// One client session in one partition.
    Sessions(session_model::Config),
    /// The same, with a look whether everything can still be done.
    SessionsProgress(session_model::Config),
    /// One partition's broker.
    Lineage(lineage_model::Config),
    /// The same, with a look whether everything can still be done.
    LineageProgress(lineage_model::Config),
    /// Checkpoints, segments and sweeping.
    Folding(folding_model::Config),
    /// The same, with a look whether everything can still be done.
    FoldingProgress(folding_model::Config),
    /// One stream over a growing topic.
    Routing(routing_model::Config),
}

/// What must come out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// Every property holds in every state.
    Holds,
    /// This property does not: a rule was left out.
    Breaks(&'static str),
}

/// One configuration.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    /// What it is called.
    pub name: &'static str,
    /// What is in it; for a naive one, what it does.
    pub about: &'static str,
    /// Whether it is small enough for every run of the tests.
    pub is_quick: bool,
    /// What it explores.
    pub subject: Subject,
    /// What must come out.
    pub expected: Expected,
}

impl Case {
    /// Explores it, giving up at about `max` transitions (for progress: states).
    #[must_use]
    pub fn run(&self, max: usize) -> Verdict {
        let sought = match self.expected {
            Expected::Holds => None,
            Expected::Breaks(property) => Some(property),
        };
        match self.subject {
            Subject::Chain(config) => check(Chain(config), sought, max),
            Subject::ChainProgress(config) => {
                let model = Chain(config);
                progress(&model, chain_model::PROGRESS, |state| model.is_goal(state), max)
            }
            Subject::Sessions(config) => check(Sessions(config), sought, max),
            Subject::SessionsProgress(config) => {
                let model = Sessions(config);
                progress(&model, session_model::PROGRESS, |state| model.is_goal(state), max)
            }
            Subject::Lineage(config) => check(Lineage(config), sought, max),
            Subject::LineageProgress(config) => {
                let model = Lineage(config);
                progress(&model, lineage_model::PROGRESS, |state| model.is_goal(state), max)
            }
            Subject::Folding(config) => check(Folding(config), sought, max),
            Subject::FoldingProgress(config) => {
                let model = Folding(config);
                progress(&model, folding_model::PROGRESS, |state| model.is_goal(state), max)
            }
            Subject::Routing(config) => check(Routing(config), sought, max),
        }
    }

    /// Whether `verdict` is what must come out.
    #[must_use]
    pub fn is_met_by(&self, verdict: &Verdict) -> bool {
        match self.expected {
            Expected::Holds => verdict.is_exhausted && verdict.violations.is_empty(),
            Expected::Breaks(property) => verdict.violations.iter().any(|violation| violation.property == property),
        }
    }
}

/// All cases: first those that must hold, then the naive ones.
#[must_use]
pub fn all() -> Vec<Case> {
    let chains = [chain::HOLDING, chain::PROGRESSING, folding::HOLDING].concat();
    let holding = [&chains, sessions::HOLDING, lineage::HOLDING, routing::HOLDING];
    let naive = [chain::NAIVE, folding::NAIVE, sessions::NAIVE, lineage::NAIVE, routing::NAIVE];
    [holding.concat(), naive.concat()].concat()
}
