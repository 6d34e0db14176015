use std::collections::HashSet;

use loglake_batch::MAX_MINUTES;
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

    /// The most that `held` can add to the entry, in bytes; a rough figure while that is less than `enough`.
    pub(crate) fn cost(&self, held: &Held, enough: usize) -> usize {
        let records = held.batch.as_ref().map_or(1, |batch| batch.record_count() as usize);
        let rough = records.min(MAX_MINUTES) * (META_BYTES + 4 * Service::MAX_BYTES + 2 * TenantName::MAX_BYTES);
        if rough < enough {
            return rough;
        }
        let mut alone = Self::new(self.window_ns);
        alone.add(held, Instant::now());
        alone.entry_bytes
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
            let window = |timestamp_ns| Window::holding(timestamp_ns, self.window_ns).start_ns;
            let (first, last) = group.times_ns();
            let (first, last) = (window(first), window(last));
            // Mostly all lie in one; else each is looked at, and as they mostly come in order it rarely changes.
            let of_each = (first != last).then(|| group.lines().map(|line| window(line.timestamp_ns)));
            let mut before = None;
            for window in of_each.into_iter().flatten().chain((first == last).then_some(first)) {
                if before == Some(window) {
                    continue;
                }
                before = Some(window);
                if self.chunks.insert((batch.tenant().clone(), group.service().clone(), window)) {
                    // Names stand in the key and beside it.
                    self.entry_bytes +=
                        META_BYTES + 4 * group.service().as_str().len() + 2 * batch.tenant().as_str().len();
                }
            }
        }
    }

    /// Counts a message of which nothing is kept: it moves the chain all the same.
    pub(crate) fn pass_over(&mut self, now: Instant) {
        self.since.get_or_insert(now);
        self.messages += 1;
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

#[cfg(test)]
mod tests {
    use loglake_batch::{BatchBuilder, Origin};
    use loglake_broker::Message;
    use loglake_commit::{ENTRY_VERSION, Entry, TARGET_ENTRY_BYTES, chunk_key};
    use loglake_model::{ChunkMeta, line};

    use super::*;
    use crate::budget::Budget;

    /// As many chunks as one message can become, with the longest names: each record a service or a minute of its own.
    fn worst(services: usize) -> (Held, Vec<(Service, Window)>) {
        let tenant = TenantName::parse(&"t".repeat(TenantName::MAX_BYTES)).unwrap();
        let mut builder = BatchBuilder::new(&tenant, 1, Origin::None);
        let mut chunks = Vec::new();
        for n in 0.. {
            // Characters that take three in a key, as many as may be.
            let name = format!("{}{}{:04}", "/".repeat(36), "a".repeat(Service::MAX_BYTES - 40), n % services);
            let service = Service::parse(&name).unwrap();
            let timestamp_ns = 1_772_323_200_000_000_000 + (n / services) as i64 * 60_000_000_000;
            let mut text = Vec::new();
            line::begin(&mut text, timestamp_ns, None, service.as_str());
            line::text_field(&mut text, "message", "");
            text.push(b'}');
            if !builder.fits(&service, "", text.len()) {
                break;
            }
            builder.push(&service, timestamp_ns, None, "", &text).unwrap();
            chunks.push((service, Window::holding(timestamp_ns, 60_000_000_000)));
        }
        let payload = builder.finish().unwrap();
        let message = Message { offset: u64::MAX >> 1, append_time_ns: 1, leader_epoch: None, payload };
        (Held::new(message, &Budget::new(1 << 30)), chunks)
    }

    #[test]
    fn one_message_never_makes_an_entry_past_its_size_and_estimates_hold() {
        for services in [1, 50, 10_000] {
            let (held, chunks) = worst(services);
            let mut pending = Pending::new(60_000_000_000);
            pending.add(&held, Instant::now());
            assert_eq!(pending.chunks(), chunks.len());
            let tenant = held.batch.as_ref().unwrap().tenant().clone();
            let big = 99_999_999_999_u64;
            let adds = chunks.into_iter().map(|(service, window)| ChunkMeta {
                key: chunk_key(&tenant, &service, window, 9, 1_023, big, "0123456789abcdef"),
                length: 99_999_999,
                footer_offset: 99_999_999,
                checksum: u32::MAX,
                tenant: tenant.clone(),
                service,
                window,
                min_ns: window.start_ns,
                max_ns: window.start_ns,
                records: 999_999,
                bytes: 99_999_999,
                levels: [999_999; 7],
                lowest_offset: big,
                highest_offset: big,
            });
            let entry = Entry {
                version: ENTRY_VERSION,
                seq: big,
                start: big,
                next: big,
                adds: adds.collect(),
                removes: Vec::new(),
                nonce: "0123456789abcdef".to_owned(),
                writer: "processor http://[2001:db8::1]:50053 0123456789abcdef".to_owned(),
                leader_epoch: Some(i32::MAX),
                sessions: Vec::new(),
                quarantine: None,
                gap: None,
                previous_hash: "0".repeat(64),
            };
            let (stored, estimate) = (entry.encode().unwrap().len(), pending.entry_bytes());
            assert!(stored <= estimate + 1_000, "{services} services: {stored} bytes, {estimate} estimated");
            assert!(estimate < TARGET_ENTRY_BYTES / 16 * 15, "{services} services: {estimate}");
            assert_eq!(pending.cost(&held, 0), estimate);
        }
    }
}
