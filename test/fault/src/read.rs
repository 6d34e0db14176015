//! Reads everything back, page by page.

use std::time::{Duration, Instant};

use rand::prelude::*;
use serde_json::{Value, json};

use crate::site::Site;

/// How long one page may take before the reader gives it up.
const PAGE: Duration = Duration::from_secs(40);

/// What a query service said.
#[derive(Debug)]
pub enum Said {
    /// A page.
    Page {
        /// Its records.
        items: Vec<Value>,
        /// Where to go on.
        cursor: Option<String>,
        /// Whether nothing is missing.
        is_complete: bool,
        /// What is missing, as it was said.
        missing: Value,
    },
    /// An error, a broken connection, silence.
    Error(String),
    /// Success, and then bytes that are no answer.
    Unreadable(String),
}

/// What a walk over all pages found.
#[derive(Debug, Default)]
pub struct Scan {
    /// All records, in the order of the pages.
    pub items: Vec<Value>,
    /// Whether the end was reached with no page missing anything.
    pub is_whole: bool,
    /// What went wrong on the way.
    pub errors: Vec<String>,
    /// What cannot be excused.
    pub unreadable: Option<String>,
}

/// Asks the query services of a site.
#[derive(Clone, Debug)]
pub struct Reader {
    site: Site,
    http: reqwest::Client,
}

impl Reader {
    /// A reader of `site`.
    pub fn new(site: &Site) -> Self {
        Self { site: site.clone(), http: reqwest::Client::new() }
    }

    /// Asks query service number `at` (modulo how many there are) for one page.
    pub async fn page(&self, at: usize, tenant: &str, body: &Value) -> Said {
        let queries = self.site.queries();
        let Some(base) = queries.get(at % queries.len().max(1)) else { return Said::Error("no query service".into()) };
        let request = self
            .http
            .post(format!("{base}/v1/query"))
            .timeout(PAGE)
            .header("content-type", "application/json")
            .header("x-scope-orgid", tenant)
            .body(body.to_string());
        let answer = match request.send().await {
            Ok(answer) => answer,
            Err(error) => return Said::Error(format!("{error:?}")),
        };
        let status = answer.status();
        let bytes = match answer.bytes().await {
            Ok(bytes) => bytes,
            Err(error) => return Said::Error(format!("{status}, then {error:?}")),
        };
        if !status.is_success() {
            return Said::Error(format!("{status} {}", String::from_utf8_lossy(&bytes)));
        }
        let Ok(mut whole) = serde_json::from_slice::<Value>(&bytes) else {
            return Said::Unreadable(String::from_utf8_lossy(&bytes[..bytes.len().min(500)]).into_owned());
        };
        let Some(is_complete) = whole["complete"].as_bool() else { return Said::Unreadable(whole.to_string()) };
        let Value::Array(items) = whole["items"].take() else { return Said::Unreadable(whole.to_string()) };
        let cursor = whole["next_cursor"].as_str().map(str::to_owned);
        Said::Page { items, cursor, is_complete, missing: whole["missing"].take() }
    }

    /// Walks over all pages of `body`, with page sizes and query services drawn from `random`. A page that fails or is not
    /// complete is asked for again until `patience` is over; then the walk ends there.
    pub async fn scan(
        &self,
        tenant: &str,
        mut body: Value,
        is_forward: bool,
        random: &mut StdRng,
        patience: Instant,
    ) -> Scan {
        let mut scan = Scan::default();
        body["direction"] = json!(if is_forward { "forward" } else { "backward" });
        loop {
            // Mostly large pages: reading is not what takes the time.
            let limit =
                if random.random_bool(0.25) { random.random_range(1..100) } else { random.random_range(500..5_000) };
            body["limit"] = json!(limit);
            match self.page(random.random_range(0..64), tenant, &body).await {
                Said::Page { items, cursor, is_complete: true, .. } => {
                    if items.len() > limit {
                        scan.unreadable = Some(format!("{} rows where {limit} were asked for", items.len()));
                        return scan;
                    }
                    scan.items.extend(items);
                    match cursor {
                        Some(cursor) => body["cursor"] = json!(cursor),
                        None => {
                            scan.is_whole = true;
                            return scan;
                        }
                    }
                    continue;
                }
                Said::Page { items, missing, .. } => {
                    scan.errors.push(format!("incomplete: {missing}"));
                    // The rows that it has must be right all the same; a page that is given up may be the last only.
                    if Instant::now() >= patience {
                        scan.items.extend(items);
                        return scan;
                    }
                }
                Said::Error(text) => scan.errors.push(text),
                Said::Unreadable(text) => {
                    scan.unreadable = Some(text);
                    return scan;
                }
            }
            if Instant::now() >= patience {
                return scan;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}
