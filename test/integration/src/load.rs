//! A load whose records are numbered: it knows what was sent, what was acknowledged, and judges what comes back.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use loglake_api::ingest::v1::Batch;
use loglake_api::ingest::v1::ingest_service_client::IngestServiceClient;
use reqwest::StatusCode;
use serde_json::{Value, json};
use tonic::transport::{Channel, Endpoint};

use crate::oracle::{Oracle, Sent, rfc3339};
use crate::{Client, send};

/// The tenants that send by turns; each record carries its tenant's name.
pub const TENANTS: [&str; 2] = ["canary", "wren"];
/// How long a client waits for an answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a sender waits between batches: the load should leave the machine to what is tested.
const PACE: Duration = Duration::from_millis(3);
/// How long a sender that was refused waits.
const PAUSE: Duration = Duration::from_millis(20);

/// What was sent. Clones share it.
#[derive(Clone, Debug)]
pub struct Load {
    start_ns: i64,
    records: Arc<Mutex<Vec<Numbered>>>,
}

/// A record, by its number: all else follows from it.
#[derive(Clone, Copy, Debug)]
struct Numbered {
    tenant: usize,
    bytes: usize,
    is_acknowledged: bool,
}

/// How large what is sent is.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// Records a batch.
    pub records: usize,
    /// Bytes a message, about.
    pub bytes: usize,
}

impl Load {
    /// Nothing was sent yet; record n has the event time `start_ns` plus n ms.
    pub fn new(start_ns: i64) -> Self {
        Self { start_ns, records: Arc::default() }
    }

    fn records(&self) -> MutexGuard<'_, Vec<Numbered>> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many records were sent.
    pub fn sent(&self) -> usize {
        self.records().len()
    }

    /// How many of `numbers` were acknowledged.
    pub fn acknowledged(&self, numbers: Range<usize>) -> usize {
        self.records()[numbers].iter().filter(|record| record.is_acknowledged).count()
    }

    fn begin(&self, tenant: usize, size: Size) -> Range<usize> {
        let mut records = self.records();
        let first = records.len();
        let fresh = Numbered { tenant, bytes: size.bytes, is_acknowledged: false };
        records.extend(std::iter::repeat_n(fresh, size.records));
        first..records.len()
    }

    fn acknowledge(&self, numbers: Range<usize>) {
        self.records()[numbers].iter_mut().for_each(|record| record.is_acknowledged = true);
    }

    /// Record `number` as it was sent.
    fn record(&self, number: usize, about: Numbered) -> Sent {
        let n = number as u64;
        let mut message = format!("{} number {number} of service {} ", TENANTS[about.tenant], n % 5);
        // Poorly compressible, so that chunks have a size; the same each time.
        let mut state = n.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        while message.len() < about.bytes {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            message.push_str(&format!("{:x} ", state >> 40));
        }
        Sent {
            service: format!("service-{}", n % 5),
            timestamp_ns: self.time_ns(number),
            level: Some("info"),
            message,
            trace_id: String::new(),
        }
    }

    fn time_ns(&self, number: usize) -> i64 {
        self.start_ns + i64::try_from(number).expect("a small number") * 1_000_000
    }

    fn batch(&self, numbers: Range<usize>) -> Vec<Sent> {
        let about: Vec<Numbered> = self.records()[numbers.clone()].to_vec();
        numbers.zip(about).map(|(number, about)| self.record(number, about)).collect()
    }

    /// Sends one batch over gRPC; whether all of it was acknowledged.
    pub async fn send_grpc(&self, client: &mut IngestServiceClient<Channel>, tenant: usize, size: Size) -> bool {
        let numbers = self.begin(tenant, size);
        let records = self.batch(numbers.clone()).iter().map(send::wire).collect();
        let mut request = tonic::Request::new(Batch { number: 1, records, ..Batch::default() });
        request.metadata_mut().insert("x-scope-orgid", TENANTS[tenant].parse().expect("a plain name"));
        request.set_timeout(PATIENCE);
        match client.ingest_batch(request).await {
            Ok(result) => {
                let result = result.into_inner();
                assert_eq!(result.rejected, 0, "a good record was refused: {:?}", result.errors);
                let is_all = result.accepted == size.records as u64;
                if is_all {
                    self.acknowledge(numbers);
                }
                is_all
            }
            Err(_) => false,
        }
    }

