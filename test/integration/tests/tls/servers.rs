//! Redis and the object store over TLS, with an authority of one's own.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use bytes::Bytes;
use loglake_index::{ChunkIndex as _, RedisIndex, redis};
use loglake_integration::{free_port, programs};
use loglake_store::{ObjectStore as _, S3Store, s3};

use crate::secured::Certs;

/// A server that ends with its test.
struct Server(Child);

impl Server {
    fn start(command: &mut Command) -> Self {
        Self(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _gone = self.0.kill();
        let _gone = self.0.wait();
    }
}

fn authorities(certs: &Certs) -> Option<Vec<u8>> {
    Some(std::fs::read(certs.dir.join("ca.pem")).unwrap())
}

/// Tries until it comes to something, for half a minute.
async fn soon<T, E: std::fmt::Debug>(mut attempt: impl AsyncFnMut() -> Result<T, E>) -> T {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        match attempt().await {
            Ok(done) => return done,
            Err(error) => assert!(Instant::now() < deadline, "{error:?}"),
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

fn redis_server(folder: &Path, certs: &Certs, port: u16) -> Server {
    programs::tools(&["redis"]);
    let mut command = Command::new("redis-server");
    command.args(["--bind", "127.0.0.1", "--port", "0", "--tls-port", &port.to_string(), "--save", ""]);
    command.args(["--maxmemory-policy", "noeviction", "--dir", folder.to_str().unwrap(), "--tls-auth-clients", "no"]);
    command.args(["--tls-cert-file", &certs.path("server.pem"), "--tls-key-file", &certs.path("server.key")]);
    Server::start(command.args(["--tls-ca-cert-file", &certs.path("ca.pem"), "--requirepass", "s3cret"]))
}

#[tokio::test]
async fn the_index_in_redis_is_reached_over_tls() {
    let folder = tempfile::tempdir().unwrap();
    let (certs, others) = ["certs", "others"].map(|name| Certs::make(folder.path().join(name), "acme")).into();
    let port = free_port();
    let _server = redis_server(folder.path(), &certs, port);
    let config = |scheme: &str, certs: Option<&Certs>| redis::Config {
        authorities: certs.and_then(authorities),
        ..redis::Config::new(format!("{scheme}://:s3cret@localhost:{port}"), "default", 1)
    };
    let index = soon(async || RedisIndex::connect(config("rediss", Some(&certs))).await).await;
    index.watermark(0).await.unwrap();
    for (scheme, certs) in [("rediss", Some(&others)), ("rediss", None), ("redis", Some(&certs))] {
        let error = RedisIndex::connect(config(scheme, certs)).await.err();
        assert!(error.is_some(), "{scheme} with the authority of {:?}", certs.map(|certs| &certs.dir));
    }
}

#[tokio::test]
async fn the_object_store_is_reached_over_tls() {
    let folder = tempfile::tempdir().unwrap();
    let (certs, others) = ["certs", "others"].map(|name| Certs::make(folder.path().join(name), "acme")).into();
    let own = folder.path().join("minio-certs");
    std::fs::create_dir(&own).unwrap();
    std::fs::copy(certs.dir.join("server.pem"), own.join("public.crt")).unwrap();
    std::fs::copy(certs.dir.join("server.key"), own.join("private.key")).unwrap();
    let (port, minio) = (free_port(), programs::tools(&["minio"]).join("bin/minio"));
    let mut command = Command::new(minio);
    command.arg("server").arg(folder.path().join("data")).args(["--address", &format!("127.0.0.1:{port}")]);
    command
        .arg("--certs-dir")
        .arg(&own)
        .envs([("MINIO_ROOT_USER", "loglake"), ("MINIO_ROOT_PASSWORD", "loglake-secret")]);
    let _server =
        Server::start(command.envs([("MINIO_BROWSER", "off"), ("MINIO_UPDATE", "off")]).env("HOME", folder.path()));
    let config = |certs: Option<&Certs>| s3::Config {
        endpoint: Some(format!("https://localhost:{port}")),
        region: Some("us-east-1".to_owned()),
        create_bucket: true,
        credentials: Some(s3::Credentials {
            access_key_id: "loglake".to_owned(),
            secret_access_key: "loglake-secret".to_owned(),
            session_token: None,
        }),
        authorities: certs.and_then(authorities),
        ..s3::Config::new("loglake")
    };
    let store = soon(async || S3Store::connect(config(Some(&certs))).await).await;
    store.put("a/b", Bytes::from_static(b"there")).await.unwrap();
    assert_eq!(store.get("a/b", 100).await.unwrap(), "there");
    for certs in [Some(&others), None] {
        assert!(S3Store::connect(config(certs)).await.is_err(), "{:?}", certs.map(|certs| &certs.dir));
    }
}
