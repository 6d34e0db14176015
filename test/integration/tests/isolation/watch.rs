//! Looks at every byte that anybody is told.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::tenant::Tenant;

/// One client of all tenants, whose connections they share.
pub(crate) static HTTP: std::sync::LazyLock<reqwest::Client> = std::sync::LazyLock::new(|| {
    // The ingestor ends connections that idle for half a minute, the query service later.
    let http = reqwest::Client::builder().pool_idle_timeout(std::time::Duration::from_secs(3));
    http.build().expect("a client of no particular settings")
});

/// Who must not find what in an answer.
pub(crate) struct Watch {
    marks: Vec<Marks>,
    answers: AtomicU64,
    bytes: AtomicU64,
}

/// What belongs to one tenant.
struct Marks {
    owner: String,
    canary: String,
    /// Ids of its tokens.
    ids: Vec<String>,
    secrets: Vec<String>,
}

/// An answer as it came.
#[derive(Clone, Debug)]
pub(crate) struct Said {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Watch {
    pub(crate) fn new(tenants: &[Tenant], operator: &str) -> Self {
        let part = |token: &str, at| token.split('_').nth(at).expect("ll_<id>_<secret>").to_owned();
        let of = |tenant: &Tenant| Marks {
            owner: tenant.name.clone(),
            canary: tenant.canary.clone(),
            ids: [&tenant.token, &tenant.admin].map(|token| part(token, 1)).to_vec(),
            secrets: [&tenant.token, &tenant.admin].map(|token| part(token, 2)).to_vec(),
        };
        let mut marks: Vec<Marks> = tenants.iter().map(of).collect();
        // The operator's own name is a word that may well stand anywhere.
        let (ids, secrets) = (vec![part(operator, 1)], vec![part(operator, 2)]);
        marks.push(Marks { owner: "-".repeat(80), canary: "-".repeat(80), ids, secrets });
        Self { marks, answers: AtomicU64::default(), bytes: AtomicU64::default() }
    }

    /// `reader` was told `said`, having asked for `asked`: nothing of anybody else may be in it. A refusal may repeat what was
    /// asked for, an answer not even that.
    pub(crate) fn of(&self, reader: &str, asked: &str, said: &Said) {
        let text = self.counted(&said.head, &said.body);
        for marks in &self.marks {
            for secret in &marks.secrets {
                assert!(!text.contains(secret), "{reader} was told a secret: {asked}: {said:?}");
            }
            if marks.owner == reader {
                continue;
            }
            for mark in [&marks.owner, &marks.canary].into_iter().chain(&marks.ids) {
                let is_repeated = said.status >= 400 && asked.contains(mark.as_str());
                assert!(is_repeated || !text.contains(mark.as_str()), "{reader} was told {mark}: {asked}: {said:?}");
            }
        }
    }

    /// Whoever asks may read `text`: nothing of any tenant may be in it.
    pub(crate) fn nobodys(&self, asked: &str, text: &str) {
        let text = self.counted("", text);
        for marks in &self.marks {
            let all = [&marks.owner, &marks.canary].into_iter().chain(&marks.ids).chain(&marks.secrets);
            for mark in all {
                assert!(!text.contains(mark.as_str()), "everybody is told {mark} by {asked}:\n{text}");
            }
        }
    }

    /// What a process says in its log names tenants and tokens for those who run it, but nothing of a record, no secret.
    pub(crate) fn log(&self, text: &str) {
        assert!(text.len() > 1_000, "the log is empty: {text}");
        for marks in &self.marks {
            for mark in marks.secrets.iter().chain([&marks.canary]) {
                let line = text.lines().find(|line| line.contains(mark.as_str()));
                assert_eq!(line, None, "the log holds {mark}");
            }
        }
        assert!(!text.contains("panicked"), "{text}");
    }

    fn counted(&self, head: &str, body: &str) -> String {
        self.answers.fetch_add(1, Relaxed);
        self.bytes.fetch_add((head.len() + body.len()) as u64, Relaxed);
        format!("{head}\n{body}")
    }

    pub(crate) fn summary(&self) -> String {
        let (answers, bytes) = (self.answers.load(Relaxed), self.bytes.load(Relaxed));
        assert!(answers > 500 && bytes > 500_000, "only {answers} answers of {bytes} bytes");
        format!("{answers} answers of {bytes} bytes, none with another tenant's")
    }
}

impl Said {
    /// The answer to `request`.
    pub(crate) async fn by(request: reqwest::RequestBuilder) -> Self {
        let answer = request.send().await.expect("the service answers");
        let status = answer.status().as_u16();
        let head = answer.headers().iter().map(|(name, value)| {
            let changes = ["x-request-id", "date"].contains(&name.as_str());
            if changes { String::new() } else { format!("{name}: {}\n", String::from_utf8_lossy(value.as_bytes())) }
        });
        let head = head.collect();
        let body = answer.bytes().await.expect("a whole answer");
        Self { status, head, body: String::from_utf8(body.to_vec()).expect("UTF-8") }
    }

    /// The same without what differs between any two answers.
    pub(crate) fn settled(&self) -> Self {
        let mut body: serde_json::Value = serde_json::from_str(&self.body).unwrap_or_default();
        if let Some(error) = body.get_mut("error").and_then(serde_json::Value::as_object_mut) {
            error.remove("request_id").expect("every refusal has an id");
        }
        if let Some(stats) = body.get_mut("stats").and_then(serde_json::Value::as_object_mut) {
            stats.remove("duration_ms");
        }
        // Both may be of several digits.
        let head = self.head.lines().filter(|line| !line.starts_with("content-length")).collect();
        Self { status: self.status, head, body: body.to_string() }
    }
}
