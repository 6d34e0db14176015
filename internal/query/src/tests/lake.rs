use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use loglake_auth::internal::InternalKey;
use loglake_auth::keys::ClusterSecret;
use loglake_auth::limits::Limits;
use loglake_auth::{Authenticator, Scope, new_token};
use loglake_batch::{BatchBuilder, LogBatch, Origin};
use loglake_broker::{MemoryBroker, Producer as _, Reader as _};
use loglake_chunk::{ChunkBuilder, ChunkHead, Source, encode_block};
use loglake_index::Watermark;
use loglake_model::{
    Clock as _, Level, ManualClock, Readiness, RecordId, Service, TenantId, TenantName, Window, line, partition_of,
};
use loglake_search::Filter;
use loglake_store::ObjectStore as _;
use tokio::time::Instant;

use super::fake_index::FakeIndex;
use super::gate::Gate;
use crate::answer::{Answer, answer};
use crate::budget::Budget;
use crate::order::Direction;
use crate::query::Query;
use crate::shared::Shared;
use crate::{Config, Error, Parts, QueryService};

pub(super) const PARTITIONS: u32 = 3;
pub(super) const INCARNATION: u32 = 2;
pub(super) const NOW_NS: i64 = 1_700_000_000_000_000_000;

/// A record as a test sends it.
#[derive(Clone, Debug)]
pub(super) struct Sent {
    pub(super) tenant: &'static str,
    pub(super) service: &'static str,
    pub(super) timestamp_ns: i64,
    pub(super) level: Option<Level>,
    pub(super) message: String,
    pub(super) trace_id: &'static str,
}

impl Sent {
    pub(super) fn line(&self) -> Vec<u8> {
        let mut out = Vec::new();
        line::begin(&mut out, self.timestamp_ns, self.level, self.service);
        line::text_field(&mut out, "message", &self.message);
        if !self.trace_id.is_empty() {
            line::text_field(&mut out, "trace_id", self.trace_id);
        }
        out.push(b'}');
        out
    }
}

/// All parts, in memory, and everything that was sent with the id that it got.
pub(super) struct Lake {
    pub(super) broker: Arc<MemoryBroker>,
    pub(super) store: Arc<Gate>,
    pub(super) index: Arc<FakeIndex>,
    pub(super) clock: Arc<ManualClock>,
    pub(super) key: InternalKey,
    pub(super) service: QueryService,
    pub(super) tokens: BTreeMap<&'static str, String>,
    pub(super) sent: Vec<(RecordId, Sent)>,
    /// Chunks get no more lines a block than this.
    pub(super) block_lines: usize,
}

#[expect(clippy::disallowed_methods, reason = "test")]
pub(crate) fn tenant(name: &str) -> TenantId {
    TenantId::from_credential(TenantName::parse(name).unwrap())
}

/// What a process of the role works with.
fn parts(
    broker: &Arc<MemoryBroker>,
    store: &Arc<Gate>,
    index: &Arc<FakeIndex>,
    clock: &Arc<ManualClock>,
    key: &InternalKey,
    auth: Arc<Authenticator>,
) -> Parts {
    let readiness = Readiness::default();
    Parts {
        reader: broker.clone(),
        store: store.clone(),
        index: index.clone(),
        incarnation: INCARNATION,
        clock: clock.clone(),
        auth,
        limits: loglake_auth::limits::TenantLimits::none(),
        internal: key.clone(),
        cursor_key: [9; 32],
        registry: prometheus::Registry::new(),
        ready: readiness.role("query"),
        readiness,
    }
}

impl Lake {
    pub(super) async fn new() -> Self {
        Self::with(|_| {}).await
    }

