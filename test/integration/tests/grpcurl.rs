//! A stranger's gRPC client, without our files: reflection, health, and calls by hand.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::process::Command;

use loglake_integration::{Client, Dev, programs};
use serde_json::{Value, json};

/// What grpcurl prints for `args` against the server.
fn grpcurl(dev: &Dev, args: &[&str]) -> Result<String, String> {
    let tools = programs::tools(&["grpcurl"]);
    let address = format!("127.0.0.1:{}", dev.ports.ingest_grpc);
    let (flags, call) = args.split_at(args.len() - 1);
    let output = Command::new(tools.join("bin/grpcurl"))
        .arg("-plaintext")
        .args(flags)
        .arg(address)
        .args(call[0].split(' '))
        .output()
        .unwrap();
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() { Ok(said(&output.stdout)) } else { Err(said(&output.stderr)) }
}

#[tokio::test]
async fn services_are_listed_described_and_called_without_files() {
    let folder = tempfile::tempdir().unwrap();
    let dev = Dev::start(&folder.path().join("data"), &[]).await;
    let list = grpcurl(&dev, &["list"]).unwrap();
    for service in ["grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection", "loglake.ingest.v1.IngestService"] {
        assert!(list.lines().any(|line| line == service), "{list}");
    }
    assert!(!list.contains("TailService"), "calls between roles are not offered: {list}");
    let described = grpcurl(&dev, &["describe loglake.ingest.v1.IngestService"]).unwrap();
    assert!(described.contains("rpc Ingest") && described.contains("rpc IngestBatch"), "{described}");
    let health = grpcurl(&dev, &["grpc.health.v1.Health/Check"]).unwrap();
    assert!(health.contains("SERVING"), "{health}");

    let batch = json!({"number": 7, "records": [
        {"service": "by-hand", "level": "LEVEL_WARN", "message": "unary"}, {"service": "by-hand"}]});
    let call = ["-d", &batch.to_string(), "loglake.ingest.v1.IngestService/IngestBatch"];
    let result: Value = serde_json::from_str(&grpcurl(&dev, &call).unwrap()).unwrap();
    assert_eq!((&result["accepted"], &result["rejected"], &result["number"]), (&json!("1"), &json!("1"), &json!("7")));
    assert_eq!(result["errors"][0]["field"], json!("message"), "{result}");

    let stream = json!({"open": {}}).to_string()
        + &json!({"batch": {"number": 1, "records": [{"service": "by-hand", "message": "streamed"}]}}).to_string();
    let answers = grpcurl(&dev, &["-d", &stream, "loglake.ingest.v1.IngestService/Ingest"]).unwrap();
    assert!(answers.contains("opened") && answers.contains("\"accepted\": \"1\""), "{answers}");
    let items = Client::new(dev.ports.query_url()).all(&json!({"service": "by-hand"}), 10).await;
    assert_eq!(items.len(), 2, "{items:?}");

    let wrong = json!({"batch": {"number": 1}}).to_string();
    let refused = grpcurl(&dev, &["-d", &wrong, "loglake.ingest.v1.IngestService/Ingest"]).unwrap_err();
    assert!(refused.contains("InvalidArgument") || refused.contains("FailedPrecondition"), "{refused}");
}
