use std::sync::Arc;
use std::time::Instant;

use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use loglake_api::{Refusal, status};
use loglake_auth::limits::{Over, Quota, Quotas};
use loglake_auth::{Authenticator, Caller};
use loglake_model::{Clock, ErrorKind, Fault, TenantName};
use loglake_transport::{Crowded, Work, Worker, Working};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::Config;
use crate::budget::Budget;
use crate::inflate::Inflater;
use crate::intake::Intake;
use crate::metrics::Metrics;
use crate::origins::Origins;

/// What both surfaces work with.
pub(crate) struct Shared {
    pub(crate) config: Config,
    pub(crate) intake: Intake,
    pub(crate) origins: Origins,
    pub(crate) auth: Arc<Authenticator>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) metrics: Metrics,
    /// What the tenants have taken of their limits.
    pub(crate) quotas: Quotas,
    /// Bytes of requests in flight in this process.
    pub(crate) budget: Budget,
    /// Bytes of batches that streams have read and wait with until there is room for them in `budget`.
    pub(crate) waiting: Budget,
    /// Bytes of gRPC messages that have not come to their end.
    pub(crate) unfinished: Budget,
    /// Calls that need no credential, going on at the moment over gRPC.
    pub(crate) strangers: Arc<Semaphore>,
    /// Decompresses bodies and messages.
    pub(crate) inflater: Inflater,
    /// Cancelled when the order to stop came.
    pub(crate) draining: CancellationToken,
}

impl Shared {
    /// Counts a request or batch that ended, and how long its answer took if it was begun at all.
    pub(crate) fn count(&self, protocol: &str, failure: Option<ErrorKind>, began: Option<Instant>) {
        let outcome = failure.map_or("ok", ErrorKind::as_str);
        self.metrics.requests.with_label_values(&[protocol, outcome]).inc();
        if let Some(began) = began {
            self.metrics.ack_seconds.with_label_values(&[protocol]).observe(began.elapsed().as_secs_f64());
        }
    }
}

impl Shared {
    /// The quota of `tenant` now.
    pub(crate) fn quota(&self, tenant: &TenantName) -> Quota {
        self.quotas.of(tenant, self.clock.now_ns())
    }

    /// The refusal of a request of `tenant` that passes a limit.
    pub(crate) fn over(&self, tenant: &TenantName, over: &Over) -> Refusal {
        self.metrics.limited(tenant, over.limit);
        refusal_of(over)
    }
}

/// What is over a limit, as a refusal: it says when to come again.
pub(crate) fn refusal_of(over: &Over) -> Refusal {
    let mut refusal = Refusal::from(over.fault());
    refusal.retry_after = over.wait;
    refusal
}

/// The refusal of a caller who may not do this.
pub(crate) fn unwelcome(error: &loglake_auth::Error) -> Refusal {
    let kind = error.kind();
    Refusal::of(kind, Fault::new(status::code(kind), error.field(), error.to_string()))
}

/// Tells the rest of the way who `caller` is, and the connection that it is at work for it. For calls that need no credential it is
/// not: strangers must not keep places.
///
/// # Errors
/// `Exhausted` when its tenant has too many connections at work already.
pub(crate) fn at_work(request: &mut Request, caller: Option<Caller>) -> Result<Option<Work>, Refusal> {
    let Some(caller) = caller else { return Ok(None) };
    let extensions = request.extensions_mut();
    let work = extensions.get::<Worker>().map(|worker| worker.work_for(caller.tenant().as_str()));
    extensions.insert(caller);
    work.transpose().map_err(|Crowded| {
        Refusal::new(
            ErrorKind::Exhausted,
            "the tenant has most of the connections at work here: use fewer, or come again",
        )
    })
}

/// Keeps `work` until the answer was taken or given up.
pub(crate) fn while_at_work(answer: Response, work: Option<Work>) -> Response {
    match work {
        Some(work) => answer.map(|body| Body::new(Working::new(body, work))),
        None => answer,
    }
}

/// The refusal when too many calls of strangers go on already.
pub(crate) fn too_many_strangers() -> Refusal {
    Refusal::new(ErrorKind::Exhausted, "too many calls without a credential go on at the moment: try again")
}

/// The refusal when too much is in flight already.
pub(crate) fn too_busy() -> Refusal {
    Refusal::new(ErrorKind::Exhausted, "too many bytes are waiting to become durable: try again in a moment")
}

/// The refusal when the order to stop has come.
pub(crate) fn going_down() -> Refusal {
    Refusal::new(ErrorKind::Unavailable, "this ingestor is shutting down: connect again")
}
