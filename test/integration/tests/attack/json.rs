//! JSON that is deep or wide, and expressions that would take for ever.

use loglake_integration::Client;
use serde_json::{Value, json};

use crate::site::Target;

pub(crate) async fn run(target: Target) {
    let query = Client::new(target.ports.query_url()).with_header("x-api-key", &target.evil);
    let ingest = Client::new(target.ports.ingest_url()).with_header("x-api-key", &target.evil);
    questions(&query).await;
    records(&ingest).await;
    expressions(&query).await;
}

fn deep(open: &str, close: &str) -> String {
    format!("{}1{}", open.repeat(10_000), close.repeat(10_000))
}

async fn questions(query: &Client) {
    let wide: Vec<String> = (0..90_000).map(|n| format!("\"k{n}\":1")).collect();
    let same = vec!["\"limit\":1"; 90_000].join(",");
    for body in [
        deep("[", "]"),
        deep("{\"a\":", "}"),
        format!("{{\"contains\":{}}}", deep("[", "]")),
        format!("{{\"fields\":[{{\"name\":\"a\",\"op\":\"eq\",\"value\":{}}}]}}", deep("[", "]")),
        format!("{{\"tenant_id\":{}}}", deep("{\"a\":", "}")),
        format!("{{{}}}", wide.join(",")),
        format!("{{{same}}}"),
        format!("{{\"services\":[{}]}}", vec!["\"s\""; 200_000].join(",")),
        format!("{{\"contains\":[{}]}}", vec!["\"s\""; 200_000].join(",")),
        format!("{{\"level\":[{}]}}", vec!["\"info\""; 100_000].join(",")),
        format!("{{\"limit\":1{}}}", "0".repeat(500_000)),
        format!("{{\"limit\":1e{}}}", "9".repeat(500_000)),
        format!("{{\"from_ts\":-{}}}", "9".repeat(500_000)),
        format!("{{\"trace_id\":\"{}\"}}", "x".repeat(1_000_000)),
        "[".repeat(1_000_000),
        "{\"a\":".repeat(150_000),
        "\"\\ud800".repeat(100_000),
    ] {
        for path in ["/v1/query", "/v1/aggregate"] {
            let (status, answer) = query.post(path, body.clone()).await;
            let shown: String = body.chars().take(60).collect();
            assert_eq!(status.as_u16(), 400, "{path} {shown}: {answer}");
            // A refusal repeats a little of what was sent, not all.
            assert!(
                answer.to_string().len() < 4_000,
                "{path} {shown}: an answer of {} bytes",
                answer.to_string().len()
            );
        }
    }
}

async fn records(ingest: &Client) {
    let wide: Vec<String> = (0..1_000_000).map(|n| format!("\"{n:x}\":0")).collect();
    let wide = wide.join(",");
    let good = r#"{"service":"json","message":"kept beside"}"#;
    for bad in [
        format!("{{\"service\":\"json\",\"message\":\"m\",\"a\":{}}}", deep("[", "]")),
        format!("{{\"service\":\"json\",\"message\":\"m\",\"a\":{}}}", deep("{\"a\":", "}")),
        format!("{{\"service\":\"json\",\"message\":\"m\",{}}}", &wide[..wide.len() / 4]),
        format!("{{\"service\":\"json\",\"message\":\"m\",\"a\":[{}]}}", vec!["1"; 500_000].join(",")),
        format!("{{\"service\":\"json\",\"message\":\"m\",\"tags\":[{}]}}", vec!["\"\""; 500_000].join(",")),
        format!("{{{}}}", vec!["\"service\":\"json\""; 100_000].join(",")),
        format!("{{\"service\":\"json\",\"message\":\"m\",\"n\":1{}}}", "0".repeat(1_000_000)),
        format!("{{{wide}}}"),
        "[".repeat(2_000_000),
    ] {
        let shown: String = bad.chars().take(60).collect();
        let body = format!("{good}\n{bad}\n{good}");
        let (status, answer) = ingest.post_typed("/v1/ingest", "application/x-ndjson", body).await;
        assert_eq!(status.as_u16(), 200, "{shown}: {answer}");
        assert_eq!((&answer["accepted"], &answer["rejected"]), (&json!(2), &json!(1)), "{shown}: {answer}");
        assert_eq!(answer["errors"][0]["line"], json!(2), "{shown}: {answer}");
        assert!(answer.to_string().len() < 4_000, "{shown}: an answer of {} bytes", answer.to_string().len());
    }
    // Faults and nothing else, as many as there is room for: refused once it is clear that this is no mistake.
    for (kind, body) in [
        ("application/json", format!("[{}{{}}]", "{},".repeat(5_000_000))),
        ("application/x-ndjson", "{}\n".repeat(5_000_000)),
    ] {
        let (status, answer) = ingest.post_typed("/v1/ingest", kind, body).await;
        assert_eq!(status.as_u16(), 413, "{kind}: {answer}");
    }
}

/// Refused, or answered: never tried for ever. What is compiled is small.
async fn expressions(query: &Client) {
    let refused = [
        "(".repeat(10_000),
        "(".repeat(10_000) + &")".repeat(10_000),
        format!("{}a{}", "(?:".repeat(10_000), ")".repeat(10_000)),
        format!("{}a{}", "(?:".repeat(10_000), ")*".repeat(10_000)),
        "[".repeat(10_000),
        format!("a{}", "*".repeat(10_000)),
        "a{1000}{1000}{1000}".to_owned(),
        "(?:a{1000}){1000}".to_owned(),
        "(?:\\pL{500}){500}".to_owned(),
        "\\pL{10000}".to_owned(),
        "(?i)(?:\\w{100}){100}\\w{100}".to_owned(),
        "[^a]{100}{100}{100}".to_owned(),
        format!("(?:{})", vec!["x{0,1000}"; 1_000].join("|")),
        "(?P<a>x)".repeat(5_000),
        "\\x{110000}".to_owned(),
        "(?=a)".to_owned(),
        "(a)\\1".to_owned(),
        "a".repeat(500_000),
    ];
    for expression in refused {
        for path in ["/v1/query", "/v1/aggregate"] {
            let (status, answer) = query.post(path, json!({"regex": expression}).to_string()).await;
            let shown: String = expression.chars().take(60).collect();
            assert_eq!(
                (status.as_u16(), &answer["error"]["field"]),
                (400, &json!("regex")),
                "{path} {shown}: {answer}"
            );
            assert!(answer.to_string().len() < 8_000, "{shown}: an answer of {} bytes", answer.to_string().len());
        }
    }
    // What ruins engines that go back is as good as any here.
    for expression in ["(a+)+$", "(a|aa)+$", "(.*)*x", "(?:a?){30}a{30}", "^(([a-z])+.)+[A-Z]([a-z])+$", "(x+x+)+y"] {
        let (status, answer) = query.post("/v1/query", json!({"regex": expression, "limit": 1}).to_string()).await;
        assert_eq!((status.as_u16(), answer.get("error")), (200, None::<&Value>), "{expression}: {answer}");
    }
}
