use std::collections::HashSet;

use loglake_model::{Service, TenantName, Window};
use tokio::time::Instant;

use crate::held::Held;

/// What a chunk adds to its entry beside its names, in bytes.
const META_BYTES: usize = 480;
/// What a message that cannot be read adds to its entry, in bytes: a number and a comma.
const OFFSET_BYTES: usize = 21;

/// What waits for the next flush of a partition.
#[derive(Debug)]
pub(crate) struct Pending {
    window_ns: i64,
    /// When the first of it came.
    pub(crate) since: Option<Instant>,
    /// Lines, in bytes.
    pub(crate) bytes: u64,
    /// The chunks that it will become.
    chunks: HashSet<(TenantName, Service, i64)>,
    /// About how long the entry will be.
    entry_bytes: usize,
    /// Offsets that will move the chain although they hold no record (holes).
    pub(crate) messages: usize,
}

impl Pending {
    pub(crate) fn new(window_ns: i64) -> Self {
        Self { window_ns, since: None, bytes: 0, chunks: HashSet::new(), entry_bytes: 0, messages: 0 }
    }

    pub(crate) fn add(&mut self, held: &Held, now: Instant) {
        self.since.get_or_insert(now);
        self.messages += 1;
        let Ok(batch) = &held.batch else {
            self.bytes += held.message.payload.len() as u64;
            // Its offset stands in the entry.
            self.entry_bytes += OFFSET_BYTES;
            return;
        };
        self.bytes += batch.lines_bytes() as u64;
        for group in batch.groups() {
            let mut last = None;
            for record in group.records() {
                let window = Window::holding(record.timestamp_ns, self.window_ns).start_ns;
                // Records mostly come in order: the window rarely changes.
                if last == Some(window) {
                    continue;
                }
                last = Some(window);
                if self.chunks.insert((batch.tenant().clone(), group.service().clone(), window)) {
                    // Names stand in the key and beside it.
                    self.entry_bytes +=
                        META_BYTES + 4 * group.service().as_str().len() + 2 * batch.tenant().as_str().len();
                }
            }
        }
    }

    pub(crate) fn chunks(&self) -> usize {
        self.chunks.len()
    }

    pub(crate) fn entry_bytes(&self) -> usize {
        self.entry_bytes
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.messages == 0
    }

    /// Takes all of it, leaving nothing.
    pub(crate) fn take(&mut self) -> Self {
        std::mem::replace(self, Self::new(self.window_ns))
    }
}
