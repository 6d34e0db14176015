use super::Config;

/// What an ingestor knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ingestor {
    /// How many partitions it believes there are.
    pub count: u8,
}

/// The topic's partitions, and who knows what of them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    /// How many partitions there are.
    pub count: u8,
    /// The count that is written down for this life of the topic.
    pub written_down: Option<u8>,
    /// The count that a query service saw when it started; only a naive one goes by it.
    pub known_to_query: u8,
    /// Ingestors.
    pub ingestors: [Ingestor; 2],
    /// The count in the token of the client's open session.
    pub session: Option<u8>,
    /// Batches that were sent at least once: those below.
    pub sent: u8,
    /// Acknowledged batches, as bits.
    pub acknowledged: u8,
    /// Retries left.
    pub retries: u8,
    /// The partitions' logs.
    pub logs: Vec<Vec<u8>>,
    /// Where each partition's first consumer began; the chain goes on from there.
    pub starts: Vec<Option<usize>>,
}

impl State {
    pub(super) fn new(config: &Config) -> Self {
        Self {
            count: config.first,
            written_down: None,
            known_to_query: config.first,
            ingestors: [Ingestor { count: config.first }; 2],
            session: None,
            sent: 0,
            acknowledged: 0,
            retries: config.retries,
            logs: vec![Vec::new(); usize::from(config.last)],
            starts: vec![None; usize::from(config.last)],
        }
    }
}
