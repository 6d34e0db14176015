//! From records to messages: each is validated, and written as its line into the message of its partition.

use std::collections::{BTreeMap, HashMap};

use loglake_api::Refusal;
use loglake_auth::limits::{Limit, Over, Quota};
use loglake_batch::repeats::MAX_PARTS;
use loglake_batch::{BatchBuilder, Head, MAX_MINUTES, Origin, Written};
use loglake_model::{ErrorKind, Fault, FaultCode, RawRecord, Record, Service, TenantId, limits, partition_of};
use loglake_pipeline::Measured;
use tracing::error;

use crate::intake::{Gathered, Intake, MAX_TOLD, Message, Refused};
use crate::shared::refusal_of;

/// After how many records others get their turn on this thread.
const RECORDS_A_TURN: u64 = 256;

/// The span of event time that counts as one window: an hour, as long as processors have nothing else set.
const WINDOW_NS: i64 = 3_600_000_000_000;

/// Records on their way to becoming messages.
pub(crate) struct Gathering<'a> {
    intake: &'a Intake,
    tenant: TenantId,
    received_at_ns: i64,
    origin: Origin,
    partitions: u32,
    measured: Measured,
    /// The services met so far, and where each stands in `routes`.
    by_name: HashMap<Service, usize>,
    routes: Vec<Route>,
    /// The route of the last record: the next one may well have the same.
    last: usize,
    /// The message that each partition is at, and where each partition stands there.
    open: Vec<(u32, BatchBuilder)>,
    by_partition: HashMap<u32, usize>,
    full: Vec<(u32, BatchBuilder)>,
    line: Vec<u8>,
    line_bytes: u64,
    turn: u64,
    refused: u64,
    told: Vec<Refused>,
    quota: Quota,
    /// The first record that the tenant has no room for at the moment.
    over: Option<(u64, Over)>,
    /// The first record whose refusal depends on when it came, where none may.
    untimely: Option<Refused>,
}

/// Why a record is not taken.
enum Unfit {
    /// It breaks a rule.
    Fault(Fault),
    /// Its tenant has no room for it at the moment.
    Over(Over),
}

impl From<Fault> for Unfit {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

/// Where the records of a service go.
struct Route {
    service: Service,
    /// The window of the last record that was let in.
    window: Option<i64>,
    /// Which of the open messages.
    open: usize,
    /// Which of its groups, as far as is known.
    group: Option<usize>,
}

impl<'a> Gathering<'a> {
    pub(crate) fn new(
        intake: &'a Intake,
        tenant: &TenantId,
        received_at_ns: i64,
        measured: Measured,
        partitions: u32,
        origin: Origin,
        quota: Quota,
    ) -> Self {
        Self {
            intake,
            tenant: tenant.clone(),
            received_at_ns,
            origin,
            partitions,
            measured,
            by_name: HashMap::new(),
            routes: Vec::new(),
            last: 0,
            open: Vec::new(),
            by_partition: HashMap::new(),
            full: Vec::new(),
            line: Vec::new(),
            line_bytes: 0,
            turn: 0,
            refused: 0,
            told: Vec::new(),
            quota,
            over: None,
            untimely: None,
        }
    }

    /// Takes a record that its decoder has left as slices; false, and nothing is changed, when [`Gathering::take`] is to decide about it.
    pub(crate) fn take_raw(&mut self, raw: &RawRecord<'_>) -> bool {
        let (pipeline, received_at_ns) = (&self.intake.pipeline, self.received_at_ns);
        let Some(timestamp_ns) = pipeline.time_of_raw(raw, received_at_ns, self.measured) else { return false };
        // There are at most as many as commas, and one.
        let may_be_many = |most: u64| {
            !raw.attributes.is_empty() && raw.attributes.iter().filter(|byte| **byte == b',').count() as u64 >= most
        };
        if self.most_attributes().is_some_and(may_be_many) {
            return false;
        }
        let Ok(route) = self.route(raw.service, timestamp_ns) else { return false };
        let written = self.add(route, |builder, service, group| {
            let head = Head { service, timestamp_ns, level: raw.level, trace_id: raw.trace_id };
            builder.write(head, group, |out| pipeline.rest_of_raw(raw, received_at_ns, out))
        });
        written.is_ok()
    }

