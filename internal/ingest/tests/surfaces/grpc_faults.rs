use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use http::uri::PathAndQuery;
use loglake_api::RawBatch;
use loglake_api::ingest::v1::ingest_request::Kind;
use loglake_api::ingest::v1::{Batch, BatchResult, IngestRequest, Open};
use loglake_auth::Authenticator;
use loglake_ingest::Config;
use prost::Message as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tonic::Code;
use tonic::codec::CompressionEncoding;
use tonic_types::StatusExt as _;

use crate::grpc::Talk;
use crate::harness::{Harness, Mode, SOON, record};

#[tokio::test]
async fn a_stream_that_breaks_the_order_ends_after_what_it_sent_rightly_was_answered() {
    let harness = Harness::open().await;
    let batch = |number| Kind::Batch(Batch { number, records: vec![record("api", "m")], ..Batch::default() });
    let open = || Kind::Open(Open::default());
    let unknown = Kind::Open(Open { session_token: "s".to_owned(), session: false });
    let cases: [(Vec<Option<Kind>>, Code, &str, usize); 8] = [
        (vec![Some(batch(0))], Code::InvalidArgument, "open", 0),
        (vec![None], Code::InvalidArgument, "kind", 0),
        (vec![Some(unknown)], Code::NotFound, "session_token", 0),
        (vec![Some(open()), Some(open())], Code::InvalidArgument, "open", 0),
        (vec![Some(open()), Some(batch(5)), Some(batch(4))], Code::InvalidArgument, "number", 1),
        (vec![Some(open()), Some(batch(5)), Some(batch(5))], Code::InvalidArgument, "number", 1),
        (vec![Some(open()), Some(batch(5)), Some(batch(6)), Some(batch(8))], Code::InvalidArgument, "number", 2),
        (vec![Some(open()), Some(batch(u64::MAX)), Some(batch(0))], Code::InvalidArgument, "number", 1),
    ];
    for (at, (messages, code, field, results)) in cases.into_iter().enumerate() {
        let before = harness.broker.stored().len();
        let mut talk = Talk::silent(&harness).await;
        for kind in messages {
            talk.requests.send(IngestRequest { kind }).await.unwrap();
        }
        let mut answered = 0;
        let status = loop {
            match talk.next().await.unwrap() {
                Ok(answer) => answered += usize::from(format!("{answer:?}").contains("BatchResult")),
                Err(status) => break status,
            }
        };
        assert_eq!((at, status.code(), answered), (at, code, results), "{status:?}");
        assert_eq!(status.get_details_error_info().unwrap().metadata["field"], field);
        assert_eq!(harness.broker.stored().len() - before, results);
    }
    harness.stop().await;
}

#[tokio::test]
async fn a_broker_that_fails_is_told_batch_by_batch_and_the_stream_goes_on() {
    let harness = Harness::open().await;
    let (mut talk, _) = Talk::open(&harness).await;
    harness.broker.become_(Mode::FailsAfter(1));
    let both = || vec![record("api", "m"), record("web", "n"), record("", "x")];
    talk.batch(0, both()).await;
    let result = talk.result().await;
    assert_eq!((result.accepted, result.rejected), (1, 1));
    assert!(!result.retry_reason.is_empty());
    harness.broker.become_(Mode::Works);
    talk.batch(1, both()).await;
    let result = talk.result().await;
    assert_eq!((result.accepted, result.rejected, result.retry_reason.as_str()), (2, 1, ""));
    assert_eq!(harness.broker.stored().len(), 3);

    let asked = harness.broker.asked_so_far();
    harness.broker.become_(Mode::FailsAfter(asked + 1));
    let mut client = harness.client().await;
    let status = client.ingest_batch(Batch { number: 0, records: both(), ..Batch::default() }).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    let info = status.get_details_error_info().unwrap();
    assert_eq!((info.reason.as_str(), info.metadata["accepted"].as_str()), ("UNAVAILABLE", "1"));
    assert!(status.get_details_retry_info().is_some());
    harness.broker.become_(Mode::IsFull);
    let status = client.ingest_batch(Batch { number: 0, records: both(), ..Batch::default() }).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted);
    harness.stop().await;
}

