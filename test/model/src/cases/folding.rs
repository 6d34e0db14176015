use super::{Case, Expected, Subject};
use crate::folding::{Config, Naive, READABLE};

const SMALL: Config = Config::SMALL;

const fn holds(name: &'static str, is_quick: bool, about: &'static str, config: Config) -> Case {
    Case { name, about, is_quick, subject: Subject::Folding(config), expected: Expected::Holds }
}

const fn breaks(name: &'static str, naive: Naive, about: &'static str) -> Case {
    let config = Config { naive: Some(naive), ..SMALL };
    Case { name, about, is_quick: true, subject: Subject::Folding(config), expected: Expected::Breaks(READABLE) }
}

pub(super) const HOLDING: &[Case] = &[
    holds("folding", true, "four entries, two folders that stall, a sweeper in steps", SMALL),
    holds("folding-deep", false, "the same, and a folder dies", Config { crashes: 1, ..SMALL }),
    holds(
        "folding-slack-2",
        false,
        "five entries, two folders that stall, twice the slack",
        Config { entries: 5, slack: 2, ..SMALL },
    ),
    Case {
        name: "folding-progress",
        about: "the chain can still be folded: three entries, a folder that dies",
        is_quick: true,
        subject: Subject::FoldingProgress(Config { entries: 3, crashes: 1, ..SMALL }),
        expected: Expected::Holds,
    },
];

pub(super) const NAIVE: &[Case] = &[
    breaks("fold-reuses-always", Naive::ReusesAlways, "a fold names segments again however far back"),
    Case {
        name: "sweep-keeps-newest-only",
        about: "a sweep keeps what the newest checkpoint names only",
        is_quick: true,
        subject: Subject::Folding(Config { entries: 3, slack: 2, naive: Some(Naive::KeepsNewestOnly), ..SMALL }),
        expected: Expected::Breaks(READABLE),
    },
    breaks("sweep-newer", Naive::SweepsNewer, "a sweep deletes segments of a fold that is under way"),
];
