use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context as _, bail, ensure};
use bytes::{BufMut as _, Bytes};
use loglake_api::ingest::v1::{IngestRequest, IngestResponse, Open, ingest_request, ingest_response};
use prost::Message as _;
use prost::encoding::{WireType, encode_key, encode_varint, encoded_len_varint, key_len};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;
use tonic::codec::{BufferSettings, Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::Endpoint;

use super::{ANSWER_TIMEOUT, Job, Schedule, Sent};
use crate::corpus::Corpus;

const INGEST: &str = "/loglake.ingest.v1.IngestService/Ingest";
/// The field `batch` of `IngestRequest`, and the fields `number` and `oldest_unacknowledged` of `Batch`.
const BATCH_TAG: u32 = 2;
const NUMBER_TAG: u32 = 1;
const OLDEST_TAG: u32 = 3;

pub(super) async fn send(corpus: &Arc<Corpus>, server: &str, job: &Job) -> anyhow::Result<Sent> {
    let endpoint = Endpoint::from_shared(server.to_owned()).with_context(|| format!("{server} is no address"))?;
    let channel = endpoint.tcp_nodelay(true).connect().await.with_context(|| format!("connecting to {server}"))?;
    let mut client = tonic::client::Grpc::new(channel);
    client.ready().await.context("opening a stream")?;
    let (frames, requests) = mpsc::channel(1);
    frames.send(Frame::Open).await.context("opening a stream")?;
    let mut request = tonic::Request::new(ReceiverStream::new(requests));
    if let Some(tenant) = &job.tenant {
        request.metadata_mut().insert("x-scope-orgid", tenant.parse().context("a tenant's name")?);
    }
    let streaming = client.streaming(request, PathAndQuery::from_static(INGEST), FrameCodec).await;
    let mut answers = streaming.context("opening a stream")?.into_inner();
    let opened = answers.message().await.context("opening a stream")?.and_then(|answer| answer.kind);
    let Some(ingest_response::Kind::Opened(opened)) = opened else { bail!("the server did not open a stream") };

    let schedule = Schedule::begin(corpus, job);
    let mut sent = Sent { acknowledged: 0, refused: 0, took: schedule.started.elapsed(), acknowledgements: Vec::new() };
    // By number: when it was sent or due, and its bytes.
    let mut waiting: BTreeMap<u64, (Instant, u64)> = BTreeMap::new();
    let mut waiting_bytes = 0;
    let mut next = 0;
    loop {
        let has_more = schedule.has(next);
        if !has_more && waiting.is_empty() {
            return Ok(sent);
        }
        let batch = &corpus.batches[next % corpus.batches.len()];
        let fits = waiting.is_empty()
            || waiting.len() < schedule.in_flight && waiting_bytes + batch.bytes() <= opened.max_in_flight_bytes;
        let due = schedule.due(next);
        tokio::select! {
            biased;
            answer = tokio::time::timeout(ANSWER_TIMEOUT, answers.message()), if !waiting.is_empty() => {
                let answer = answer.with_context(|| format!("no acknowledgement for {ANSWER_TIMEOUT:?}"))?;
                let answer = answer.context("reading an acknowledgement")?.context("the server ended the stream")?;
                let Some(ingest_response::Kind::Result(result)) = answer.kind else { bail!("an answer without a result") };
                ensure!(result.retry_reason.is_empty(), "the server could not keep a batch: {}", result.retry_reason);
                let (since, bytes) = waiting.remove(&result.number).context("a result for a batch that was not sent")?;
                waiting_bytes -= bytes;
                sent.acknowledgements.push(since.elapsed());
                sent.acknowledged += result.accepted;
                sent.refused += result.rejected;
                sent.took = schedule.started.elapsed();
            }
            permit = async {
                if let Some(due) = due {
                    tokio::time::sleep_until(due.into()).await;
                }
                frames.reserve().await
            }, if has_more && fits => {
                next += 1;
                let number = next as u64;
                waiting.insert(number, (due.unwrap_or_else(Instant::now), batch.bytes()));
                waiting_bytes += batch.bytes();
                let oldest = waiting.keys().next().copied().unwrap_or(number);
                permit.context("the server ended the stream")?.send(Frame::Batch { number, oldest, payload: batch.payload().clone() });
            }
        }
    }
}

/// One message to the server. A batch's records are encoded already: the client's cost stays out of the way.
#[derive(Clone, Debug)]
enum Frame {
    Open,
    Batch { number: u64, oldest: u64, payload: Bytes },
}

/// Writes [`Frame`]s, reads [`IngestResponse`]s.
#[derive(Clone, Copy, Debug, Default)]
struct FrameCodec;

impl Codec for FrameCodec {
    type Encode = Frame;
    type Decode = IngestResponse;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        *self
    }

    fn decoder(&mut self) -> Self {
        *self
    }
}

impl Encoder for FrameCodec {
    type Item = Frame;
    type Error = Status;

    fn encode(&mut self, frame: Frame, out: &mut EncodeBuf<'_>) -> Result<(), Status> {
        let Frame::Batch { number, oldest, payload } = frame else {
            let open = Open { session_token: String::new(), session: true };
            let open = IngestRequest { kind: Some(ingest_request::Kind::Open(open)) };
            return open.encode(out).map_err(|error| Status::internal(error.to_string()));
        };
        let varint_len = |tag, value| key_len(tag) + encoded_len_varint(value);
        let length = varint_len(NUMBER_TAG, number) + varint_len(OLDEST_TAG, oldest) + payload.len();
        out.reserve(length + 16);
        encode_key(BATCH_TAG, WireType::LengthDelimited, out);
        encode_varint(length as u64, out);
        encode_key(NUMBER_TAG, WireType::Varint, out);
        encode_varint(number, out);
        out.put_slice(&payload);
        encode_key(OLDEST_TAG, WireType::Varint, out);
        encode_varint(oldest, out);
        Ok(())
    }

    fn buffer_settings(&self) -> BufferSettings {
        BufferSettings::new(64 * 1024, 256 * 1024)
    }
}

impl Decoder for FrameCodec {
    type Item = IngestResponse;
    type Error = Status;

    fn decode(&mut self, input: &mut DecodeBuf<'_>) -> Result<Option<IngestResponse>, Status> {
        IngestResponse::decode(input).map(Some).map_err(|error| Status::internal(error.to_string()))
    }
}
