//! The S3 store on real servers: MinIO, and moto as a second implementation.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use loglake_integration::stack::Native;
use loglake_integration::{free_port, programs};
use loglake_store::s3::{Config, Credentials};
use loglake_store::{Backoff, Create, Error, ObjectStore, Retrying, S3Store, conformance, list_all, self_test};

fn config(port: u16, bucket: &str) -> Config {
    Config {
        endpoint: Some(format!("http://127.0.0.1:{port}")),
        region: Some("us-east-1".to_owned()),
        create_bucket: true,
        credentials: Some(Credentials {
            access_key_id: "loglake".to_owned(),
            secret_access_key: "loglake-secret".to_owned(),
            session_token: None,
        }),
        ..Config::new(bucket)
    }
}

fn minio(dir: &Path) -> Native {
    programs::tools(&["minio"]);
    Native::start("minio.sh", dir.to_owned())
}

/// A moto server; killed when dropped.
struct Moto {
    child: Child,
    port: u16,
}

impl Moto {
    fn start(dir: &Path) -> Self {
        let program = programs::tools(&["python"]).join("python/bin/python");
        let port = free_port();
        let log = std::fs::File::create(dir.join("moto.log")).unwrap();
        let child = Command::new(program)
            .arg(programs::root().join("test/tools/serve_moto.py"))
            .arg(port.to_string())
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let started = Instant::now();
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(started.elapsed() < Duration::from_secs(60), "moto does not listen, see {}", dir.display());
            std::thread::sleep(Duration::from_millis(100));
        }
        Self { child, port }
    }
}

impl Drop for Moto {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _reaped = self.child.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn minio_keeps_the_contract() {
    let dir = tempfile::tempdir().unwrap();
    let server = minio(dir.path());
    let store = S3Store::connect(config(server.port, "loglake")).await.unwrap();
    self_test(&store, "nonce").await.unwrap();
    conformance::all(Arc::new(store.clone()), "c").await;

    // The same bucket again, under a prefix: what stands beside it is not seen.
    let under = Config { prefix: Some("some/where".to_owned()), ..config(server.port, "loglake") };
    let under = S3Store::connect(under).await.unwrap();
    store.put("some/where-else", Bytes::new()).await.unwrap();
    assert!(list_all(&under, "").await.unwrap().is_empty());
    let retrying = Retrying::new(under.clone(), Backoff::default(), 1);
    conformance::all(Arc::new(retrying), "c").await;
    assert_eq!(list_all(&under, "").await.unwrap().len(), list_all(&store, "some/where/").await.unwrap().len());
}

#[tokio::test(flavor = "multi_thread")]
async fn moto_keeps_the_contract() {
    let dir = tempfile::tempdir().unwrap();
    let server = Moto::start(dir.path());
    let store = S3Store::connect(config(server.port, "loglake")).await.unwrap();
    self_test(&store, "nonce").await.unwrap();
    conformance::all(Arc::new(store), "c").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_settings_are_told_at_start() {
    let dir = tempfile::tempdir().unwrap();
    let server = minio(dir.path());
    let missing = Config { create_bucket: false, ..config(server.port, "missing") };
    let error = S3Store::connect(missing).await.unwrap_err();
    assert!(matches!(&error, Error::Unfit(why) if why.contains("missing")), "{error}");

    let mut wrong = config(server.port, "loglake");
    wrong.credentials.as_mut().unwrap().secret_access_key = "not-the-secret".to_owned();
    let error = S3Store::connect(wrong.clone()).await.unwrap_err();
    assert!(matches!(error, Error::Forbidden(_)), "{error}");
    assert!(!error.to_string().contains("not-the-secret") && !format!("{wrong:?}").contains("not-the-secret"));

    let nobody = Config { endpoint: Some(format!("http://127.0.0.1:{}", free_port())), ..config(0, "loglake") };
    let error = S3Store::connect(nobody).await.unwrap_err();
    assert!(error.kind().is_retryable(), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_server_leaves_doubt_and_what_it_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    let server = minio(dir.path());
    let store = S3Store::connect(config(server.port, "loglake")).await.unwrap();
    assert_eq!(store.create("a", Bytes::from_static(b"first")).await.unwrap(), Create::Created);
    server.stop();
    assert_eq!(store.create("b", Bytes::from_static(b"b")).await.unwrap(), Create::Unknown);
    assert!(store.get("a", 10).await.unwrap_err().kind().is_retryable());
    server.start_again();
    assert_eq!(store.get("a", 10).await.unwrap(), "first");
    assert_eq!(store.create("a", Bytes::from_static(b"second")).await.unwrap(), Create::Exists);
    assert_eq!(store.create("b", Bytes::from_static(b"b")).await.unwrap(), Create::Created);
}