    pub(super) async fn with(change: impl FnOnce(&mut Config)) -> Self {
        let clock = Arc::new(ManualClock::at(NOW_NS));
        let broker = MemoryBroker::new("topic", PARTITIONS, clock.clone());
        let (store, index) = (Arc::new(Gate::default()), Arc::new(FakeIndex::default()));
        for partition in 0..PARTITIONS {
            index.state.lock().partitions.insert(partition, (Some(Watermark { seq: 0, next: 0 }), Vec::new()));
        }
        let key = InternalKey::new(&ClusterSecret::from_bytes(&[7; 32]).unwrap());
        let mut tokens = BTreeMap::new();
        let mut known = Vec::new();
        for (name, scopes) in
            [("acme", vec![Scope::Query]), ("other", vec![Scope::Query]), ("writer", vec![Scope::Ingest])]
        {
            let tenant = TenantName::parse(name).unwrap();
            let made = new_token(tenant, scopes.into_iter().collect(), None, None, &mut rand::rng()).unwrap();
            tokens.insert(name, made.text);
            known.push(made.token);
        }
        let mut config = Config {
            listen: "127.0.0.1:0".parse().unwrap(),
            timeout: Duration::from_secs(20),
            page_bytes: 16 << 20,
            concurrent: 8,
            plan_bytes: 64 << 20,
            look_ahead_bytes: 8 << 20,
            footer_cache_bytes: 4 << 20,
            cache_memory_bytes: 1 << 20,
            cache_dir: None,
            cache_disk_bytes: 0,
            metric_tenants: 0,
            cluster: "default".to_owned(),
        };
        change(&mut config);
        let auth = Arc::new(Authenticator::with_tokens(known).unwrap());
        let parts = parts(&broker, &store, &index, &clock, &key, auth);
        let service = QueryService::bind(config, parts).await.unwrap();
        Self { broker, store, index, clock, key, service, tokens, sent: Vec::new(), block_lines: 4 }
    }

