use super::{Case, Expected, Subject};
use crate::routing::{COMPLETE, Config, Naive};

const SMALL: Config = Config::SMALL;

const fn holds(name: &'static str, is_quick: bool, about: &'static str, config: Config) -> Case {
    Case { name, about, is_quick, subject: Subject::Routing(config), expected: Expected::Holds }
}

const fn breaks(name: &'static str, naive: Naive, about: &'static str) -> Case {
    let config = Config { naive: Some(naive), ..SMALL };
    Case { name, about, is_quick: true, subject: Subject::Routing(config), expected: Expected::Breaks(COMPLETE) }
}

pub(super) const HOLDING: &[Case] = &[
    holds("partitions", true, "one partition becomes three; two batches, a retry, two ingestors", SMALL),
    holds(
        "partitions-three-batches",
        false,
        "one partition becomes four; three batches, two retries",
        Config { hash: 11, last: 4, batches: 3, retries: 2, ..SMALL },
    ),
];

pub(super) const NAIVE: &[Case] = &[
    breaks("routes-by-own-count", Naive::RoutesByOwnCount, "a repeat goes where its ingestor's own count puts it"),
    breaks("asks-today", Naive::AsksToday, "a query asks the partition of today's count only"),
    breaks("asks-first", Naive::AsksFirst, "a query asks the partition of the first count only"),
    breaks("asks-known", Naive::AsksKnown, "a query goes by the count that its service knew when it started"),
    breaks("asks-ends", Naive::AsksEnds, "a query asks for the first and today's count, and none between"),
    breaks("new-at-latest", Naive::NewAtLatest, "the consumer of a new partition begins at its end"),
    breaks("written-down-late", Naive::WrittenDownLate, "partitions are added before the first count is written down"),
];
