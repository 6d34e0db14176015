use super::{BOTH, DELETE, GAPS, ONE, SMALL};
use crate::cases::{Case, Expected, Subject};
use crate::chain::{
    COMPLETE, Config, DELETED_STAYS, EXACTLY_ONCE, GAP_IS_GONE, INDEX_EXACT, INDEX_NO_DANGLING, NO_DANGLING, Naive,
    PROGRESS, Reading, WELL_FORMED, WINNER_COUNTS,
};

const fn breaks(name: &'static str, property: &'static str, naive: Naive, about: &'static str, config: Config) -> Case {
    let config = Config { naive: Some(naive), ..config };
    Case { name, about, is_quick: true, subject: Subject::Chain(config), expected: Expected::Breaks(property) }
}

/// Long enough for a zombie to create an entry anew below a fold.
const LONG: Config = Config { records: 3, appended: 3, seqs: 4, ..SMALL };

pub(in crate::cases) const NAIVE: &[Case] = &[
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
    breaks(
        "exists-is-won",
        WINNER_COUNTS,
        Naive::ExistsIsWon,
        "what stands at the key is taken for the own entry",
        SMALL,
    ),
    breaks(
        "loser-skips-ahead",
        WELL_FORMED,
        Naive::LoserSkipsAhead,
        "a loser claims the next number with what it has",
        SMALL,
    ),
    breaks(
        "deletion-told-at-commit",
        DELETED_STAYS,
        Naive::DeletionToldAtCommit,
        "a deletion is acknowledged before the index shows it",
        Config { jobs: DELETE, ..ONE },
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
        subject: Subject::Chain(Config { collecting: Reading::Once, folds: 2, ..LONG }),
        expected: Expected::Breaks(NO_DANGLING),
    },
    Case {
        name: "repair-looks-once",
        about: "a repair does not look at the newest checkpoint again",
        is_quick: true,
        subject: Subject::Chain(Config { repairs: 1, repairing: Reading::Once, slack: 0, ..LONG }),
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
