//! Every way in.

use std::time::{Duration, Instant};

use loglake_api::ingest::v1::ingest_request::Kind;
use loglake_api::ingest::v1::ingest_service_client::IngestServiceClient;
use loglake_api::ingest::v1::{Batch, IngestRequest, LogRecord, Open};
use loglake_integration::{Dev, Session, send};
use rand::prelude::*;
use tonic::Request;

use crate::tenant::{Record, Tenant};
use crate::watch::{HTTP, Said, Watch};

fn bearer(tenant: &Tenant) -> String {
    format!("Bearer {}", tenant.token)
}

/// Waits until the ingestor knows the token, too.
pub(crate) async fn until_known(dev: &Dev, tenant: &Tenant) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while send::batch(&dev.ports.grpc_url(), &[("authorization", &bearer(tenant))], vec![]).await.is_err() {
        assert!(Instant::now() < deadline, "the token is not known");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Sends some records in some way. `key` is everybody's.
pub(crate) async fn some(dev: &Dev, watch: &Watch, tenant: &mut Tenant, key: &str, rng: &mut StdRng) {
    let count = rng.random_range(1..12);
    match rng.random_range(0..6) {
        0 => unary(dev, watch, tenant, count, "", rng).await,
        // Both have this key, and send other records under it.
        1 => unary(dev, watch, tenant, count, key, rng).await,
        2 => stream(dev, watch, tenant, count, rng).await,
        3 => session(dev, watch, tenant, count, rng).await,
        4 => http(dev, watch, tenant, count, "", rng).await,
        _ => http(dev, watch, tenant, count, key, rng).await,
    }
}

fn wires(records: &[Record]) -> Vec<LogRecord> {
    records.iter().map(Record::wire).collect()
}

/// What gRPC says, its metadata too.
fn told<T: std::fmt::Debug>(watch: &Watch, tenant: &Tenant, asked: &str, said: &T) {
    let said = Said { status: 200, head: String::new(), body: format!("{said:?}") };
    watch.of(&tenant.name, asked, &said);
}

async fn unary(dev: &Dev, watch: &Watch, tenant: &mut Tenant, count: usize, key: &str, rng: &mut StdRng) {
    let records = tenant.records(count, false, rng);
    let bearer = bearer(tenant);
    let mut headers = vec![("authorization", bearer.as_str())];
    if !key.is_empty() {
        headers.push(("idempotency-key", key));
    }
    // What has a key may be sent again, and is there once.
    for _ in 0..=usize::from(!key.is_empty()) {
        let said = send::batch(&dev.ports.grpc_url(), &headers, wires(&records)).await.unwrap();
        told(watch, tenant, key, &said);
        assert_eq!((said.accepted, said.errors.len()), (count as u64, 0), "{said:?}");
    }
    tenant.sent.extend(records);
}

async fn stream(dev: &Dev, watch: &Watch, tenant: &mut Tenant, count: usize, rng: &mut StdRng) {
    let records = tenant.records(count, false, rng);
    let open = IngestRequest { kind: Some(Kind::Open(Open::default())) };
    let batch = Batch { number: 1, records: wires(&records), ..Batch::default() };
    let batch = IngestRequest { kind: Some(Kind::Batch(batch)) };
    let mut request = Request::new(tokio_stream::iter([open, batch]));
    request.metadata_mut().insert("authorization", bearer(tenant).parse().unwrap());
    let mut client = IngestServiceClient::connect(dev.ports.grpc_url()).await.unwrap();
    let mut answers = client.ingest(request).await.unwrap().into_inner();
    let mut heard = 0;
    while let Some(answer) = answers.message().await.unwrap() {
        told(watch, tenant, "stream", &answer);
        heard += 1;
    }
    assert_eq!(heard, 2, "opened, and a result");
    tenant.sent.extend(records);
}

async fn session(dev: &Dev, watch: &Watch, tenant: &mut Tenant, count: usize, rng: &mut StdRng) {
    let records = tenant.records(count, false, rng);
    let (mut session, number) = match tenant.session.take() {
        Some((session, last)) => (session, last + 1),
        None => {
            let header = ("authorization", &*bearer(tenant));
            (Session::open_as(&dev.ports.grpc_url(), header, "").await.unwrap(), 1)
        }
    };
    // Numbers are everybody's, too.
    for _ in 0..2 {
        session.send(number, number, wires(&records)).await;
        let result = session.result().await.unwrap();
        told(watch, tenant, "session", &result);
        assert_eq!((result.accepted, result.retry_reason.as_str()), (count as u64, ""), "{result:?}");
    }
    told(watch, tenant, "session", &session.token);
    tenant.session = Some((session, number));
    tenant.sent.extend(records);
}

async fn http(dev: &Dev, watch: &Watch, tenant: &mut Tenant, count: usize, key: &str, rng: &mut StdRng) {
    let records = tenant.records(count, true, rng);
    let is_array = rng.random();
    let lines: Vec<String> = records.iter().map(|record| record.json().to_string()).collect();
    let (kind, body) = if is_array {
        ("application/json", format!("[{}]", lines.join(",")))
    } else {
        ("application/x-ndjson", lines.join("\n"))
    };
    for _ in 0..=usize::from(!key.is_empty()) {
        let mut request = HTTP.post(format!("{}/v1/ingest", dev.ports.ingest_url()));
        request = request.header("authorization", bearer(tenant)).header("content-type", kind).body(body.clone());
        if !key.is_empty() {
            request = request.header("idempotency-key", key);
        }
        let said = Said::by(request).await;
        watch.of(&tenant.name, "POST /v1/ingest", &said);
        assert_eq!(said.status, 200, "{said:?}");
        assert!(said.body.contains(&format!("\"accepted\":{count}")), "{said:?}");
    }
    tenant.sent.extend(records);
}
