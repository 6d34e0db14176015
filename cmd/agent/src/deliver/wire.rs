use bytes::{BufMut as _, Bytes};
use loglake_api::ingest::v1::{IngestRequest, IngestResponse, Open, ingest_request};
use prost::Message as _;
use prost::encoding::{WireType, encode_key, encode_varint, encoded_len_varint, key_len};
use tonic::Status;
use tonic::codec::{BufferSettings, Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};

/// `/package.Service/Method` of the stream.
pub(super) const INGEST: &str = "/loglake.ingest.v1.IngestService/Ingest";

/// The field `batch` of `IngestRequest` and the fields `number` and `oldest_unacknowledged` of `Batch`.
const BATCH_TAG: u32 = 2;
const NUMBER_TAG: u32 = 1;
const OLDEST_TAG: u32 = 3;

/// One message to the server. A batch's records are encoded already, so the codec below writes what the generated one would,
/// without holding or walking the records again.
#[derive(Clone, Debug)]
pub(super) enum Frame {
    Open { session_token: String },
    Batch { number: u64, oldest_unacknowledged: u64, payload: Bytes },
}

/// Writes [`Frame`]s, reads [`IngestResponse`]s.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct FrameCodec;

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
        match frame {
            Frame::Open { session_token } => {
                let open =
                    IngestRequest { kind: Some(ingest_request::Kind::Open(Open { session_token, session: true })) };
                open.encode(out).map_err(|error| Status::internal(error.to_string()))
            }
            Frame::Batch { number, oldest_unacknowledged, payload } => {
                // A number of 0 is the default and would not stand on the wire; numbers begin at 1.
                let varint_len = |tag, value| key_len(tag) + encoded_len_varint(value);
                let numbers_len = varint_len(NUMBER_TAG, number) + varint_len(OLDEST_TAG, oldest_unacknowledged);
                let length = numbers_len + payload.len();
                out.reserve(length + 16);
                encode_key(BATCH_TAG, WireType::LengthDelimited, out);
                encode_varint(length as u64, out);
                encode_key(NUMBER_TAG, WireType::Varint, out);
                encode_varint(number, out);
                out.put_slice(&payload);
                encode_key(OLDEST_TAG, WireType::Varint, out);
                encode_varint(oldest_unacknowledged, out);
                Ok(())
            }
        }
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
