use std::collections::VecDeque;

use crate::Message;

/// What a kept message costs beside its payload, about.
const OVERHEAD_BYTES: usize = 96;

/// The most recent messages of all partitions, oldest dropped first.
#[derive(Debug)]
pub(super) struct Tail {
    /// A partition's messages, without gaps.
    partitions: Vec<VecDeque<Message>>,
    /// The partition of each, in the order they came.
    order: VecDeque<u32>,
    bytes: usize,
    max_bytes: usize,
}

impl Tail {
    /// An empty one that keeps at most `max_bytes`.
    pub(super) fn new(partitions: usize, max_bytes: usize) -> Self {
        Self { partitions: vec![VecDeque::new(); partitions], order: VecDeque::new(), bytes: 0, max_bytes }
    }

    /// Adds the next message of `partition`.
    pub(super) fn push(&mut self, partition: u32, message: Message) {
        let Some(messages) = self.partitions.get_mut(partition as usize) else { return };
        self.bytes += message.payload.len() + OVERHEAD_BYTES;
        messages.push_back(message);
        self.order.push_back(partition);
        while self.bytes > self.max_bytes
            && let Some(oldest) = self.order.pop_front()
        {
            if let Some(message) = self.partitions[oldest as usize].pop_front() {
                self.bytes -= message.payload.len() + OVERHEAD_BYTES;
            }
        }
    }

    /// The messages of `[from, to)`, up to `max_bytes` of payload but at least one; `None` when `from` is no longer here.
    pub(super) fn get(&self, partition: u32, from: u64, to: u64, max_bytes: usize) -> Option<Vec<Message>> {
        let messages = self.partitions.get(partition as usize)?;
        let skip = usize::try_from(from.checked_sub(messages.front()?.offset)?).ok()?;
        let mut bytes = 0;
        let mut found = Vec::new();
        for message in messages.range(skip.min(messages.len())..).take_while(|message| message.offset < to) {
            bytes += message.payload.len();
            if bytes > max_bytes && !found.is_empty() {
                break;
            }
            found.push(message.clone());
        }
        Some(found)
    }
}