    /// Takes the record at `place`, or the fault that its decoder found.
    pub(crate) fn take(&mut self, place: u64, record: Result<Record, Fault>) {
        let Err(refused) = record.map_err(Unfit::Fault).and_then(|record| self.render(record)) else { return };
        let fault = match refused {
            Unfit::Fault(fault) => fault,
            Unfit::Over(over) => {
                self.intake.metrics.limited(&self.tenant, over.limit);
                self.over.get_or_insert((place, over));
                over.fault()
            }
        };
        self.intake.metrics.refused(&self.tenant, fault.code);
        self.refused += 1;
        let is_untimely = matches!(fault.code, FaultCode::TooFarAhead | FaultCode::TooOld);
        if is_untimely && matches!(self.origin, Origin::Key(_)) && self.untimely.is_none() {
            self.untimely = Some(Refused { place, fault: fault.clone() });
        }
        if self.told.len() < MAX_TOLD {
            self.told.push(Refused { place, fault });
        }
    }

    /// Now and then, called after each record, lets others have their turn.
    pub(crate) async fn turn(&mut self) {
        self.turn += 1;
        if self.turn.is_multiple_of(RECORDS_A_TURN) {
            tokio::task::yield_now().await;
        }
    }

    /// How many were refused so far.
    pub(crate) fn refused(&self) -> u64 {
        self.refused
    }

    /// The most attributes a record of this tenant may have, where that is less than any may.
    fn most_attributes(&self) -> Option<u64> {
        self.quota.limits().most(Limit::Attributes).filter(|most| *most < limits::ATTRIBUTES as u64)
    }

    fn render(&mut self, record: Record) -> Result<(), Unfit> {
        let mut line = std::mem::take(&mut self.line);
        line.clear();
        let rendered = self.render_with(record, &mut line);
        self.line = line;
        rendered
    }

    fn render_with(&mut self, record: Record, line: &mut Vec<u8>) -> Result<(), Unfit> {
        let internal =
            || Fault::new(FaultCode::Internal, "", "the record could not be stored; this is a fault of the server");
        let attributes = record.attributes.len() as u64;
        if let Some(most) = self.most_attributes().filter(|most| attributes > *most) {
            self.intake.metrics.limited(&self.tenant, Limit::Attributes);
            let message = format!("a record of this tenant has at most {most} attributes");
            return Err(Fault::new(FaultCode::TooMany, "attributes", message).with_limit(most, attributes).into());
        }
        let pipeline = &self.intake.pipeline;
        let rendered = pipeline.render_measured(record, self.received_at_ns, self.measured, line)?;
        let route = self
            .route(rendered.service.as_str(), rendered.timestamp_ns)
            .map_err(|none| none.map_or_else(|| internal().into(), Unfit::Over))?;
        let added = self.add(route, |builder, service, _| {
            builder.push(service, rendered.timestamp_ns, rendered.level, &rendered.trace_id, line)
        });
        added.map_err(|error| {
            error!(%error, "rendered record does not fit its message");
            internal().into()
        })
    }

    /// The route of the service `name`, for a record of `timestamp_ns`.
    ///
    /// # Errors
    /// The limit, where the tenant has no room for one more service or window; `None` for a name that is none.
    fn route(&mut self, name: &str, timestamp_ns: i64) -> Result<usize, Option<Over>> {
        let is_last = self.routes.get(self.last).is_some_and(|route| route.service.as_str() == name);
        if !is_last {
            self.last = match self.by_name.get(name) {
                Some(route) => *route,
                None => {
                    let service = Service::parse(name).map_err(|_| None)?;
                    self.quota.admit(name, self.received_at_ns)?;
                    self.new_route(service)
                }
            };
        }
        // Records mostly come in order: the window rarely changes.
        let window = timestamp_ns.div_euclid(WINDOW_NS);
        if let Some(route) = self.routes.get_mut(self.last)
            && route.window != Some(window)
        {
            self.quota.admit_window(name, window, self.received_at_ns)?;
            route.window = Some(window);
        }
        Ok(self.last)
    }

    fn new_route(&mut self, service: Service) -> usize {
        let partition = partition_of(&self.tenant, &service, self.partitions);
        let open = *self.by_partition.entry(partition).or_insert_with(|| {
            self.open.push((partition, BatchBuilder::new(&self.tenant, self.received_at_ns, self.origin.clone())));
            self.open.len() - 1
        });
        self.by_name.insert(service.clone(), self.routes.len());
        self.routes.push(Route { service, window: None, open, group: None });
        self.routes.len() - 1
    }

