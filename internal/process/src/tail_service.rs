use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use loglake_api::internal::v1::tail_service_server::TailService;
use loglake_api::internal::v1::{
    CountsRequest, CountsResponse, Coverage, Rows, ServiceCount, ServicesRequest, ServicesResponse, StepCount,
    TailRequest, TailResponse, Want, tail_response,
};
use loglake_auth::internal::{self, InternalKey};
use loglake_model::{RecordId, TenantId, TimeRange};
use loglake_search::{Filter, Steps};
use tokio::time::Instant;
use tokio_stream::Stream;
use tonic::{Request, Response, Status};

use crate::counts::CountQuery;
use crate::scan::TailQuery;
use crate::shared::Shared;
use crate::tail::TailView;

/// How long a caller waits for a position that was not reached yet.
const REACH: Duration = Duration::from_secs(1);
/// Bytes of lines in one message of the answer, about.
const ROWS_BYTES: usize = 1 << 20;
/// Partitions that one call may ask for.
const MAX_WANTS: usize = 10_000;
/// Rows, or counts, a partition that one call may ask for.
const MAX_LIMIT: u32 = 100_000;

/// Serves the un-flushed rows of this processor's partitions to queries that prove themselves.
pub(crate) struct Tails {
    pub(crate) shared: Arc<Shared>,
    pub(crate) key: InternalKey,
}

impl Tails {
    /// The tenant that the caller was given a credential for; must be the one it asks about.
    fn tenant<T>(&self, request: &Request<T>, asked: &str) -> Result<TenantId, Status> {
        let refused = || Status::unauthenticated("this call is for Loglake's own roles");
        let header = request.metadata().get(internal::HEADER).and_then(|value| value.to_str().ok());
        let tenant = self.key.verify(header.ok_or_else(refused)?, self.shared.clock.now_ns()).map_err(|_| refused())?;
        if tenant.as_str() == asked {
            Ok(tenant)
        } else {
            Err(Status::permission_denied("the call was signed for another tenant"))
        }
    }

    /// What is held of a wanted partition, once it has reached what was acknowledged, or a second later.
    async fn view(&self, want: &Want, incarnation: u32) -> (Coverage, Option<TailView>) {
        let held = (incarnation == self.shared.incarnation)
            .then(|| self.shared.tails.read().get(&want.partition).cloned())
            .flatten();
        let Some(held) = held else {
            return (Coverage { partition: want.partition, ..Coverage::default() }, None);
        };
        held.reach(want.until, REACH).await;
        let view = held.view(want.from);
        let coverage = Coverage {
            partition: want.partition,
            held: true,
            floor: view.floor,
            position: view.position,
            ..Coverage::default()
        };
        // Rows that may not be used are not looked for.
        let is_covered = view.floor <= want.from && view.position >= want.until;
        (coverage, is_covered.then_some(view))
    }

    /// The same of all `wants`, which are waited for side by side, in their order.
    async fn views(&self, wants: Vec<Want>, incarnation: u32) -> Result<Vec<(Coverage, Option<TailView>)>, Status> {
        let wants = stream::iter(Self::checked_wants(wants)?);
        Ok(wants.map(|want| async move { self.view(&want, incarnation).await }).buffered(64).collect().await)
    }

    fn checked_wants(wants: Vec<Want>) -> Result<Vec<Want>, Status> {
        if wants.len() > MAX_WANTS {
            return Err(Status::invalid_argument(format!("at most {MAX_WANTS} partitions")));
        }
        Ok(wants)
    }

    async fn answer(&self, request: Request<TailRequest>) -> Result<Vec<TailResponse>, Status> {
        let tenant = self.tenant(&request, &request.get_ref().tenant)?;
        let request = request.into_inner();
        let invalid = |what: String| Status::invalid_argument(what);
        let filter: Filter =
            serde_json::from_str(&request.filter_json).map_err(|error| invalid(format!("filter_json: {error}")))?;
        let matcher = filter.compile().map_err(|error| invalid(format!("filter_json: {error}")))?;
        let after = match request.after {
            None => None,
            Some(place) => {
                let id: RecordId = place.id.parse().map_err(|error| invalid(format!("after.id: {error}")))?;
                Some((place.timestamp_ns, id))
            }
        };
        let query = Arc::new(TailQuery {
            tenant,
            matcher,
            services: filter.services,
            range: TimeRange::new(request.start_ns, request.end_ns)
                .ok_or_else(|| invalid("end_ns lies before start_ns".to_owned()))?,
            is_forward: request.forward,
            after,
            limit: request.limit.clamp(1, MAX_LIMIT) as usize,
            max_bytes: request.max_bytes,
        });
        let incarnation = request.incarnation;
        let mut answers = Vec::new();
        for (mut coverage, view) in self.views(request.wants, incarnation).await? {
            let partition = coverage.partition;
            let Some(view) = view else {
                answers.push(TailResponse { kind: Some(tail_response::Kind::Coverage(coverage)) });
                continue;
            };
            let query = Arc::clone(&query);
            let rows = self
                .shared
                .compute(move || query.scan(&view.messages, incarnation, partition))
                .await
                .map_err(|error| Status::internal(format!("scanning the tail: {error}")))?;
            coverage.truncated = rows.is_truncated;
            coverage.scanned = rows.scanned;
            answers.push(TailResponse { kind: Some(tail_response::Kind::Coverage(coverage)) });
            let mut part = Rows { partition, lines: Vec::new() };
            let mut bytes = 0;
            for line in rows.lines {
                if bytes > 0 && bytes + line.len() > ROWS_BYTES {
                    let full = std::mem::replace(&mut part, Rows { partition, lines: Vec::new() });
                    answers.push(TailResponse { kind: Some(tail_response::Kind::Rows(full)) });
                    bytes = 0;
                }
                bytes += line.len();
                part.lines.push(line.into());
            }
            if !part.lines.is_empty() {
                answers.push(TailResponse { kind: Some(tail_response::Kind::Rows(part)) });
            }
        }
        Ok(answers)
    }

