use super::{Case, Expected, Subject};
use crate::sessions::{Config, EXACTLY_ONCE, Naive};

const SMALL: Config = Config::SMALL;

const fn holds(name: &'static str, is_quick: bool, about: &'static str, config: Config) -> Case {
    Case { name, about, is_quick, subject: Subject::Sessions(config), expected: Expected::Holds }
}

const fn breaks(name: &'static str, naive: Naive, about: &'static str, config: Config) -> Case {
    let config = Config { naive: Some(naive), ..config };
    Case { name, about, is_quick: true, subject: Subject::Sessions(config), expected: Expected::Breaks(EXACTLY_ONCE) }
}

pub(super) const HOLDING: &[Case] = &[
    holds("session", false, "three batches, a window of two, two retries, two processors", SMALL),
    holds("session-small", true, "two batches, two retries, two processors", Config { batches: 2, ..SMALL }),
    holds("session-give-up", false, "three batches, one may be given up", Config { retries: 1, give_ups: 1, ..SMALL }),
    holds(
        "session-give-up-small",
        true,
        "two batches, one may be given up",
        Config { batches: 2, retries: 1, give_ups: 1, ..SMALL },
    ),
    holds(
        "session-ends",
        true,
        "the session ends while messages are on their way",
        Config { batches: 2, ends: true, ..SMALL },
    ),
    holds(
        "session-parts",
        true,
        "batches of two messages",
        Config { batches: 2, parts: 2, retries: 1, processors: 1, ..SMALL },
    ),
    holds(
        "session-parts-zombie",
        false,
        "batches of two messages, two processors",
        Config { batches: 2, parts: 2, retries: 1, ..SMALL },
    ),
    Case {
        name: "session-progress",
        about: "every batch can still be settled: two batches, a retry",
        is_quick: true,
        subject: Subject::SessionsProgress(Config { batches: 2, retries: 1, ..SMALL }),
        expected: Expected::Holds,
    },
];

pub(super) const NAIVE: &[Case] = &[
    breaks("session-keeps-state", Naive::KeepsState, "session state is kept when a claim is lost", SMALL),
    breaks("session-highest-only", Naive::HighestOnly, "whatever is not above the highest number is a repeat", SMALL),
    breaks("session-last-numbers", Naive::LastNumbers, "the last numbers only, no low mark", SMALL),
    breaks(
        "session-no-window",
        Naive::NoWindow,
        "the ingestor does not enforce the window; the processor forgets the lowest",
        Config { window: 1, retries: 0, ..SMALL },
    ),
    breaks("session-unsaved", Naive::Unsaved, "entries do not save the state", SMALL),
    breaks("session-raw-reader", Naive::RawReader, "a reader of the raw tail does not apply the state", SMALL),
    breaks(
        "session-reader-from-nothing",
        Naive::ReaderFromNothing,
        "a reader of the raw tail begins with an empty state, not with the one at T",
        SMALL,
    ),
    breaks(
        "session-late-counts",
        Naive::LateCounts,
        "what is appended after the session's end counts as new",
        Config { batches: 2, ends: true, ..SMALL },
    ),
    breaks(
        "session-late-acknowledged",
        Naive::LateAcknowledged,
        "what is appended after the session's end is dropped, and acknowledged",
        Config { batches: 2, ends: true, ..SMALL },
    ),
    breaks(
        "session-number-only",
        Naive::NumberOnly,
        "a batch counts as seen once one of its messages was",
        Config { batches: 1, parts: 2, ..SMALL },
    ),
    breaks(
        "session-acknowledges-half",
        Naive::AcknowledgesHalf,
        "a batch is acknowledged once one of its messages is durable",
        Config { batches: 1, parts: 2, ..SMALL },
    ),
    breaks("session-low-is-next", Naive::LowIsNext, "the low mark is the next number", SMALL),
];
