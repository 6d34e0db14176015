use std::sync::Arc;
use std::time::{Duration, Instant};

use loglake_auth::Authenticator;
use loglake_broker::{EmbeddedLog, Producer as _, Reader as _};
use loglake_ingest::{Config, Error, Ingestor, Parts};
use loglake_model::{Readiness, SystemClock};
use tokio_util::sync::CancellationToken;
use tonic::Code;

use crate::grpc::Talk;
use crate::harness::{Harness, Mode, PARTITIONS, record, say, session_key};

const GOOD: &str = r#"{"service":"api","message":"good"}"#;

#[tokio::test]
async fn what_has_begun_is_answered_before_it_stops() {
    let harness = Harness::open().await;
    harness.broker.become_(Mode::Stalls);
    let (mut talk, _) = Talk::open(&harness).await;
    talk.batch(1, vec![record("api", "m")]).await;
    let posted = tokio::spawn(say(harness.post(GOOD)));
    harness.broker.asked(2).await;

    harness.shutdown.cancel();
    harness.wait_for(|harness| harness.readiness.waiting() == ["ingestor"]).await;
    harness.wait_for(|harness| std::net::TcpStream::connect(harness.http).is_err()).await;
    harness.broker.become_(Mode::Works);
    assert_eq!(talk.result().await.accepted, 1);
    assert_eq!(talk.end().await.unwrap().code(), Code::Unavailable);
    assert_eq!(posted.await.unwrap().status, 200);
    assert_eq!(harness.broker.stored().len(), 2);
    harness.stop().await;
}

#[tokio::test]
async fn what_does_not_end_in_time_is_cut() {
    let config = Config { grace: Duration::from_millis(200), ..Config::default() };
    let harness = Harness::with(config, Authenticator::open()).await;
    harness.broker.become_(Mode::Stalls);
    let (mut talk, _) = Talk::open(&harness).await;
    talk.batch(1, vec![record("api", "m")]).await;
    let posted = tokio::spawn(harness.post(GOOD).send());
    harness.broker.asked(2).await;
    let broker = Arc::clone(&harness.broker);
    let began = Instant::now();
    harness.stop().await;
    assert!(began.elapsed() < Duration::from_secs(5));
    assert!(posted.await.unwrap().is_err());
    assert!(talk.end().await.is_some());
    assert!(broker.stored().is_empty());
}

#[tokio::test]
async fn a_port_in_use_is_told_by_its_key() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let harness = Harness::open().await;
    for (key, grpc, http) in [
        ("ingest.grpc_listen", taken.local_addr().unwrap(), "127.0.0.1:0".parse().unwrap()),
        ("ingest.http_listen", "127.0.0.1:0".parse().unwrap(), taken.local_addr().unwrap()),
    ] {
        let parts = Parts {
            producer: Arc::clone(&harness.broker) as Arc<dyn loglake_broker::Producer>,
            partitions: 1,
            clock: Arc::new(SystemClock),
            auth: Arc::new(Authenticator::open()),
            limits: loglake_auth::limits::TenantLimits::none(),
            counters: None,
            stored: None,
            session_key: session_key(),
            registry: prometheus::Registry::new(),
            ready: Readiness::default().role("ingestor"),
        };
        let config = Config { grpc_listen: grpc, http_listen: http, ..Config::default() };
        let error = Ingestor::bind(config, parts).await.err().unwrap();
        assert!(matches!(&error, Error::Bind { key: named, .. } if *named == key), "{error}");
        assert!(error.to_string().contains(key), "{error}");
    }
    harness.stop().await;
}

#[tokio::test]
async fn what_was_acknowledged_is_in_the_embedded_log_after_it_is_opened_again() {
    let folder = tempfile::tempdir().unwrap();
    let settings = || loglake_broker::embedded::Config { partitions: PARTITIONS, ..Default::default() };
    let log = EmbeddedLog::open(folder.path(), settings(), Arc::new(SystemClock)).unwrap();
    assert!(log.max_message_bytes() >= loglake_batch::MAX_BYTES);
    let free = "127.0.0.1:0".parse().unwrap();
    let config = Config { grpc_listen: free, http_listen: free, ..Config::default() };
    let parts = Parts {
        producer: Arc::clone(&log) as Arc<dyn loglake_broker::Producer>,
        partitions: PARTITIONS,
        clock: Arc::new(SystemClock),
        auth: Arc::new(Authenticator::open()),
        limits: loglake_auth::limits::TenantLimits::none(),
        counters: None,
        stored: None,
        session_key: session_key(),
        registry: prometheus::Registry::new(),
        ready: Readiness::default().role("ingestor"),
    };
    let ingestor = Ingestor::bind(config, parts).await.unwrap();
    let (http, shutdown) = (ingestor.http_addr(), CancellationToken::new());
    let running = tokio::spawn(ingestor.run(shutdown.clone()));
    let lines: Vec<String> =
        (0..1_000).map(|n| format!("{{\"service\":\"s{}\",\"message\":\"m{n}\"}}", n % 10)).collect();
    let posts = lines
        .chunks(50)
        .map(|lines| say(reqwest::Client::new().post(format!("http://{http}/v1/ingest")).body(lines.join("\n"))));
    for said in futures_util::future::join_all(posts).await {
        assert_eq!((said.status, said.json["accepted"].as_u64()), (200, Some(50)));
    }
    shutdown.cancel();
    running.await.unwrap().unwrap();
    log.close().await;
    drop(log);

    let log = EmbeddedLog::open(folder.path(), settings(), Arc::new(SystemClock)).unwrap();
    let mut found = Vec::new();
    for partition in 0..PARTITIONS {
        let latest = log.offsets(&[partition]).await.unwrap()[0].latest;
        for message in log.read(partition, 0, latest, usize::MAX).await.unwrap().messages {
            let batch = loglake_batch::LogBatch::decode(message.payload).unwrap();
            for record in
                batch.groups().flat_map(|group| group.records().map(|record| record.line.to_vec()).collect::<Vec<_>>())
            {
                let line: serde_json::Value = serde_json::from_slice(&record).unwrap();
                found.push(line["message"].as_str().unwrap()[1..].parse::<usize>().unwrap());
            }
        }
    }
    found.sort_unstable();
    assert_eq!(found, (0..1_000).collect::<Vec<_>>());
    log.close().await;
}
