//! A client of the query service, as a user would write it.

use reqwest::StatusCode;
use serde_json::{Value, json};

/// Asks one query service.
#[derive(Clone, Debug)]
pub struct Client {
    base: String,
    headers: Vec<(String, String)>,
    http: reqwest::Client,
}

/// A page of an answer.
#[derive(Clone, Debug)]
pub struct Page {
    /// The records.
    pub items: Vec<Value>,
    /// Where to go on.
    pub cursor: Option<String>,
    /// The whole answer.
    pub whole: Value,
}

impl Client {
    /// A client of the service at `base`, without a credential (open mode).
    pub fn new(base: impl Into<String>) -> Self {
        // The service ends a connection that is idle for ten seconds: one that is older than this is not used again, or a
        // question may meet its end.
        let http = reqwest::Client::builder().pool_idle_timeout(std::time::Duration::from_secs(3));
        let http = http.build().expect("a client of no particular settings");
        Self { base: base.into(), headers: Vec::new(), http }
    }

    /// The same with one header more.
    #[must_use]
    pub fn with_header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The same as the tenant `name`, in open mode.
    #[must_use]
    pub fn tenant(self, name: &str) -> Self {
        self.with_header("X-Scope-OrgID", name)
    }

    /// The same against another service.
    #[must_use]
    pub fn at(mut self, base: impl Into<String>) -> Self {
        self.base = base.into();
        self
    }

    /// POSTs `body` to `path` as JSON, as it is.
    ///
    /// # Panics
    /// When the service does not answer, or not with JSON.
    pub async fn post(&self, path: &str, body: impl Into<reqwest::Body>) -> (StatusCode, Value) {
        self.post_typed(path, "application/json", body).await
    }

    /// POSTs `body` to `path` as `content_type`.
    ///
    /// # Panics
    /// When the service does not answer, or not with JSON.
    pub async fn post_typed(
        &self,
        path: &str,
        content_type: &str,
        body: impl Into<reqwest::Body>,
    ) -> (StatusCode, Value) {
        self.post_encoded(path, content_type, None, body).await
    }

    /// POSTs `body` to `path` as `content_type`, saying that it is encoded.
    ///
    /// # Panics
    /// When the service does not answer, or not with JSON.
    pub async fn post_encoded(
        &self,
        path: &str,
        content_type: &str,
        encoding: Option<&str>,
        body: impl Into<reqwest::Body>,
    ) -> (StatusCode, Value) {
        let mut request =
            self.http.post(format!("{}{path}", self.base)).header("content-type", content_type).body(body);
        if let Some(encoding) = encoding {
            request = request.header("content-encoding", encoding);
        }
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        let answer = request.send().await.expect("the service answers");
        let status = answer.status();
        let bytes = answer.bytes().await.expect("a whole answer");
        let value = serde_json::from_slice(&bytes)
            .unwrap_or_else(|error| panic!("{status}: {error}: {}", String::from_utf8_lossy(&bytes)));
        (status, value)
    }

    /// POSTs `body` and returns the answer's bytes as text, untouched by any JSON library.
    ///
    /// # Panics
    /// When the service does not answer.
    pub async fn post_text(&self, path: &str, body: Value) -> String {
        let mut request = self
            .http
            .post(format!("{}{path}", self.base))
            .header("content-type", "application/json")
            .body(body.to_string());
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        request.send().await.expect("the service answers").text().await.expect("a whole answer")
    }

    /// GETs `path`.
    ///
    /// # Panics
    /// When the service does not answer.
    pub async fn get(&self, path: &str) -> (StatusCode, String) {
        let mut request = self.http.get(format!("{}{path}", self.base));
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        let answer = request.send().await.expect("the service answers");
        (answer.status(), answer.text().await.expect("a whole answer"))
    }

    /// Asks for one page; the answer must be complete.
    ///
    /// # Panics
    /// When it is refused or incomplete.
    pub async fn page(&self, body: &Value) -> Page {
        let (status, whole) = self.post("/v1/query", body.to_string()).await;
        assert_eq!(status, StatusCode::OK, "{body}: {whole}");
        assert_eq!(whole["complete"], json!(true), "{body}: {}", whole["missing"]);
        let items = whole["items"].as_array().expect("items").clone();
        let cursor = whole["next_cursor"].as_str().map(str::to_owned);
        Page { items, cursor, whole }
    }

    /// Asks for all pages of `limit` records.
    ///
    /// # Panics
    /// When a page is refused or incomplete, or there is no end.
    pub async fn all(&self, body: &Value, limit: usize) -> Vec<Value> {
        let mut body = body.clone();
        body["limit"] = json!(limit);
        let mut items = Vec::new();
        for _ in 0..1_000_000 {
            let page = self.page(&body).await;
            assert!(page.items.len() <= limit, "a page of {} records", page.items.len());
            items.extend(page.items);
            match page.cursor {
                Some(cursor) => body["cursor"] = json!(cursor),
                None => return items,
            }
        }
        panic!("paging has no end: {body}");
    }
}
