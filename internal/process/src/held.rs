use loglake_batch::LogBatch;
use loglake_broker::Message;

use crate::budget::{Budget, Charge};

/// What a message costs beside its payload, in bytes: its own fields, its place in the queue, decoded headers.
const OVERHEAD_BYTES: u64 = 512;

/// A message held in memory, decoded once.
#[derive(Debug)]
pub(crate) struct Held {
    /// The message as it came.
    pub(crate) message: Message,
    /// Its records, or why they cannot be read.
    pub(crate) batch: Result<LogBatch, String>,
    charge: Charge,
}

impl Held {
    pub(crate) fn new(message: Message, budget: &Budget) -> Self {
        let charge = budget.charge(message.payload.len() as u64 + OVERHEAD_BYTES);
        let batch = LogBatch::decode(message.payload.clone()).map_err(|error| error.to_string());
        Self { message, batch, charge }
    }

    /// What it takes of the budget.
    pub(crate) fn memory_bytes(&self) -> u64 {
        self.charge.bytes()
    }

    pub(crate) fn offset(&self) -> u64 {
        self.message.offset
    }
}
