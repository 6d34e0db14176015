/// A message of one client batch, on its way or in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Part {
    /// The batch's number in the session, from 1.
    pub number: u8,
    /// Which of the batch's messages in this partition.
    pub part: u8,
    /// The oldest number that had no acknowledgement when it was sent.
    pub low: u8,
}

/// A message in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Appended {
    /// What it is.
    pub part: Part,
    /// The log's time had passed the session's end.
    pub is_late: bool,
}

/// What is remembered of the session at an offset: the low mark, and the parts seen at or above it, ascending.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Seen {
    /// Everything below is a repeat.
    pub low: u8,
    /// (number, part).
    pub parts: Vec<(u8, u8)>,
}

/// The end of the chain.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Tail {
    /// The offset to consume from.
    pub next: usize,
    /// What is saved of the session there.
    pub seen: Seen,
    /// The parts that count, in order.
    pub taken: Vec<(u8, u8)>,
}

/// A processor that believes it owns the partition.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Processor {
    /// The offset that it took the partition over at, or flushed up to.
    pub start: usize,
    /// The offset that it has read up to.
    pub position: usize,
    pub(super) low: u8,
    pub(super) parts: Vec<(u8, u8)>,
    /// The parts that count in `[start, position)`, each with its offset.
    pub rows: Vec<(usize, (u8, u8))>,
}

/// The client, the messages on their way, the log, the chain's tail and the processors.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    /// The number that the client gives next.
    pub next: u8,
    /// Acknowledged numbers, as bits.
    pub acknowledged: u8,
    /// Numbers that the client gave up, as bits.
    pub given_up: u8,
    /// Messages at an ingestor; they are appended in any order, so it is any number of ingestors. Sorted.
    pub air: Vec<Part>,
    /// The partition's log.
    pub log: Vec<Appended>,
    /// Parts appended in time, or such that whoever appended them acknowledges them: bits of part 0, then of part 1.
    pub durable: [u8; 2],
    /// The chain's end.
    pub tail: Tail,
    /// Two at most; sorted.
    pub processors: Vec<Option<Processor>>,
    /// The session's end has come by the log's time.
    pub is_late: bool,
    /// Retries left.
    pub retries: u8,
    /// How often the client may still give a batch up.
    pub give_ups: u8,
}

impl State {
    /// The oldest number without an acknowledgement that the client still wants.
    #[must_use]
    pub fn low(&self) -> u8 {
        let settled = self.acknowledged | self.given_up;
        (1..self.next).find(|number| settled >> number & 1 == 0).unwrap_or(self.next)
    }

    /// Whether the client still waits for `number`.
    #[must_use]
    pub fn is_open(&self, number: u8) -> bool {
        (self.acknowledged | self.given_up) >> number & 1 == 0
    }
}
