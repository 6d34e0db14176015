//! More requests at a time than there are turns, by one tenant.

use futures_util::StreamExt as _;
use futures_util::stream;
use serde_json::json;

use crate::site::Target;

const TOO_MANY: u16 = 429;

/// Each gets an answer, if only to come again; what the flood gets is its own tenant's.
pub(crate) async fn requests(target: Target) {
    let count = 600 * crate::size();
    let client = reqwest::Client::new();
    let (query, ingest) = (target.ports.query_url(), target.ports.ingest_url());
    let statuses = stream::iter(0..count).map(|n| {
        let (client, token) = (client.clone(), target.evil.clone());
        let (url, body) = match n % 4 {
            0 => (format!("{query}/v1/query"), json!({"limit": 1000, "regex": "[a-z]+\\d"})),
            1 => (format!("{query}/v1/aggregate"), json!({"contains": "m", "group_by": ["level", "service"]})),
            2 => {
                (format!("{ingest}/v1/ingest"), json!({"service": format!("flood-{n}"), "message": "x".repeat(10_000)}))
            }
            _ => (format!("{query}/v1/query"), json!({"limit": 0})),
        };
        async move {
            let request = client.post(url).bearer_auth(token).header("content-type", "application/json");
            // What is refused before its body was read may be reset before the client has read that.
            let Ok(answer) = request.body(body.to_string()).send().await else { return TOO_MANY };
            let status = answer.status().as_u16();
            let text = answer.text().await.unwrap();
            assert!(!text.contains("well-behaved"), "another tenant's record: {text}");
            status
        }
    });
    let statuses: Vec<u16> = statuses.buffer_unordered(256).collect().await;
    let count_of = |wanted: u16| statuses.iter().filter(|status| **status == wanted).count();
    println!("{} of {count} served, {} told to come again", count_of(200), count_of(TOO_MANY));
    assert_eq!(count_of(400), count / 4, "what is wrong is wrong");
    assert!(statuses.iter().all(|status| [200, 400, TOO_MANY, 503, 504].contains(status)), "{statuses:?}");
    assert!(count_of(200) > 0);
}
