//! Asks processors for what they have not flushed yet.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use hyper_util::rt::TokioIo;
use loglake_api::internal::v1::tail_service_client::TailServiceClient;
use loglake_api::internal::v1::{
    CountsRequest, Coverage, Position as WirePosition, ServicesRequest, TailRequest, Want, tail_response,
};
use loglake_auth::internal::{self, InternalKey};
use loglake_model::{Clock, LevelCounts, Service, TenantId, line};
use loglake_transport::Trust;
use parking_lot::Mutex;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};
use tonic::{Request, Status};
use tower::service_fn;

use crate::aggregate::{Counting, MAX_CELLS};
use crate::order::Position;
use crate::query::Query;
use crate::surroundings::Dial;
use crate::tail_ask::{Count, TailAsk, TailPart, TailRow};

const CONNECT: Duration = Duration::from_secs(1);
/// Connections kept; past it all are made anew, as the addresses that change are those of processors that went.
const MAX_CHANNELS: usize = 1_000;
/// The largest message of an answer: about 1 MiB of lines, and one longest line.
const MAX_MESSAGE_BYTES: usize = 8 << 20;

/// Why an owner's answer cannot be used. It is asked elsewhere then.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoAnswer {
    #[error("{0:?} is no address")]
    Address(String),
    #[error("{0}")]
    Refused(#[from] Box<Status>),
    #[error("no answer in time")]
    Late,
    #[error("an answer that breaks the contract: {0}")]
    Wrong(&'static str),
}

impl From<Status> for NoAnswer {
    fn from(status: Status) -> Self {
        Self::Refused(Box::new(status))
    }
}

/// The name in a processor's certificate is the host that it is called at.
fn tls(trust: Option<&Trust>) -> ClientTlsConfig {
    let config = ClientTlsConfig::new();
    match trust.and_then(Trust::pem) {
        Some(pem) => config.ca_certificate(Certificate::from_pem(pem)),
        None => config.with_native_roots(),
    }
}

/// Calls tail services, on behalf of tenants.
pub(crate) struct TailClient {
    key: InternalKey,
    clock: Arc<dyn Clock>,
    incarnation: u32,
    channels: Mutex<HashMap<String, Channel>>,
    dial: Option<Dial>,
    trust: OnceLock<Trust>,
}

impl TailClient {
    pub(crate) fn new(key: InternalKey, clock: Arc<dyn Clock>, incarnation: u32, dial: Option<Dial>) -> Self {
        Self { key, clock, incarnation, channels: Mutex::default(), dial, trust: OnceLock::new() }
    }

    /// Says whom to believe, before anybody is called. The first word holds.
    pub(crate) fn trust(&self, trust: Trust) {
        let _earlier = self.trust.set(trust);
    }

    /// Asks the owner at `address` for `wants`. The answer has one coverage for each, in their order, with what belongs to it;
    /// whether it may be used is for the caller to say.
    pub(crate) async fn ask(
        &self,
        address: &str,
        ask: &TailAsk,
        wants: &[Want],
        within: Duration,
    ) -> Result<Vec<(Coverage, TailPart)>, NoAnswer> {
        let client = TailServiceClient::new(self.channel(address)?).max_decoding_message_size(MAX_MESSAGE_BYTES);
        let call = async {
            match ask {
                TailAsk::Rows { query, filter_json, max_bytes } => {
                    self.rows(client, query, filter_json, *max_bytes, wants).await
                }
                TailAsk::Services { .. } => self.services(client, ask, wants).await,
                TailAsk::Counts { counting, filter_json } => self.counts(client, counting, filter_json, wants).await,
            }
        };
        tokio::time::timeout(within, call).await.unwrap_or(Err(NoAnswer::Late))
    }

    fn channel(&self, address: &str) -> Result<Channel, NoAnswer> {
        let mut channels = self.channels.lock();
        if let Some(channel) = channels.get(address) {
            return Ok(channel.clone());
        }
        let endpoint = Endpoint::from_shared(address.to_owned()).map_err(|_| NoAnswer::Address(address.to_owned()))?;
        let endpoint = match address.strip_prefix("https://") {
            None => endpoint,
            Some(_) => {
                endpoint.tls_config(tls(self.trust.get())).map_err(|_| NoAnswer::Wrong("TLS cannot be set up"))?
            }
        };
        let endpoint = endpoint
            .connect_timeout(CONNECT)
            .tcp_nodelay(true)
            .initial_stream_window_size(4 << 20)
            .initial_connection_window_size(16 << 20)
            .http2_keep_alive_interval(Duration::from_secs(10))
            .keep_alive_timeout(Duration::from_secs(5));
        let channel = match self.dial.clone() {
            None => endpoint.connect_lazy(),
            Some(dial) => endpoint.connect_with_connector_lazy(service_fn(move |address| {
                let dialled = dial(address);
                async move { Ok::<_, std::io::Error>(TokioIo::new(dialled.await?)) }
            })),
        };
        if channels.len() >= MAX_CHANNELS {
            channels.clear();
        }
        channels.insert(address.to_owned(), channel.clone());
        Ok(channel)
    }

    fn signed<T>(&self, tenant: &TenantId, message: T) -> Result<Request<T>, NoAnswer> {
        let mut request = Request::new(message);
        let said = self.key.sign(tenant, self.clock.now_ns());
        let said = said.parse().map_err(|_| NoAnswer::Wrong("the signature is no header"))?;
        request.metadata_mut().insert(internal::HEADER, said);
        Ok(request)
    }

    async fn rows(
        &self,
        mut client: TailServiceClient<Channel>,
        query: &Query,
        filter_json: &str,
        max_bytes: u64,
        wants: &[Want],
    ) -> Result<Vec<(Coverage, TailPart)>, NoAnswer> {
        let range = query.rest();
        let request = TailRequest {
            tenant: query.tenant.to_string(),
            incarnation: self.incarnation,
            wants: wants.to_vec(),
            filter_json: filter_json.to_owned(),
            start_ns: range.start_ns(),
            end_ns: range.end_ns(),
            forward: query.direction.is_forward(),
            after: query.after.map(|(timestamp_ns, id)| WirePosition { timestamp_ns, id: id.to_string() }),
            limit: u32::try_from(query.limit).unwrap_or(u32::MAX),
            max_bytes,
        };
        let mut stream = client.tail(self.signed(&query.tenant, request)?).await?.into_inner();
        let mut parts = Parts::new(wants);
        while let Some(message) = stream.message().await? {
            match message.kind {
                Some(tail_response::Kind::Coverage(coverage)) => parts.begin(coverage)?,
                Some(tail_response::Kind::Rows(rows)) => {
                    let (want, part) = parts.last(rows.partition)?;
                    for line in rows.lines {
                        let position = self.check(query, want, &line)?;
                        let is_next = part
                            .rows
                            .last()
                            .is_none_or(|last| query.direction.rank(position) > query.direction.rank(last.position));
                        if !is_next || part.rows.len() >= query.limit {
                            return Err(NoAnswer::Wrong("rows out of order, or more than asked for"));
                        }
                        part.rows.push(TailRow { position, line: line.into() });
                    }
                }
                None => return Err(NoAnswer::Wrong("an empty message")),
            }
        }
        parts.finish()
    }

    /// The position of a row, which must be one that was asked for.
    fn check(&self, query: &Query, want: &Want, row: &[u8]) -> Result<Position, NoAnswer> {
        let (Some(timestamp_ns), Some(id)) = (line::timestamp_of(row), line::id_of(row)) else {
            return Err(NoAnswer::Wrong("a row that is no record"));
        };
        let position = (timestamp_ns, id);
        let is_from_there =
            id.incarnation == self.incarnation && id.partition == want.partition && id.offset >= want.from;
        if is_from_there && query.range.contains(timestamp_ns) && query.is_past(position) {
            Ok(position)
        } else {
            Err(NoAnswer::Wrong("a row that was not asked for"))
        }
    }

    async fn services(
        &self,
        mut client: TailServiceClient<Channel>,
        ask: &TailAsk,
        wants: &[Want],
    ) -> Result<Vec<(Coverage, TailPart)>, NoAnswer> {
        let range = ask.range();
        let request = ServicesRequest {
            tenant: ask.tenant().to_string(),
            incarnation: self.incarnation,
            wants: wants.to_vec(),
            start_ns: range.start_ns(),
            end_ns: range.end_ns(),
        };
        let response = client.services(self.signed(ask.tenant(), request)?).await?.into_inner();
        let mut parts = Parts::new(wants);
        for coverage in response.coverages {
            parts.begin(coverage)?;
        }
        for count in response.services {
            let Some((_, part)) = parts.done.iter_mut().find(|(coverage, _)| coverage.partition == count.partition)
            else {
                return Err(NoAnswer::Wrong("a service of a partition that was not asked for"));
            };
            if Service::parse(&count.service).is_err() {
                return Err(NoAnswer::Wrong("a service's name that is none"));
            }
            let told = Count { records: count.records, first_ns: count.first_ns, last_ns: count.last_ns };
            part.services.entry(count.service).or_insert(Count::NONE).add(told);
        }
        parts.finish()
    }

    async fn counts(
        &self,
        mut client: TailServiceClient<Channel>,
        counting: &Counting,
        filter_json: &str,
        wants: &[Want],
    ) -> Result<Vec<(Coverage, TailPart)>, NoAnswer> {
        let request = CountsRequest {
            tenant: counting.tenant.to_string(),
            incarnation: self.incarnation,
            wants: wants.to_vec(),
            filter_json: filter_json.to_owned(),
            start_ns: counting.range.start_ns(),
            end_ns: counting.range.end_ns(),
            step_ns: counting.steps.length_ns(),
            by_service: counting.by_service,
            limit: MAX_CELLS as u32,
        };
        let response = client.counts(self.signed(&counting.tenant, request)?).await?.into_inner();
        let mut parts = Parts::new(wants);
        for coverage in response.coverages {
            parts.begin(coverage)?;
        }
        for count in response.counts {
            let Some((_, part)) = parts.done.iter_mut().find(|(coverage, _)| coverage.partition == count.partition)
            else {
                return Err(NoAnswer::Wrong("a count of a partition that was not asked for"));
            };
            let is_named = if counting.by_service {
                Service::parse(&count.service).is_ok_and(|service| counting.takes(&service))
            } else {
                count.service.is_empty()
            };
            if !is_named || counting.steps.start_of(count.step_ns) != count.step_ns {
                return Err(NoAnswer::Wrong("a count that was not asked for"));
            }
            let levels = LevelCounts::try_from(count.levels).map_err(|_| NoAnswer::Wrong("a count of other levels"))?;
            part.tally.add(&count.service, count.step_ns, &levels);
        }
        parts.all()
    }
}

/// Coverages as they come in: each partition asked for, once, in the order asked.
struct Parts<'a> {
    wants: &'a [Want],
    done: Vec<(Coverage, TailPart)>,
}

