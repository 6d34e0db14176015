use super::{Case, Expected, Subject};
use crate::chain::{
    COMPLETE, Config, DELETED_STAYS, EXACTLY_ONCE, GAP_IS_GONE, INDEX_EXACT, INDEX_NO_DANGLING, NO_DANGLING, Naive,
    PROGRESS, Reading, WELL_FORMED, WINNER_COUNTS, Work,
};

const fn holds(name: &'static str, is_quick: bool, about: &'static str, config: Config) -> Case {
    Case { name, about, is_quick, subject: Subject::Chain(config), expected: Expected::Holds }
}

const fn progresses(name: &'static str, is_quick: bool, about: &'static str, config: Config) -> Case {
    Case { name, about, is_quick, subject: Subject::ChainProgress(config), expected: Expected::Holds }
}

const fn breaks(name: &'static str, property: &'static str, naive: Naive, about: &'static str, config: Config) -> Case {
    let config = Config { naive: Some(naive), ..config };
    Case { name, about, is_quick: true, subject: Subject::Chain(config), expected: Expected::Breaks(property) }
}

const SMALL: Config = Config::SMALL;
const ONE: Config = Config { processors: 1, ..SMALL };
const MERGE: &[Work] = &[Work::Merge];
const DELETE: &[Work] = &[Work::Delete];
const BOTH: &[Work] = &[Work::Merge, Work::Delete];
const TWICE: Config = Config { records: 3, appended: 3, seqs: 4, slack: 0, folds: 2, ..SMALL };
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
        "overlapping uploads, a late create, a death, a repair, collector",
        Config { overlaps: true, late: 1, deaths: 1, repairs: 1, collecting: Reading::Whole, ..SMALL },
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
    holds(
        "gaps-reader",
        false,
        "a query while retention runs past; the log grows, repair, a loss of the index",
        Config { appended: 1, queries: 1, losses: 1, repairs: 1, ..GAPS },
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

pub(super) const NAIVE: &[Case] = &[
    breaks(
        "won-without-checkpoint",
        WINNER_COUNTS,
        Naive::WonWithoutCheckpoint,
        "a created entry counts as won without a look at the newest checkpoint",
        SMALL,
    ),
    breaks(
        "tail-from-object",
        WELL_FORMED,
        Naive::TailFromObject,
        "after a loss the tail is taken from the object at the key",
        Config { records: 3, appended: 3, ..SMALL },
    ),
    breaks(
        "apply-out-of-order",
        INDEX_EXACT,
        Naive::ApplyOutOfOrder,
        "entries are applied whatever the watermark",
        Config { deaths: 1, ..SMALL },
    ),
    breaks("loser-deletes", NO_DANGLING, Naive::LoserDeletes, "a loser deletes its chunk", SMALL),
    breaks(
        "collect-at-target",
        NO_DANGLING,
        Naive::CollectAtTarget,
        "unnamed chunks are collected once the tail has reached their target",
        Config { jobs: DELETE, collecting: Reading::Whole, ..SMALL },
    ),
    breaks(
        "claim-beyond-slack",
        NO_DANGLING,
        Naive::ClaimBeyondSlack,
        "a chunk is claimed again however far past its target",
        Config { records: 3, appended: 3, seqs: 4, slack: 0, jobs: DELETE, collecting: Reading::Whole, ..ONE },
    ),
    breaks(
        "collect-by-age",
        NO_DANGLING,
        Naive::CollectByAge,
        "whatever no live set names is collected",
        Config { collecting: Reading::Whole, ..SMALL },
    ),
    breaks(
        "job-claims-blindly",
        WELL_FORMED,
        Naive::JobClaimsBlindly,
        "a job that lost does not look whether what it removes is still live",
        Config { seqs: 4, jobs: BOTH, ..ONE },
    ),
    breaks(
        "reader-without-position",
        COMPLETE,
        Naive::ReaderWithoutPosition,
        "a reader accepts a tail that has not reached H",
        Config { queries: 1, ..SMALL },
    ),
    breaks(
        "reader-without-floor",
        COMPLETE,
        Naive::ReaderWithoutFloor,
        "a reader accepts a tail that begins above T",
        Config { queries: 1, ..SMALL },
    ),
    breaks(
        "reader-reads-apart",
        COMPLETE,
        Naive::ReaderReadsApart,
        "a reader reads entries and watermark apart",
        Config { queries: 1, ..SMALL },
    ),
    breaks(
        "rebuild-backwards",
        DELETED_STAYS,
        Naive::RebuildBackwards,
        "a rebuild replaces a newer index",
        Config { jobs: DELETE, repairs: 1, ..ONE },
    ),
    breaks(
        "rebuild-from-old-view",
        DELETED_STAYS,
        Naive::RebuildFromOldView,
        "a rebuild uses a view of the chain read before the loss",
        Config { jobs: DELETE, losses: 1, repairs: 1, ..ONE },
    ),
    breaks(
        "rebuild-in-steps",
        DELETED_STAYS,
        Naive::RebuildInSteps,
        "a rebuild shows itself before it has reached the tail",
        Config { jobs: DELETE, losses: 1, repairs: 1, ..ONE },
    ),
    breaks(
        "grace-from-commit",
        INDEX_NO_DANGLING,
        Naive::GraceFromCommit,
        "a removed chunk's grace counts from the commit",
        Config { jobs: DELETE, collecting: Reading::Whole, ..ONE },
    ),
    breaks(
        "removed-is-unnamed",
        INDEX_NO_DANGLING,
        Naive::RemovedIsUnnamed,
        "a removed chunk is collected like one nobody names",
        Config { seqs: 4, jobs: DELETE, collecting: Reading::Whole, ..ONE },
    ),
    breaks(
        "fold-forgets-removed",
        INDEX_NO_DANGLING,
        Naive::FoldForgetsRemoved,
        "a checkpoint forgets the chunks removed before it",
        Config { seqs: 4, jobs: DELETE, collecting: Reading::Whole, ..ONE },
    ),
    breaks(
        "no-watermark-is-zero",
        DELETED_STAYS,
        Naive::NoWatermarkIsZero,
        "a missing watermark is read as T = 0",
        Config { jobs: DELETE, losses: 1, queries: 1, ..ONE },
    ),
    Case {
        name: "nobody-catches-up",
        about: "nobody applies what a dead winner left",
        is_quick: true,
        subject: Subject::ChainProgress(Config { seqs: 2, deaths: 1, ..SMALL }),
        expected: Expected::Breaks(PROGRESS),
    },
    Case {
        name: "collector-looks-once",
        about: "the collector does not look at the newest checkpoint again",
        is_quick: true,
        subject: Subject::Chain(Config { collecting: Reading::Once, slack: 1, ..TWICE }),
        expected: Expected::Breaks(NO_DANGLING),
    },
    Case {
        name: "repair-looks-once",
        about: "a repair does not look at the newest checkpoint again",
        is_quick: true,
        subject: Subject::Chain(Config { repairs: 1, repairing: Reading::Once, folds: 1, ..TWICE }),
        expected: Expected::Breaks(INDEX_EXACT),
    },
    breaks(
        "keep-second-upload",
        EXACTLY_ONCE,
        Naive::KeepSecondUpload,
        "the next flush is kept after the former was lost",
        Config { records: 3, appended: 3, overlaps: true, ..SMALL },
    ),
    breaks(
        "two-entries-in-flight",
        WELL_FORMED,
        Naive::TwoEntriesInFlight,
        "the next flush is claimed before the former has won",
        Config { records: 3, appended: 3, overlaps: true, ..SMALL },
    ),
    breaks(
        "reset-to-earliest",
        EXACTLY_ONCE,
        Naive::ResetToEarliest,
        "a consumer whose place is gone goes on at the log's start",
        Config { gives_up: false, ..GAPS },
    ),
    breaks(
        "keep-gap",
        WELL_FORMED,
        Naive::KeepGap,
        "a gap that lost its number is claimed as it was",
        Config { records: 3, appended: 3, ..GAPS },
    ),
    breaks("gap-to-end", GAP_IS_GONE, Naive::GapToEnd, "a gap covers what the log still has", GAPS),
    breaks("index-forgets-gap", INDEX_EXACT, Naive::IndexForgetsGap, "the index is not told of gaps", GAPS),
    breaks("fold-forgets-gap", EXACTLY_ONCE, Naive::FoldForgetsGap, "a checkpoint forgets gaps", GAPS),
    breaks(
        "gap-read-as-empty",
        COMPLETE,
        Naive::GapReadAsEmpty,
        "what the broker no longer has is read as empty",
        Config { queries: 1, ..GAPS },
    ),
];
