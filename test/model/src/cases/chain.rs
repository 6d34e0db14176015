mod naive;

pub(super) use naive::NAIVE;

use super::{Case, Expected, Subject};
use crate::chain::{Config, Reading, Work};

const fn holds(name: &'static str, is_quick: bool, about: &'static str, config: Config) -> Case {
    Case { name, about, is_quick, subject: Subject::Chain(config), expected: Expected::Holds }
}

const fn progresses(name: &'static str, is_quick: bool, about: &'static str, config: Config) -> Case {
    Case { name, about, is_quick, subject: Subject::ChainProgress(config), expected: Expected::Holds }
}

const SMALL: Config = Config::SMALL;
const ONE: Config = Config { processors: 1, ..SMALL };
const MERGE: &[Work] = &[Work::Merge];
const DELETE: &[Work] = &[Work::Delete];
const BOTH: &[Work] = &[Work::Merge, Work::Delete];
const GAPS: Config = Config { retentions: 1, gives_up: true, ..SMALL };

pub(super) const HOLDING: &[Case] = &[
    holds(
        "writers",
        true,
        "two processors, three records, folding, a late create; no index",
        Config { records: 3, appended: 3, late: 1, ..SMALL },
    ),
    holds(
        "writers-index",
        false,
        "two processors, two foldings, a late create, a death, collector, repair",
        Config { folds: 2, deaths: 1, late: 1, repairs: 1, collecting: Reading::Whole, ..SMALL },
    ),
    holds(
        "writers-index-small",
        true,
        "two processors, a folding, a death, collector, repair",
        Config { deaths: 1, repairs: 1, collecting: Reading::Whole, ..SMALL },
    ),
    holds(
        "jobs",
        false,
        "one processor, a merge and a deletion, a late create, folding, collector",
        Config { seqs: 4, jobs: BOTH, late: 1, collecting: Reading::Whole, ..ONE },
    ),
    holds(
        "jobs-small",
        true,
        "one processor, a merge and a deletion, folding, collector",
        Config { seqs: 4, jobs: BOTH, collecting: Reading::Whole, ..ONE },
    ),
    holds(
        "zombies-merge",
        false,
        "two processors, a merge, folding, a late create, collector",
        Config { jobs: MERGE, late: 1, collecting: Reading::Whole, ..SMALL },
    ),
    holds(
        "zombies-delete",
        true,
        "a flush and a deletion lose to each other and claim again",
        Config { jobs: DELETE, collecting: Reading::Whole, ..SMALL },
    ),
    holds(
        "index",
        false,
        "two losses of the index, two repairs, a deletion, folding, a death, collector",
        Config { jobs: DELETE, deaths: 1, losses: 2, repairs: 2, collecting: Reading::Whole, ..ONE },
    ),
    holds(
        "index-small",
        true,
        "a loss of the index, a repair, a deletion, folding, collector",
        Config { jobs: DELETE, losses: 1, repairs: 1, collecting: Reading::Whole, ..ONE },
    ),
    holds(
        "reader",
        true,
        "a query, two processors, a deletion, collector, repair, a loss of the index",
        Config {
            records: 1,
            appended: 1,
            jobs: DELETE,
            losses: 1,
            repairs: 1,
            queries: 1,
            collecting: Reading::Whole,
            ..SMALL
        },
    ),
    holds(
        "reader-two-records",
        false,
        "a query over two records, a deletion, collector, repair",
        Config { jobs: DELETE, folds: 0, repairs: 1, queries: 1, collecting: Reading::Whole, ..SMALL },
    ),
    holds(
        "appends",
        true,
        "the log grows under a query, repair",
        Config { appended: 0, seqs: 2, repairs: 1, queries: 1, ..SMALL },
    ),
    holds(
        "appends-late",
        false,
        "the log grows under a query, a late create, repair",
        Config { appended: 0, seqs: 2, late: 1, repairs: 1, queries: 1, ..SMALL },
    ),
    holds(
        "collector-in-steps",
        true,
        "the collector's reading in steps, looking at the checkpoint again; two foldings",
        Config { slack: 0, folds: 2, late: 1, collecting: Reading::Twice, ..SMALL },
    ),
    holds(
        "repair-in-steps",
        false,
        "a repair's reading in steps, looking at the checkpoint again; two foldings",
        Config { folds: 2, late: 1, repairs: 1, repairing: Reading::Twice, collecting: Reading::Whole, ..SMALL },
    ),
    holds(
        "sweep-each",
        false,
        "folded entries vanish one by one; a late create, collector",
        Config { folds: 2, late: 1, sweeps_each: true, collecting: Reading::Whole, ..SMALL },
    ),
    holds(
        "overlap",
        true,
        "uploads overlap the claim before them; two processors, folding, collector",
        Config { overlaps: true, slack: 0, collecting: Reading::Whole, ..SMALL },
    ),
    holds(
        "overlap-merge",
        false,
        "overlapping uploads against a merge and a second processor, three records, collector",
        Config { records: 3, appended: 3, overlaps: true, slack: 0, jobs: MERGE, collecting: Reading::Whole, ..SMALL },
    ),
    holds(
        "overlap-late",
        false,
        "overlapping uploads, a late create, collector",
        Config { overlaps: true, late: 1, collecting: Reading::Whole, ..SMALL },
    ),
    holds(
        "gaps",
        true,
        "retention runs past a stopped processor, policy gives up; two processors, folding, repair",
        Config { repairs: 1, ..GAPS },
    ),
    holds(
        "gaps-refused",
        true,
        "retention runs past a stopped processor, no policy: it halts",
        Config { gives_up: false, repairs: 1, ..GAPS },
    ),
    holds("gaps-reader", false, "a query while retention runs past; repair", Config { queries: 1, repairs: 1, ..GAPS }),
    holds(
        "gaps-loss",
        false,
        "gaps, and the index is lost; the log grows, repair",
        Config { appended: 1, losses: 1, repairs: 1, ..GAPS },
    ),
    holds(
        "gaps-jobs",
        false,
        "gaps against a merge, retention twice, three records, collector",
        Config {
            records: 3,
            appended: 3,
            retentions: 2,
            jobs: MERGE,
            collecting: Reading::Whole,
            processors: 1,
            ..GAPS
        },
    ),
    holds(
        "gaps-overlap",
        false,
        "gaps, overlapping uploads, a late create",
        Config { overlaps: true, late: 1, ..GAPS },
    ),
];

pub(super) const PROGRESSING: &[Case] = &[
    progresses(
        "progress",
        true,
        "everything can still be done: a deletion, a loss of the index, folding",
        Config { records: 1, appended: 1, jobs: DELETE, losses: 1, repairs: 1, collecting: Reading::Whole, ..SMALL },
    ),
    progresses(
        "progress-writers",
        true,
        "everything can still be done: a death, a late create",
        Config { records: 1, appended: 1, seqs: 2, deaths: 1, late: 1, repairs: 1, ..SMALL },
    ),
    progresses(
        "progress-overlap",
        false,
        "everything can still be done: a death, a late create, overlapping uploads",
        Config { seqs: 2, deaths: 1, late: 1, repairs: 1, overlaps: true, ..SMALL },
    ),
    progresses(
        "progress-gaps",
        true,
        "everything can still be done after retention ran past, under a policy",
        Config { repairs: 1, ..GAPS },
    ),
];