    /// Sends one batch over HTTP; whether all of it was acknowledged.
    pub async fn send_http(&self, http: &reqwest::Client, base: &str, tenant: usize, size: Size) -> bool {
        let numbers = self.begin(tenant, size);
        let mut body = String::new();
        for sent in self.batch(numbers.clone()) {
            let line = json!({
                "service": sent.service, "level": sent.level, "message": sent.message, "timestamp": rfc3339(sent.timestamp_ns),
            });
            body.push_str(&line.to_string());
            body.push('\n');
        }
        let request = http
            .post(format!("{base}/v1/ingest"))
            .header("content-type", "application/x-ndjson")
            .header("x-scope-orgid", TENANTS[tenant])
            .timeout(PATIENCE)
            .body(body);
        let Ok(answer) = request.send().await else { return false };
        let status = answer.status();
        let Ok(text) = answer.text().await else { return false };
        assert_ne!(status, StatusCode::BAD_REQUEST, "a good record was refused: {text}");
        let accepted = serde_json::from_str::<Value>(&text).map(|answer| answer["accepted"].as_u64());
        let is_all = status == StatusCode::OK && accepted.is_ok_and(|accepted| accepted == Some(size.records as u64));
        if is_all {
            self.acknowledge(numbers);
        }
        is_all
    }

    /// Sends from four sides, over gRPC and HTTP, as both tenants, until told to stop; goes on when refused.
    pub fn run(&self, grpc: &str, http: &str, size: Size) -> Running {
        let stop = Arc::new(AtomicBool::new(false));
        let channel = Endpoint::from_shared(grpc.to_owned()).expect("an address").connect_lazy();
        let mut senders = Vec::new();
        for (tenant, _) in TENANTS.iter().enumerate() {
            let (load, stopped, channel) = (self.clone(), Arc::clone(&stop), channel.clone());
            senders.push(tokio::spawn(async move {
                let mut client = IngestServiceClient::new(channel);
                while !stopped.load(Ordering::Relaxed) {
                    let is_taken = load.send_grpc(&mut client, tenant, size).await;
                    tokio::time::sleep(if is_taken { PACE } else { PAUSE }).await;
                }
            }));
            let (load, stopped, base) = (self.clone(), Arc::clone(&stop), http.to_owned());
            senders.push(tokio::spawn(async move {
                let client = reqwest::Client::new();
                while !stopped.load(Ordering::Relaxed) {
                    let is_taken = load.send_http(&client, &base, tenant, size).await;
                    tokio::time::sleep(if is_taken { PACE } else { PAUSE }).await;
                }
            }));
        }
        Running { stop, senders }
    }

    /// Checks that of the records `numbers` every acknowledged one comes back exactly once to its tenant, and nothing comes
    /// back that was not sent. Answers must be complete.
    ///
    /// # Panics
    /// With what is missing, twice or foreign.
    pub async fn judge(&self, what: &str, client: &Client, numbers: Range<usize>, page: usize) {
        let about: Vec<Numbered> = self.records()[numbers.clone()].to_vec();
        if about.is_empty() {
            return;
        }
        for (tenant, name) in TENANTS.iter().enumerate() {
            let body = json!({"from_ts": self.time_ns(numbers.start), "to_ts": self.time_ns(numbers.end)});
            let items = client.clone().tenant(name).all(&body, page).await;
            let mut by_time: HashMap<String, (usize, Sent, Numbered)> = HashMap::new();
            for (number, about) in numbers.clone().zip(&about).filter(|(_, about)| about.tenant == tenant) {
                by_time.insert(rfc3339(self.time_ns(number)), (number, self.record(number, *about), *about));
            }
            // What was not acknowledged may be there or not.
            let mut expected = Vec::new();
            let mut returned = HashMap::<usize, usize>::new();
            for item in &items {
                let at = item["timestamp"].as_str().unwrap_or_default();
                let (number, sent, _) =
                    by_time.get(at).unwrap_or_else(|| panic!("{what}: {name} never sent this: {item}"));
                *returned.entry(*number).or_default() += 1;
                expected.push(sent.clone());
            }
            let twice: Vec<_> = returned.iter().filter(|(_, count)| **count > 1).take(5).collect();
            assert!(twice.is_empty(), "{what}: {name}: returned more than once (number, times): {twice:?}");
            let mut lost: Vec<usize> = by_time
                .values()
                .filter(|(number, _, about)| about.is_acknowledged && !returned.contains_key(number))
                .map(|(number, ..)| *number)
                .collect();
            lost.sort_unstable();
            let some = &lost[..lost.len().min(10)];
            assert!(lost.is_empty(), "{what}: {name}: {} acknowledged records are lost, such as {some:?}", lost.len());
            Oracle::judge(&format!("{what}: {name}"), &expected, &items, false);
        }
    }
}

/// Senders at work.
#[derive(Debug)]
pub struct Running {
    stop: Arc<AtomicBool>,
    senders: Vec<tokio::task::JoinHandle<()>>,
}

impl Running {
    /// Stops after the batches that are on their way, acknowledged or not.
    ///
    /// # Panics
    /// When a good record was refused.
    pub async fn stop(self) {
        self.stop.store(true, Ordering::Relaxed);
        for sender in self.senders {
            sender.await.expect("no sender panics");
        }
    }
}
