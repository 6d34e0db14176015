//! Messages of the ingest protocol: read record by record they are what protobuf reads at once.

use loglake_api::RawBatch;
use loglake_api::ingest::raw;
use loglake_api::ingest::v1::{self, Batch, LogRecord};
use loglake_api::internal::v1::{CountsRequest, ServicesRequest, TailRequest, TailResponse};
use prost::Message;

use crate::memory;

/// Takes an input. The first byte: which message.
pub fn run(data: &[u8]) {
    let Some((kind, bytes)) = data.split_first() else { return };
    // An empty record of two bytes stands in 32, a vector that grows has up to three times what it holds.
    let most = 48 * bytes.len() + (64 << 10);
    match kind % 4 {
        0 => {
            let raw = memory::at_most(most, || RawBatch::decode(bytes));
            batch(bytes, raw);
        }
        1 => request(bytes),
        2 => one_form::<TailRequest>(bytes),
        _ => {
            one_form::<TailResponse>(bytes);
            one_form::<ServicesRequest>(bytes);
            one_form::<CountsRequest>(bytes);
        }
    }
}

/// Inputs to begin with.
#[must_use]
pub fn seeds() -> Vec<Vec<u8>> {
    let record = LogRecord { service: "api".to_owned(), message: "m".to_owned(), ..LogRecord::default() };
    let batch = Batch { number: 7, records: vec![record.clone(), LogRecord::default(), record], oldest_unacknowledged: 5 };
    let open = v1::Open { session_token: "s1.acme".to_owned(), session: true };
    let request = |kind| v1::IngestRequest { kind: Some(kind) }.encode_to_vec();
    vec![
        [&[0], &batch.encode_to_vec()[..]].concat(),
        [&[1], &request(v1::ingest_request::Kind::Batch(batch))[..]].concat(),
        [&[1], &request(v1::ingest_request::Kind::Open(open))[..]].concat(),
        [&[2], &TailRequest { tenant: "acme".to_owned(), filter_json: "{}".to_owned(), ..Default::default() }.encode_to_vec()[..]]
            .concat(),
    ]
}

fn batch(bytes: &[u8], raw: Result<RawBatch, prost::DecodeError>) {
    if let Ok(raw) = &raw {
        assert_eq!(RawBatch::decode(&raw.encode_to_vec()[..]).as_ref(), Ok(raw));
        assert_eq!(raw.encoded_len(), raw.encode_to_vec().len());
    }
    // What protobuf takes, the raw one takes; what the raw one takes and protobuf does not has a record that is none.
    let whole = Batch::decode(bytes).ok();
    let by_record = raw.ok().and_then(|raw| of_raw(&raw));
    assert_eq!(by_record, whole);
}

fn of_raw(raw: &RawBatch) -> Option<Batch> {
    let records = raw.records.iter().map(|record| LogRecord::decode(record.clone()).ok());
    let (number, oldest_unacknowledged) = (raw.number, raw.oldest_unacknowledged);
    Some(Batch { number, records: records.collect::<Option<_>>()?, oldest_unacknowledged })
}

/// A request with both of its kinds, of which the last counts.
#[derive(Clone, PartialEq, prost::Message)]
struct Both {
    #[prost(message, tag = "1")]
    open: Option<v1::Open>,
    #[prost(message, tag = "2")]
    batch: Option<RawBatch>,
}

fn request(bytes: &[u8]) {
    let whole = v1::IngestRequest::decode(bytes).ok().map(|request| request.kind);
    let by_record = raw::IngestRequest::decode(bytes).ok().and_then(|request| match request.kind {
        None => Some(None),
        Some(raw::ingest_request::Kind::Open(open)) => Some(Some(v1::ingest_request::Kind::Open(open))),
        Some(raw::ingest_request::Kind::Batch(raw)) => Some(Some(v1::ingest_request::Kind::Batch(of_raw(&raw)?))),
    });
    if by_record != whole {
        // Nobody looks at the records of a batch that something else has taken the place of.
        let both = Both::decode(bytes).expect("it was read");
        let is_replaced = both.open.is_some() && both.batch.is_some();
        assert!(whole.is_none() && is_replaced, "{by_record:?} for {whole:?}");
    }
}

fn one_form<M: Message + Default + PartialEq + std::fmt::Debug>(bytes: &[u8]) {
    if let Ok(message) = M::decode(bytes) {
        assert_eq!(M::decode(&message.encode_to_vec()[..]).as_ref(), Ok(&message));
    }
}
