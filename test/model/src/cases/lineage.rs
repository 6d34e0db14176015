use super::{Case, Expected, Subject};
use crate::lineage::{COMPLETE, Config, NO_SKIP, Naive, ONCE};

const SMALL: Config = Config::SMALL;

const fn holds(name: &'static str, is_quick: bool, about: &'static str, config: Config) -> Case {
    Case { name, about, is_quick, subject: Subject::Lineage(config), expected: Expected::Holds }
}

const fn breaks(name: &'static str, property: &'static str, naive: Naive, about: &'static str, config: Config) -> Case {
    let config = Config { naive: Some(naive), ..config };
    Case { name, about, is_quick: true, subject: Subject::Lineage(config), expected: Expected::Breaks(property) }
}

pub(super) const HOLDING: &[Case] = &[
    holds(
        "epochs",
        true,
        "clean elections under two processors and two queries",
        Config { elections: 2, queries: 2, ..SMALL },
    ),
    holds(
        "cuts",
        true,
        "an unclean election cuts the log; two processors, a query that compares epochs",
        Config { records: 4, cuts: 1, queries: 1, ..SMALL },
    ),
    holds(
        "cuts-twice",
        false,
        "two unclean elections and a clean one; two processors, a query that compares epochs",
        Config { records: 4, cuts: 2, elections: 1, queries: 1, ..SMALL },
    ),
    holds(
        "incarnations",
        true,
        "the topic is made anew; two processors, a query",
        Config { records: 4, remakes: 1, queries: 1, ..SMALL },
    ),
    holds(
        "incarnations-cuts",
        false,
        "the topic is made anew twice, and cut; two processors, a query that compares epochs",
        Config { records: 4, remakes: 2, cuts: 1, queries: 1, ..SMALL },
    ),
    Case {
        name: "lineage-progress",
        about: "what the log has can still be committed: a cut, a clean election, the topic made anew",
        is_quick: true,
        subject: Subject::LineageProgress(Config { cuts: 1, elections: 1, remakes: 1, ..SMALL }),
        expected: Expected::Holds,
    },
];

pub(super) const NAIVE: &[Case] = &[
    breaks(
        "length-only",
        NO_SKIP,
        Naive::LengthOnly,
        "a log that was cut and has grown again looks whole by its length",
        Config { records: 4, cuts: 1, ..SMALL },
    ),
    breaks(
        "waits-for-offset",
        NO_SKIP,
        Naive::WaitsForOffset,
        "a consumer waits until its offset is there again",
        Config { records: 4, cuts: 1, ..SMALL },
    ),
    breaks(
        "goes-on-after-cut",
        NO_SKIP,
        Naive::GoesOnAfterCut,
        "a consumer told of the cut goes on if its offset is there again",
        Config { records: 4, cuts: 1, ..SMALL },
    ),
    breaks(
        "old-incarnation",
        ONCE,
        Naive::OldIncarnation,
        "a made-anew topic is consumed under the old number",
        Config { remakes: 1, ..SMALL },
    ),
    breaks(
        "id-before-reading",
        ONCE,
        Naive::IdBeforeReading,
        "the topic's id is not asked for between the last read and the claim",
        Config { remakes: 1, ..SMALL },
    ),
    breaks(
        "same-incarnation",
        NO_SKIP,
        Naive::SameIncarnation,
        "a made-anew topic has the same number",
        Config { records: 4, remakes: 1, ..SMALL },
    ),
    breaks(
        "head-without-epoch",
        COMPLETE,
        Naive::HeadWithoutEpoch,
        "a query takes H without the epoch of the record below it",
        Config { cuts: 1, queries: 1, ..SMALL },
    ),
    breaks(
        "joins-without-epoch",
        COMPLETE,
        Naive::JoinsWithoutEpoch,
        "a query joins the tail to the index without the epoch of the record below T",
        Config { cuts: 1, queries: 1, ..SMALL },
    ),
    breaks(
        "reader-old-incarnation",
        COMPLETE,
        Naive::ReaderOldIncarnation,
        "a query service answers for the topic that it started with",
        Config { remakes: 1, queries: 1, ..SMALL },
    ),
];