#[tokio::test]
async fn messages_over_the_limit_are_refused_and_others_served() {
    let config = Config { max_body_bytes: 64 << 10, ..Config::default() };
    let harness = Harness::with(config, Authenticator::open()).await;
    let large = || Batch { number: 0, records: vec![record("api", &"x".repeat(65 << 10))], ..Batch::default() };
    for compression in [None, Some(CompressionEncoding::Gzip), Some(CompressionEncoding::Zstd)] {
        let mut client = harness.client().await;
        if let Some(compression) = compression {
            client = client.send_compressed(compression);
        }
        let status = client.ingest_batch(large()).await.unwrap_err();
        assert!(matches!(status.code(), Code::OutOfRange | Code::ResourceExhausted), "{compression:?} {status:?}");
    }
    let (mut talk, _) = Talk::open(&harness).await;
    talk.send(Kind::Batch(large())).await;
    assert_eq!(talk.end().await.unwrap().code(), Code::OutOfRange);
    let result = harness
        .client()
        .await
        .ingest_batch(Batch { number: 0, records: vec![record("a", "m")], ..Batch::default() })
        .await;
    assert_eq!(result.unwrap().into_inner().accepted, 1);
    assert_eq!(harness.broker.stored().len(), 1);
    harness.stop().await;
}

#[tokio::test]
async fn for_strangers_nothing_is_decompressed() {
    use tonic_health::pb::HealthCheckRequest;
    use tonic_health::pb::health_client::HealthClient;

    let harness = Harness::open().await;
    let channel = harness.channel().await;
    let answer = HealthClient::new(channel.clone()).check(HealthCheckRequest::default()).await;
    assert!(answer.is_ok(), "{answer:?}");
    for compression in [CompressionEncoding::Gzip, CompressionEncoding::Zstd] {
        let mut client = HealthClient::new(channel.clone()).send_compressed(compression);
        let refused = client.check(HealthCheckRequest::default()).await.unwrap_err();
        assert_eq!(refused.code(), Code::Unimplemented, "{refused:?}");
    }
    harness.stop().await;
}

#[tokio::test]
async fn a_batch_in_which_a_record_is_none_is_refused_whole() {
    let harness = Harness::open().await;
    let good = Bytes::from(record("api", "m").encode_to_vec());
    // A text past its end; one that is not UTF-8, in a field that comes again.
    for bad in [&b"\x22\x09abc"[..], b"\x22\x01\xff\x22\x01a\x1a\x01s"] {
        let records = vec![good.clone(), Bytes::from_static(bad), good.clone()];
        let mut client = tonic::client::Grpc::new(harness.channel().await);
        client.ready().await.unwrap();
        let codec = tonic_prost::ProstCodec::<RawBatch, BatchResult>::default();
        let path = PathAndQuery::from_static("/loglake.ingest.v1.IngestService/IngestBatch");
        let request = tonic::Request::new(RawBatch { number: 1, records, ..RawBatch::default() });
        let status = client.unary(request, path, codec).await.unwrap_err();
        assert_eq!(status.code(), Code::Internal, "{status:?}");
        assert!(status.message().contains("Protobuf"), "{status:?}");
    }
    assert_eq!(harness.broker.stored(), []);
    harness.stop().await;
}

#[tokio::test]
async fn small_things_in_large_numbers_are_refused_before_they_take_memory() {
    let harness = Harness::open().await;
    // Two bytes each: records of nothing, and a record of nothing but tags.
    let records = vec![Bytes::new(); RawBatch::MAX_RECORDS + 1];
    let tags = Bytes::from([&record("api", "m").encode_to_vec()[..], &b"\x4a\x00".repeat(3 << 20)].concat());
    let mut client = tonic::client::Grpc::new(harness.channel().await).send_compressed(CompressionEncoding::Zstd);
    let path = PathAndQuery::from_static("/loglake.ingest.v1.IngestService/IngestBatch");
    let mut send = async |records: Vec<Bytes>| {
        client.ready().await.unwrap();
        let codec = tonic_prost::ProstCodec::<RawBatch, BatchResult>::default();
        let request = tonic::Request::new(RawBatch { number: 1, records, ..RawBatch::default() });
        client.unary(request, path.clone(), codec).await
    };
    let refused = send(records).await.unwrap_err();
    assert_eq!(refused.code(), Code::OutOfRange, "{refused:?}");
    assert!(refused.message().contains("too many records"), "{refused:?}");
    let good = Bytes::from(record("api", "good").encode_to_vec());
    let result = send(vec![tags, good]).await.unwrap().into_inner();
    assert_eq!((result.accepted, result.rejected), (1, 1), "{result:?}");
    assert_eq!((result.errors[0].record_index, result.errors[0].code.as_str()), (0, "too_large"), "{result:?}");
    assert_eq!(harness.broker.stored().len(), 1);
    harness.stop().await;
}