    /// Adds a record by `put` to the message that its route leads to, or to the next one where it does not fit. `put` adds nothing when it
    /// fails.
    fn add(
        &mut self,
        route: usize,
        put: impl Fn(&mut BatchBuilder, &Service, Option<usize>) -> Result<Written, loglake_batch::Error>,
    ) -> Result<(), loglake_batch::Error> {
        let Route { service, window: _, open, group } = &mut self.routes[route];
        let (partition, builder) = &mut self.open[*open];
        let fresh = || BatchBuilder::new(&self.tenant, self.received_at_ns, self.origin.clone());
        // A builder that counts minutes ends at another record when a time of receipt falls into another minute: where repeats are
        // told apart it ends before.
        let may_count = self.origin == Origin::None || builder.records() < MAX_MINUTES;
        let takes_any = builder.is_empty() || (may_count && builder.has_minutes());
        if !takes_any {
            self.full.push((*partition, std::mem::replace(builder, fresh())));
        }
        let mut written = put(builder, service, *group);
        if matches!(written, Err(loglake_batch::Error::Full { .. })) && !builder.is_empty() {
            self.full.push((*partition, std::mem::replace(builder, fresh())));
            written = put(builder, service, *group);
        }
        let written = written?;
        *group = Some(written.group);
        self.line_bytes += written.line_bytes as u64;
        Ok(())
    }

    /// Ends it.
    ///
    /// # Errors
    /// `Invalid` when a record of a request with a key lies outside of the times allowed: none of it is kept. `Exhausted` when the
    /// tenant has no room for the service of one of its records, where repeats are told apart: none of it either. `TooLarge` when
    /// it alone has more services than the tenant may, or
    /// one partition gets more messages than can be told apart. `Internal` when a message could not be written, which only
    /// happens when the clock shows a time before 1970.
    pub(crate) fn finish(self) -> Result<Gathered, Refusal> {
        if let Some(Refused { place, mut fault }) = self.untimely {
            let what = "none of a request with a key is kept when one of its records lies outside of the times allowed";
            fault.message = format!("{what}; record {place}: {}", fault.message);
            return Err(fault.into());
        }
        if let Some((place, over)) = self.over
            && self.origin != Origin::None
        {
            // This request alone has more than all places: waiting does not help.
            let never = over.limit == Limit::Services && self.routes.len() as u64 >= over.most;
            let over = Over { wait: over.wait.filter(|_| !never), ..over };
            let mut refusal = refusal_of(&over);
            let what =
                "none of a request that may be sent again is kept when the tenant has no room for one of its services";
            refusal.fault.message = format!("{what}; record {place}: {}", refusal.fault.message);
            return Err(refusal);
        }
        let mut builders: BTreeMap<u32, Vec<BatchBuilder>> = BTreeMap::new();
        for (partition, builder) in self.full.into_iter().chain(self.open).filter(|(_, builder)| !builder.is_empty()) {
            builders.entry(partition).or_default().push(builder);
        }
        let mut messages: BTreeMap<u32, Vec<Message>> = BTreeMap::new();
        let deadline_ns = self.origin.deadline_ns();
        for (partition, builders) in builders {
            let parts = u32::try_from(builders.len()).unwrap_or(u32::MAX);
            if parts > MAX_PARTS && deadline_ns.is_some() {
                let message = "too many bytes for one partition: cut the request into several";
                let fault = Fault::new(FaultCode::TooLarge, "", message);
                return Err(fault.with_limit(u64::from(MAX_PARTS), u64::from(parts)).into());
            }
            for (part, mut builder) in (0..).zip(builders) {
                builder.set_part(part, parts);
                let records = builder.records() as u64;
                let payload = builder.finish();
                let payload = payload.map_err(|error| Refusal::new(ErrorKind::Internal, error.to_string()))?;
                messages.entry(partition).or_default().push(Message { payload, records });
            }
        }
        let (line_bytes, refused, told, over) = (self.line_bytes, self.refused, self.told, self.over);
        Ok(Gathered { tenant: self.tenant, messages, deadline_ns, line_bytes, refused, told, over })
    }
}

#[cfg(test)]
mod tests;
