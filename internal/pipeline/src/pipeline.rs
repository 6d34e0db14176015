use loglake_model::{Fault, FaultCode, Level, Record, Service, limits};

use crate::{Config, render, validate};

/// Validates, normalises and renders records.
#[derive(Clone, Debug)]
pub struct Pipeline {
    pub(crate) config: Config,
}

/// What a message must know of a rendered record beside its line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rendered {
    /// Event time, ns UTC since the epoch, as it stands in the line.
    pub timestamp_ns: i64,
    /// The level, where it has one.
    pub level: Option<Level>,
    /// The service.
    pub service: Service,
    /// The trace id as it stands in the line; empty for none.
    pub trace_id: String,
}

/// What `max_age` and `max_future` are measured from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Measured {
    /// `max_age` counts from here, ns UTC.
    pub earliest_ns: i64,
    /// `max_future` counts from here, ns UTC.
    pub latest_ns: i64,
}

impl Measured {
    /// From the time of receipt.
    #[must_use]
    pub fn at(received_at_ns: i64) -> Self {
        Self { earliest_ns: received_at_ns, latest_ns: received_at_ns }
    }
}

impl Pipeline {
    /// Makes a pipeline.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self { config }
    }

    /// [`Pipeline::render_measured`] with times measured from the time of receipt.
    ///
    /// # Errors
    /// The same.
    pub fn render(&self, record: Record, received_at_ns: i64, out: &mut Vec<u8>) -> Result<Rendered, Fault> {
        self.render_measured(record, received_at_ns, Measured::at(received_at_ns), out)
    }

    /// Validates `record`, received at `received_at_ns` (UTC), its time by `measured`, and appends its canonical line (no `id`, no line feed) to
    /// `out`. The record's attributes must have distinct keys and hold compact JSON, as the decoders leave them.
    ///
    /// # Errors
    /// The first fault found, by the table at the top of this crate; nothing was appended then.
    pub fn render_measured(
        &self,
        mut record: Record,
        received_at_ns: i64,
        measured: Measured,
        out: &mut Vec<u8>,
    ) -> Result<Rendered, Fault> {
        let service = validate::service(&record.service)?;
        validate::texts(&record)?;
        validate::lists(&mut record)?;
        let timestamp_ns = validate::timestamp(&self.config, record.timestamp_ns, received_at_ns, measured)?;
        validate::lower_hex(&mut record.trace_id, 32);
        validate::lower_hex(&mut record.span_id, 16);
        validate::lower_hex(&mut record.parent_span_id, 16);

        let start = out.len();
        let received_at_ns = self.config.keep_received_at.then_some(received_at_ns);
        render::line(out, &record, &service, timestamp_ns, received_at_ns);
        let length = out.len() - start;
        if length > limits::RECORD_BYTES {
            out.truncate(start);
            let message = format!("a record has at most {} bytes as a line of JSON", limits::RECORD_BYTES);
            let fault = Fault::new(FaultCode::TooLarge, "", message);
            return Err(fault.with_limit(limits::RECORD_BYTES as u64, length as u64));
        }
        Ok(Rendered { timestamp_ns, level: record.level, service, trace_id: record.trace_id })
    }
}