#[tokio::test]
async fn single_batches_past_the_bytes_in_flight_are_told_to_come_back() {
    let config = Config {
        in_flight_bytes: 100 << 10,
        max_body_bytes: 100 << 10,
        max_decoded_bytes: 100 << 10,
        ..Config::default()
    };
    let harness = Harness::with(config, Authenticator::open()).await;
    harness.broker.become_(Mode::Stalls);
    let (mut talk, _) = Talk::open(&harness).await;
    talk.batch(0, vec![record("api", &"x".repeat(80 << 10))]).await;
    harness.broker.asked(1).await;
    let batch = Batch { number: 0, records: vec![record("api", &"x".repeat(30 << 10))], ..Batch::default() };
    let status = harness.client().await.ingest_batch(batch.clone()).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted);
    assert!(status.get_details_retry_info().is_some());
    harness.broker.become_(Mode::Works);
    assert_eq!(talk.result().await.accepted, 1);
    assert_eq!(harness.client().await.ingest_batch(batch).await.unwrap().into_inner().accepted, 1);
    harness.stop().await;
}

#[tokio::test]
async fn a_client_that_takes_no_answers_keeps_no_bytes_from_others() {
    let config = Config { in_flight_bytes: 16 << 20, max_decoded_bytes: 16 << 20, ..Config::default() };
    let harness = Harness::with(config, Authenticator::open()).await;
    let (talk, _) = Talk::open(&harness).await;
    // More batches than may be unanswered, each with faults to make the answers long; nobody reads them.
    let sender = tokio::spawn({
        let requests = talk.requests.clone();
        async move {
            for number in 0..2_000 {
                let mut records: Vec<_> = (0..100).map(|_| record("", "refused")).collect();
                records.push(record("api", "m"));
                let kind = Some(Kind::Batch(Batch { number, records, ..Batch::default() }));
                if requests.send(IngestRequest { kind }).await.is_err() {
                    return;
                }
            }
        }
    });
    harness.broker.asked(256).await;
    harness.wait_for(|harness| harness.metric(loglake_ingest::metrics::IN_FLIGHT_BYTES, &[]) == 0.0).await;
    let (mut other, _) = Talk::open(&harness).await;
    other.batch(0, vec![record("web", "m")]).await;
    assert_eq!(other.result().await.accepted, 1);
    drop(talk);
    sender.abort();
    harness.stop().await;
}

#[tokio::test]
async fn connections_that_do_not_speak_http2_are_closed() {
    let harness = Harness::open().await;
    let mut stream = TcpStream::connect(harness.grpc).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let mut rest = Vec::new();
    // Closed or reset, but not left open.
    let _ = tokio::time::timeout(SOON, stream.read_to_end(&mut rest)).await.unwrap();
    assert!(rest.is_empty());
    let mut client = harness.client().await;
    // A message that is no message: a length, then nothing of it.
    let mut torn = TcpStream::connect(harness.grpc).await.unwrap();
    torn.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff").await.unwrap();
    let mut rest = Vec::new();
    let _ = tokio::time::timeout(SOON, torn.read_to_end(&mut rest)).await.unwrap();
    tokio::time::sleep(Duration::from_millis(1)).await;
    let batch = Batch { number: 0, records: vec![record("a", "m")], ..Batch::default() };
    assert_eq!(client.ingest_batch(batch).await.unwrap().into_inner().accepted, 1);
    harness.stop().await;
}

#[tokio::test]
async fn streams_that_wait_with_what_they_have_read_are_bounded_together() {
    let config = Config {
        in_flight_bytes: 100 << 10,
        max_body_bytes: 100 << 10,
        max_decoded_bytes: 100 << 10,
        ..Config::default()
    };
    let harness = Harness::with(config, Authenticator::open()).await;
    harness.broker.become_(Mode::Stalls);
    let large = || vec![record("api", &"x".repeat(80 << 10))];
    let (mut first, _) = Talk::open(&harness).await;
    first.batch(0, large()).await;
    harness.broker.asked(1).await;
    // One more waits until there is room; where as much waits already as may be in flight, streams are told to come again.
    let mut others = Vec::new();
    for _ in 0..5 {
        let (talk, _) = Talk::open(&harness).await;
        talk.batch(0, large()).await;
        others.push(talk);
    }
    let mut answers: FuturesUnordered<_> = others.iter_mut().map(Talk::next).collect();
    for _ in 0..4 {
        let status = answers.next().await.unwrap().unwrap().unwrap_err();
        assert_eq!(status.code(), Code::ResourceExhausted, "{status:?}");
        assert!(status.get_details_retry_info().is_some());
    }
    harness.broker.become_(Mode::Works);
    assert!(answers.next().await.unwrap().unwrap().is_ok(), "the one that waits");
    drop(answers);
    assert_eq!(first.result().await.accepted, 1);
    assert_eq!(harness.broker.stored().len(), 2);
    harness.stop().await;
}
