use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::header::{CONTENT_LENGTH, HeaderName, IF_NONE_MATCH};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use rand::prelude::*;
use tokio::net::{TcpListener, TcpStream};

/// What an [`S3Proxy`] does to requests.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum S3Fault {
    /// The PUT is done, and its answer lost: the connection breaks.
    LoseReply,
    /// The connection breaks at once; the PUT is done so much later.
    Hold(Duration),
    /// Nothing is passed on; the store answers with this status.
    Answer(u16),
    /// The same, to PUT only.
    AnswerPut(u16),
    /// The body of a GET has fewer bytes than it should, and says so: a lying store.
    Truncate,
    /// The body of a GET ends in its middle: the connection breaks.
    CutBody,
    /// One bit of the body of a GET is wrong.
    Flip,
    /// `If-None-Match` is not passed on: the store ignores the condition.
    DropCondition,
}

/// Which requests a fault is for.
#[derive(Clone, Debug)]
struct Rule {
    fault: S3Fault,
    key: String,
    share: f64,
    left: u64,
}

#[derive(Debug)]
struct State {
    upstream: SocketAddr,
    rules: Mutex<(Vec<Rule>, StdRng)>,
    fired: AtomicU64,
    requests: AtomicU64,
    keys: Mutex<Vec<String>>,
}

/// A proxy that understands S3's HTTP well enough to break it.
#[derive(Debug)]
pub struct S3Proxy {
    /// Where it listens.
    pub address: SocketAddr,
    state: Arc<State>,
    task: tokio::task::JoinHandle<()>,
}

impl S3Proxy {
    /// Listens on a free port of the loopback and passes on to `upstream`; chance is drawn from `seed`.
    ///
    /// # Errors
    /// When there is no free port.
    pub async fn start(upstream: SocketAddr, seed: u64) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let state = Arc::new(State {
            upstream,
            rules: Mutex::new((Vec::new(), StdRng::seed_from_u64(seed))),
            fired: AtomicU64::new(0),
            requests: AtomicU64::new(0),
            keys: Mutex::default(),
        });
        let shared = Arc::clone(&state);
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let state = Arc::clone(&shared);
                tokio::spawn(async move {
                    let service = service_fn(move |request| serve(Arc::clone(&state), request));
                    // An error is what we made, or a client that left.
                    let _ended = hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(client), service)
                        .await;
                });
            }
        });
        Ok(Self { address, state, task })
    }

    /// `http://127.0.0.1:port`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// From now on `fault` strikes a `share` (0 to 1) of the requests it is for whose path contains `key`, at most `times`
    /// times; besides the faults that are set already.
    pub fn add(&self, fault: S3Fault, key: &str, share: f64, times: u64) {
        let rule = Rule { fault, key: key.to_owned(), share, left: times };
        self.state.rules.lock().unwrap_or_else(PoisonError::into_inner).0.push(rule);
    }

    /// From now on everything passes.
    pub fn heal(&self) {
        self.state.rules.lock().unwrap_or_else(PoisonError::into_inner).0.clear();
    }

    /// How many requests were struck.
    pub fn fired(&self) -> u64 {
        self.state.fired.load(Ordering::Relaxed)
    }

    /// How many requests came.
    pub fn requests(&self) -> u64 {
        self.state.requests.load(Ordering::Relaxed)
    }

    /// Methods and paths of the requests that were struck.
    pub fn struck(&self) -> Vec<String> {
        self.state.keys.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for S3Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl State {
    fn strike(&self, method: &Method, path: &str, has_condition: bool) -> Option<S3Fault> {
        let mut rules = self.rules.lock().unwrap_or_else(PoisonError::into_inner);
        let (rules, random) = &mut *rules;
        for rule in rules.iter_mut() {
            let is_for = match rule.fault {
                S3Fault::LoseReply | S3Fault::Hold(_) | S3Fault::AnswerPut(_) => *method == Method::PUT,
                S3Fault::Truncate | S3Fault::CutBody | S3Fault::Flip => *method == Method::GET,
                S3Fault::DropCondition => has_condition,
                S3Fault::Answer(409) => has_condition,
                S3Fault::Answer(_) => true,
            };
            if is_for && rule.left > 0 && path.contains(&rule.key) && random.random_bool(rule.share) {
                rule.left -= 1;
                self.fired.fetch_add(1, Ordering::Relaxed);
                self.keys.lock().unwrap_or_else(PoisonError::into_inner).push(format!("{method} {path}"));
                return Some(rule.fault);
            }
        }
        None
    }

    fn chance(&self, below: usize) -> usize {
        let mut rules = self.rules.lock().unwrap_or_else(PoisonError::into_inner);
        rules.1.random_range(0..below.max(1))
    }
}

async fn serve(state: Arc<State>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>> {
    state.requests.fetch_add(1, Ordering::Relaxed);
    let (mut head, body) = request.into_parts();
    let path = head.uri.to_string();
    let fault = state.strike(&head.method, &path, head.headers.contains_key(IF_NONE_MATCH));
    let body = body.collect().await.context("the request ended early")?.to_bytes();
    if fault == Some(S3Fault::DropCondition) {
        head.headers.remove(IF_NONE_MATCH);
    }
    let is_get = head.method == Method::GET;
    let request = Request::from_parts(head, Full::new(body));
    match fault {
        Some(S3Fault::Answer(status) | S3Fault::AnswerPut(status)) => {
            let code = match status {
                409 => "ConditionalRequestConflict",
                503 => "SlowDown",
                507 => "XMinioStorageFull",
                _ => "InternalError",
            };
            let text = format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>made up</Message></Error>");
            let mut response = Response::new(Full::new(Bytes::from(text)));
            *response.status_mut() = StatusCode::from_u16(status)?;
            return Ok(response);
        }
        Some(S3Fault::Hold(wait)) => {
            tokio::spawn(async move {
                tokio::time::sleep(wait).await;
                // Whether the store still takes it is the store's affair.
                let _late = forward(&state, request).await;
            });
            bail!("held");
        }
        _ => {}
    }
    let (mut head, mut body) = forward(&state, request).await?.into_parts();
    match fault {
        Some(S3Fault::LoseReply) => bail!("the reply is lost"),
        Some(S3Fault::Truncate) if is_get && body.len() > 1 => {
            body.truncate(state.chance(body.len() - 1) + 1);
            head.headers.insert(CONTENT_LENGTH, body.len().into());
        }
        Some(S3Fault::CutBody) if is_get => bail!("the answer is cut"),
        Some(S3Fault::Flip) if is_get && !body.is_empty() => {
            let mut bytes = body.to_vec();
            let at = state.chance(bytes.len());
            bytes[at] ^= 1 << state.chance(8);
            body = Bytes::from(bytes);
        }
        _ => {}
    }
    // What frames the message is the connection's own.
    head.headers.remove(HeaderName::from_static("transfer-encoding"));
    Ok(Response::from_parts(head, Full::new(body)))
}

async fn forward(state: &State, request: Request<Full<Bytes>>) -> Result<Response<Bytes>> {
    let stream = TcpStream::connect(state.upstream).await?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let driving = tokio::spawn(connection);
    let answer = sender.send_request(request).await?;
    let (head, body) = answer.into_parts();
    let body = body.collect().await?.to_bytes();
    drop(sender);
    driving.abort();
    Ok(Response::from_parts(head, body))
}
