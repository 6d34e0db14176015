//! A server that speaks just enough HTTP and S3 to be wrong in.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// A request, read whole.
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) target: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(there, _)| there == name).map(|(_, value)| value.as_str())
    }
}

/// What the server does with a request.
#[derive(Clone)]
pub(crate) enum Reply {
    /// Answers.
    Full { status: u16, headers: Vec<(String, String)>, body: String },
    /// Announces a length, sends a body of another, and hangs up.
    Cut { announced: u64, body: String },
    /// Hangs up.
    Drop,
    /// Never answers.
    Hang,
}

impl Reply {
    pub(crate) fn full(status: u16, headers: &[(&str, &str)], body: &str) -> Self {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Self::Full { status, headers, body: body.to_owned() }
    }

    pub(crate) fn ok(body: &str) -> Self {
        Self::full(200, &[], body)
    }

    pub(crate) fn error(status: u16, code: &str) -> Self {
        if code.is_empty() {
            return Self::full(status, &[], "");
        }
        Self::full(status, &[], &format!("<Error><Code>{code}</Code><Message>as scripted</Message></Error>"))
    }

    pub(crate) fn listing(keys: &[&str], has_more: bool) -> Self {
        let objects = keys.iter().fold(String::new(), |mut text, key| {
            write!(text, "<Contents><Key>{key}</Key><Size>1</Size></Contents>").unwrap();
            text
        });
        Self::ok(&format!("<ListBucketResult><IsTruncated>{has_more}</IsTruncated>{objects}</ListBucketResult>"))
    }
}

/// The server; ends with the test's runtime.
pub(crate) struct Fake {
    port: u16,
}

impl Fake {
    pub(crate) async fn start(answer: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let answer = Arc::new(answer);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let answer = Arc::clone(&answer);
                // A client that hangs up is none of the test's business.
                tokio::spawn(async move { serve(stream, &*answer).await.ok() });
            }
        });
        Self { port }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}

async fn serve(mut stream: TcpStream, answer: &(dyn Fn(&Request) -> Reply + Send + Sync)) -> std::io::Result<()> {
    let mut buffer = Vec::new();
    loop {
        let Some(request) = read(&mut stream, &mut buffer).await? else { return Ok(()) };
        match answer(&request) {
            Reply::Full { status, headers, body } => {
                let headers = headers.iter().fold(String::new(), |mut text, (name, value)| {
                    write!(text, "{name}: {value}\r\n").unwrap();
                    text
                });
                let head = format!("HTTP/1.1 {status} Scripted\r\ncontent-length: {}\r\n{headers}\r\n", body.len());
                stream.write_all(head.as_bytes()).await?;
                if request.method != "HEAD" {
                    stream.write_all(body.as_bytes()).await?;
                }
            }
            Reply::Cut { announced, body } => {
                let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {announced}\r\n\r\n{body}");
                stream.write_all(head.as_bytes()).await?;
                return stream.shutdown().await;
            }
            Reply::Drop => return Ok(()),
            Reply::Hang => std::future::pending().await,
        }
    }
}

async fn read(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> std::io::Result<Option<Request>> {
    let head_end = loop {
        if let Some(at) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
            break at;
        }
        if stream.read_buf(buffer).await? == 0 {
            return Ok(None);
        }
    };
    let head = String::from_utf8_lossy(&buffer[..head_end]).into_owned();
    let mut lines = head.lines();
    let mut first = lines.next().unwrap_or_default().split(' ').map(str::to_owned);
    let (method, target) = (first.next().unwrap_or_default(), first.next().unwrap_or_default());
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let mut request = Request { method, target, headers, body: Vec::new() };
    let length: usize = request.header("content-length").map_or(0, |length| length.parse().unwrap());
    buffer.drain(..head_end + 4);
    while buffer.len() < length {
        if stream.read_buf(buffer).await? == 0 {
            return Ok(None);
        }
    }
    request.body = buffer.drain(..length).collect();
    Ok(Some(request))
}

/// A bucket named `b`.
pub(crate) struct Bucket {
    honours_condition: bool,
    objects: Mutex<BTreeMap<String, String>>,
}

impl Bucket {
    pub(crate) fn new(honours_condition: bool) -> Self {
        Self { honours_condition, objects: Mutex::default() }
    }

    pub(crate) fn answer(&self, request: &Request) -> Reply {
        let mut objects = self.objects.lock().unwrap();
        let (path, query) = request.target.split_once('?').unwrap_or((&request.target, ""));
        let key = path.trim_start_matches("/b").trim_start_matches('/').to_owned();
        match (request.method.as_str(), key.is_empty()) {
            ("GET", true) => {
                let prefix = query.split('&').find_map(|part| part.strip_prefix("prefix=")).unwrap_or_default();
                let prefix = prefix.replace("%2F", "/");
                let keys: Vec<&str> =
                    objects.keys().map(String::as_str).filter(|key| key.starts_with(&prefix)).collect();
                Reply::listing(&keys, false)
            }
            ("GET", false) => match (objects.get(&key), request.header("range")) {
                (None, _) => Reply::error(404, "NoSuchKey"),
                (Some(body), None) => Reply::ok(body),
                (Some(body), Some(range)) => {
                    let (start, last) = range.trim_start_matches("bytes=").split_once('-').unwrap();
                    let start: usize = start.parse().unwrap();
                    let end = (last.parse::<usize>().unwrap() + 1).min(body.len());
                    let range = format!("bytes {start}-{}/{}", end - 1, body.len());
                    Reply::full(206, &[("content-range", &range)], &body[start..end])
                }
            },
            ("PUT", false) => {
                let conditional = request.header("if-none-match") == Some("*");
                if self.honours_condition && conditional && objects.contains_key(&key) {
                    return Reply::error(412, "PreconditionFailed");
                }
                objects.insert(key, String::from_utf8(request.body.clone()).unwrap());
                Reply::ok("")
            }
            ("DELETE", false) => {
                objects.remove(&key);
                Reply::full(204, &[], "")
            }
            _ => Reply::ok(""),
        }
    }
}