impl<'a> Parts<'a> {
    fn new(wants: &'a [Want]) -> Self {
        Self { wants, done: Vec::with_capacity(wants.len()) }
    }

    fn begin(&mut self, coverage: Coverage) -> Result<(), NoAnswer> {
        if self.wants.get(self.done.len()).map(|want| want.partition) != Some(coverage.partition) {
            return Err(NoAnswer::Wrong("a coverage that was not asked for"));
        }
        let part = TailPart { is_truncated: coverage.truncated, scanned: coverage.scanned, ..TailPart::default() };
        self.done.push((coverage, part));
        Ok(())
    }

    fn last(&mut self, partition: u32) -> Result<(&'a Want, &mut TailPart), NoAnswer> {
        let want = self.done.len().checked_sub(1).and_then(|at| self.wants.get(at));
        match (want, self.done.last_mut()) {
            (Some(want), Some((_, part))) if want.partition == partition => Ok((want, part)),
            _ => Err(NoAnswer::Wrong("rows of another partition than their coverage's")),
        }
    }

    fn all(self) -> Result<Vec<(Coverage, TailPart)>, NoAnswer> {
        if self.done.len() == self.wants.len() { Ok(self.done) } else { Err(NoAnswer::Wrong("a coverage is missing")) }
    }

    fn finish(self) -> Result<Vec<(Coverage, TailPart)>, NoAnswer> {
        let done = self.all()?;
        if done.iter().any(|(_, part)| part.is_truncated && part.rows.is_empty()) {
            return Err(NoAnswer::Wrong("rows were left out, and none was sent"));
        }
        Ok(done)
    }
}
