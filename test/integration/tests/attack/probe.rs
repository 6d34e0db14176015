//! A well-behaved tenant: sends a record, asks for it, on new connections, as often as it can.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use loglake_integration::oracle::Sent;
use loglake_integration::send;
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tonic::codec::CompressionEncoding;

use crate::site::{Site, Target};

/// Within this every request has its answer, however often it was told to come again.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long it waits for one answer before it tries again.
const ANSWER: Duration = Duration::from_secs(20);
/// What takes longer is told.
const SLOW: Duration = Duration::from_secs(2);
/// Between two probes.
const PAUSE: Duration = Duration::from_millis(100);

pub(crate) struct Probe {
    done: Arc<AtomicBool>,
    running: JoinHandle<Served>,
}

/// What came of it.
#[derive(Default)]
pub(crate) struct Served {
    times: Vec<Duration>,
    /// How often it was told to come again.
    again: usize,
}

impl Probe {
    pub(crate) fn start(site: &Site) -> Self {
        let done = Arc::new(AtomicBool::new(false));
        let (target, stop) = (site.target(), Arc::clone(&done));
        let running = tokio::spawn(async move {
            let mut served = Served::default();
            let mut n = 0;
            while !stop.load(Relaxed) {
                served.one(&target, n).await;
                n += 1;
                tokio::time::sleep(PAUSE).await;
            }
            served
        });
        Self { done, running }
    }

    /// Ends it; says how it was served.
    pub(crate) async fn end(self) -> String {
        self.done.store(true, Relaxed);
        let mut served = self.running.await.expect("all probes were served correctly");
        assert!(served.times.len() > 20, "only {} probes", served.times.len());
        served.summary()
    }
}

impl Served {
    /// How long they took.
    pub(crate) fn summary(&mut self) -> String {
        self.times.sort_unstable();
        let count = self.times.len();
        let at = |part: usize| self.times[(count * part / 100).min(count - 1)];
        let (p50, p99, most) = (at(50), at(99), at(100));
        format!("{count} probes, p50 {p50:?}, p99 {p99:?}, at most {most:?}; told to come again {} times", self.again)
    }

    /// A record is sent, by gRPC or HTTP, and found.
    pub(crate) async fn one(&mut self, target: &Target, n: u64) {
        let began = Instant::now();
        let word = format!("probe {n} ends");
        if n.is_multiple_of(2) {
            self.grpc(target, &word, n.is_multiple_of(4), began).await;
        } else {
            let body = json!({"service": "well-behaved", "message": word}).to_string();
            let url = format!("{}/v1/ingest", target.ports.ingest_url());
            let answer = self.http(target, &url, &body, began).await;
            assert_eq!(answer["accepted"], json!(1), "{answer}");
        }
        let sent = began.elapsed();
        let url = format!("{}/v1/query", target.ports.query_url());
        let answer = self.http(target, &url, &json!({"contains": word}).to_string(), began).await;
        if began.elapsed() > SLOW {
            println!("a slow probe: sent after {sent:?}, found after {:?}; {}", began.elapsed(), answer["stats"]);
        }
        let items = answer["items"].as_array().expect("items");
        assert_eq!((items.len(), &answer["complete"]), (1, &json!(true)), "{word}: {answer}");
        assert_eq!((&items[0]["message"], &items[0]["service"]), (&json!(word), &json!("well-behaved")), "{answer}");
        self.times.push(began.elapsed());
    }

    async fn grpc(&mut self, target: &Target, word: &str, is_compressed: bool, began: Instant) {
        let record = Sent {
            service: "well-behaved".to_owned(),
            timestamp_ns: 1_772_323_200_000_000_000,
            level: Some("info"),
            message: word.to_owned(),
            trace_id: String::new(),
        };
        let bearer = format!("Bearer {}", target.good);
        loop {
            let headers = [("authorization", &*bearer), ("idempotency-key", word)];
            let url = target.ports.grpc_url();
            let compression = is_compressed.then_some(CompressionEncoding::Zstd);
            let sent = send::batch_with(&url, &headers, vec![send::wire(&record)], compression);
            let sent = tokio::time::timeout(ANSWER, sent).await;
            match sent {
                Ok(Ok(result)) => return assert_eq!(result.accepted, 1, "{result:?}"),
                Ok(Err(status)) => self.again(&format!("{status:?}"), is_busy(status.code()), began).await,
                Err(_) => self.again("no answer", true, began).await,
            }
        }
    }

    async fn http(&mut self, target: &Target, url: &str, body: &str, began: Instant) -> Value {
        let key = format!("{:x}", hash(body));
        loop {
            // A connection of its own: there must be a place for it.
            let request = reqwest::Client::new().post(url).bearer_auth(&target.good);
            let request = request.header("content-type", "application/json").header("idempotency-key", key.clone());
            match request.body(body.to_owned()).timeout(ANSWER).send().await {
                Ok(answer) => {
                    let status = answer.status().as_u16();
                    let text = answer.text().await.unwrap_or_default();
                    if status == 200 {
                        return serde_json::from_str(&text).unwrap();
                    }
                    self.again(&text, [429, 503, 504].contains(&status), began).await;
                }
                Err(error) => self.again(&format!("{error:?}"), true, began).await,
            }
        }
    }

    /// Told to come again, it does.
    async fn again(&mut self, said: &str, is_told_so: bool, began: Instant) {
        assert!(is_told_so, "a good request is refused: {said}");
        assert!(began.elapsed() < PATIENCE, "not served within {PATIENCE:?}: {said}");
        self.again += 1;
        tokio::time::sleep(PAUSE).await;
    }
}

/// A key that says which body it is of.
fn hash(body: &str) -> u64 {
    use std::hash::{Hash as _, Hasher as _};
    let mut hasher = std::hash::DefaultHasher::new();
    body.hash(&mut hasher);
    hasher.finish()
}

fn is_busy(code: tonic::Code) -> bool {
    use tonic::Code::{DeadlineExceeded, ResourceExhausted, Unavailable};
    matches!(code, ResourceExhausted | Unavailable | DeadlineExceeded)
}