    /// The same with another process of the role: what that one had in memory is gone.
    pub(super) async fn restarted(self) -> Self {
        let Self { broker, store, index, clock, key, service, tokens, sent, block_lines } = self;
        let (config, auth) = (service.shared.config.clone(), Arc::clone(&service.shared.auth));
        drop(service);
        let parts = parts(&broker, &store, &index, &clock, &key, auth);
        let service = QueryService::bind(config, parts).await.unwrap();
        Self { broker, store, index, clock, key, service, tokens, sent, block_lines }
    }

    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.service.shared
    }

    pub(super) fn partition(sent: &Sent) -> u32 {
        partition_of(&TenantName::parse(sent.tenant).unwrap(), &Service::parse(sent.service).unwrap(), PARTITIONS)
    }

    /// Appends records, one message for each run of one tenant and partition.
    pub(super) async fn send(&mut self, records: &[Sent]) {
        let mut at = 0;
        while let Some(first) = records.get(at) {
            let partition = Self::partition(first);
            let is_same = |record: &&Sent| record.tenant == first.tenant && Self::partition(record) == partition;
            let run: Vec<&Sent> = records[at..].iter().take_while(is_same).collect();
            at += run.len();
            let mut builder =
                BatchBuilder::new(&TenantName::parse(first.tenant).unwrap(), self.clock.now_ns(), Origin::None);
            for record in &run {
                let service = Service::parse(record.service).unwrap();
                let line = record.line();
                builder.push(&service, record.timestamp_ns, record.level, record.trace_id, &line).unwrap();
            }
            let payload = builder.finish().unwrap();
            let offset = self.broker.append(partition, payload.clone()).await.unwrap().offset;
            let batch = LogBatch::decode(payload).unwrap();
            let mut left = run;
            for group in batch.groups() {
                for record in group.records() {
                    let same = left.iter().position(|sent| sent.line() == record.line).unwrap();
                    let id = RecordId { incarnation: INCARNATION, partition, offset, index: record.index };
                    self.sent.push((id, left.remove(same).clone()));
                }
            }
        }
    }

    /// Puts everything of `partition` that is not in chunks yet, below `until`, into chunks, as a processor would.
    pub(super) async fn flush(&self, partition: u32, until: u64) {
        let (watermark, mut chunks) = self.index.state.lock().partitions[&partition].clone();
        let Watermark { seq, next } = watermark.unwrap();
        let made = self.chunks_of(partition, next, until, seq + 1).await;
        chunks.extend(made);
        let watermark = Some(Watermark { seq: seq + 1, next: until.max(next) });
        self.index.state.lock().partitions.insert(partition, (watermark, chunks));
    }

    /// Writes chunks of `[from, until)`.
    pub(super) async fn chunks_of(
        &self,
        partition: u32,
        from: u64,
        until: u64,
        seq: u64,
    ) -> Vec<loglake_model::ChunkMeta> {
        let mut by_stream = BTreeMap::<(TenantName, Service, Window), Vec<(i64, RecordId, Vec<u8>)>>::new();
        for message in self.broker.read(partition, from, until, usize::MAX).await.unwrap().messages {
            let Ok(batch) = LogBatch::decode(message.payload) else { continue };
            for group in batch.groups() {
                for record in group.records() {
                    let id =
                        RecordId { incarnation: INCARNATION, partition, offset: message.offset, index: record.index };
                    let window = Window::holding(record.timestamp_ns, Window::HOUR_NS);
                    let mut whole = Vec::new();
                    line::append_with_id(&mut whole, record.line, id);
                    whole.push(b'\n');
                    let stream = (batch.tenant().clone(), group.service().clone(), window);
                    by_stream.entry(stream).or_default().push((record.timestamp_ns, id, whole));
                }
            }
        }
        let mut made = Vec::new();
        for ((tenant, service, window), mut lines) in by_stream {
            lines.sort();
            let offsets = lines.iter().map(|(_, id, _)| id.offset);
            let (lowest_offset, highest_offset) = (offsets.clone().min().unwrap(), offsets.max().unwrap());
            let head = ChunkHead { tenant: tenant.clone(), service: service.clone(), window };
            let source = Source::Log { incarnation: INCARNATION, partition, lowest_offset, highest_offset };
            let mut builder = ChunkBuilder::new(head.clone(), source);
            for lines in lines.chunks(self.block_lines) {
                let lines: Vec<u8> = lines.iter().flat_map(|(_, _, line)| line.clone()).collect();
                builder.push(encode_block(&lines, window).unwrap());
            }
            let finished = builder.finish().unwrap();
            let nonce = format!("{seq}x{}", self.index.state.lock().questions);
            let key = loglake_commit::chunk_key(&tenant, &service, window, INCARNATION, partition, seq, &nonce);
            self.store.put(&key, finished.bytes.clone()).await.unwrap();
            made.push(finished.meta(key, &head, lowest_offset, highest_offset));
        }
        made
    }

    pub(super) async fn latest(&self, partition: u32) -> u64 {
        self.broker.offsets(&[partition]).await.unwrap()[0].latest
    }

    pub(super) async fn flush_all(&self) {
        for partition in 0..PARTITIONS {
            self.flush(partition, self.latest(partition).await).await;
        }
    }

    /// Says that the tail of `partition` is served at `address`.
    pub(super) fn lease(&self, partition: u32, address: &str) {
        let name = format!("owner:{INCARNATION}:{partition}");
        self.index.state.lock().leases.insert(name, address.to_owned());
    }

    pub(super) fn query(&self, tenant_name: &str, filter: &Filter, direction: Direction, limit: usize) -> Query {
        let (matcher, range) = (filter.compile().unwrap(), crate::conditions::range(None, None).unwrap());
        Query { tenant: tenant(tenant_name), filter: filter.clone(), matcher, range, direction, limit, after: None }
    }

    /// What a query may take: time alone.
    pub(super) fn budget(&self) -> Budget {
        Budget::new(Instant::now(), self.shared().config.timeout, &Limits::none())
    }

    pub(super) async fn page(&self, query: Query) -> Result<Answer, Error> {
        answer(self.shared(), query, self.budget()).await
    }

    /// The ids of all pages, one after the other, and whether all of them were complete. `limits` gives each page's size.
    pub(super) async fn all_pages(&self, mut query: Query, limits: impl Fn(usize) -> usize) -> (Vec<RecordId>, bool) {
        let (mut ids, mut is_complete) = (Vec::new(), true);
        let fingerprint = Query::fingerprint(&query.tenant, &query.filter, query.direction);
        for number in 0..10_000 {
            query.limit = limits(number);
            let answer = self.page(query.clone()).await.unwrap();
            assert!(answer.rows <= query.limit);
            ids.extend(ids_of(&answer));
            is_complete &= answer.missing.is_empty();
            match &answer.next_cursor {
                None => return (ids, is_complete),
                Some(text) => {
                    let cursor = self.shared().cursors.open(text, &query.tenant, &fingerprint, NOW_NS).unwrap();
                    query.after = Some(cursor.last);
                }
            }
        }
        panic!("the pages do not end");
    }

    /// What a plain filter and sort gives.
    pub(super) fn expected(&self, query: &Query) -> Vec<RecordId> {
        let mut found: Vec<(i64, RecordId)> = self
            .sent
            .iter()
            .filter(|(_, sent)| {
                sent.tenant == query.tenant.as_str()
                    && query.range.contains(sent.timestamp_ns)
                    && query.matcher.matches(&sent.line())
            })
            .map(|(id, sent)| (sent.timestamp_ns, *id))
            .collect();
        found.sort();
        if !query.direction.is_forward() {
            found.reverse();
        }
        found.into_iter().map(|(_, id)| id).collect()
    }
}

/// The ids of an answer's rows, read from its JSON.
pub(super) fn ids_of(answer: &Answer) -> Vec<RecordId> {
    let items = [b"[".as_slice(), &answer.items, b"]"].concat();
    let items: Vec<serde_json::Value> = serde_json::from_slice(&items).unwrap();
    assert_eq!(items.len(), answer.rows);
    items.iter().map(|item| item["id"].as_str().unwrap().parse().unwrap()).collect()
}