    async fn count_steps(&self, request: Request<CountsRequest>) -> Result<CountsResponse, Status> {
        let tenant = self.tenant(&request, &request.get_ref().tenant)?;
        let request = request.into_inner();
        let invalid = |what: String| Status::invalid_argument(what);
        let filter: Filter =
            serde_json::from_str(&request.filter_json).map_err(|error| invalid(format!("filter_json: {error}")))?;
        let matcher = filter.compile().map_err(|error| invalid(format!("filter_json: {error}")))?;
        let limit = request.limit.clamp(1, MAX_LIMIT) as usize;
        let query = Arc::new(CountQuery {
            tenant,
            matcher,
            services: filter.services,
            range: TimeRange::new(request.start_ns, request.end_ns)
                .ok_or_else(|| invalid("end_ns lies before start_ns".to_owned()))?,
            steps: Steps::of(request.step_ns).unwrap_or(Steps::ONE),
            by_service: request.by_service,
            limit,
        });
        let mut response = CountsResponse::default();
        for (mut coverage, view) in self.views(request.wants, request.incarnation).await? {
            let partition = coverage.partition;
            if let Some(view) = view {
                let query = Arc::clone(&query);
                let counted = self
                    .shared
                    .compute(move || query.count(&view.messages))
                    .await
                    .map_err(|error| Status::internal(format!("counting the tail: {error}")))?;
                coverage.scanned = counted.scanned;
                // The whole answer is one message.
                coverage.truncated = counted.is_truncated || response.counts.len() + counted.tally.len() > limit;
                if !coverage.truncated {
                    response.counts.extend(counted.tally.iter().map(|(service, step_ns, levels)| StepCount {
                        partition,
                        service: service.to_owned(),
                        step_ns,
                        levels: levels.to_vec(),
                    }));
                }
            }
            response.coverages.push(coverage);
        }
        Ok(response)
    }

    async fn count(&self, request: Request<ServicesRequest>) -> Result<ServicesResponse, Status> {
        let tenant = self.tenant(&request, &request.get_ref().tenant)?;
        let request = request.into_inner();
        let range = TimeRange::new(request.start_ns, request.end_ns)
            .ok_or_else(|| Status::invalid_argument("end_ns lies before start_ns"))?;
        let mut response = ServicesResponse::default();
        for want in Self::checked_wants(request.wants)? {
            let (coverage, view) = self.view(&want, request.incarnation).await;
            response.coverages.push(coverage);
            let Some(view) = view else { continue };
            let mut counts = BTreeMap::<String, ServiceCount>::new();
            let batches = view.messages.iter().filter_map(|held| held.batch.as_ref().ok());
            for group in batches.filter(|batch| batch.tenant() == tenant.name()).flat_map(|batch| batch.groups()) {
                for record in group.records().filter(|record| range.contains(record.timestamp_ns)) {
                    let service = group.service().as_str();
                    if !counts.contains_key(service) {
                        let fresh = ServiceCount {
                            partition: want.partition,
                            service: service.to_owned(),
                            first_ns: i64::MAX,
                            last_ns: i64::MIN,
                            ..ServiceCount::default()
                        };
                        counts.insert(service.to_owned(), fresh);
                    }
                    if let Some(count) = counts.get_mut(service) {
                        count.records += 1;
                        count.first_ns = count.first_ns.min(record.timestamp_ns);
                        count.last_ns = count.last_ns.max(record.timestamp_ns);
                    }
                }
            }
            response.services.extend(counts.into_values());
        }
        Ok(response)
    }

    fn observe<T>(&self, started: Instant, outcome: &Result<T, Status>) {
        let label = if outcome.is_ok() { "ok" } else { "refused" };
        self.shared.metrics.tail_requests.with_label_values(&[label]).inc();
        self.shared.metrics.tail_seconds.observe(started.elapsed().as_secs_f64());
    }
}

#[tonic::async_trait]
impl TailService for Tails {
    type TailStream = Pin<Box<dyn Stream<Item = Result<TailResponse, Status>> + Send>>;

    async fn tail(&self, request: Request<TailRequest>) -> Result<Response<Self::TailStream>, Status> {
        let started = Instant::now();
        let answer = self.answer(request).await;
        self.observe(started, &answer);
        Ok(Response::new(Box::pin(stream::iter(answer?.into_iter().map(Ok)))))
    }

    async fn services(&self, request: Request<ServicesRequest>) -> Result<Response<ServicesResponse>, Status> {
        let started = Instant::now();
        let answer = self.count(request).await;
        self.observe(started, &answer);
        answer.map(Response::new)
    }

    async fn counts(&self, request: Request<CountsRequest>) -> Result<Response<CountsResponse>, Status> {
        let started = Instant::now();
        let answer = self.count_steps(request).await;
        self.observe(started, &answer);
        answer.map(Response::new)
    }
}
