//! Names that would lead elsewhere if they ever became a path or a key: in every place that takes a name.

use loglake_integration::Client;
use reqwest::header::HeaderValue;
use serde_json::json;

use crate::site::{Site, Target};
use crate::wire::{self, head};

/// Plain, encoded once and twice, with NUL, too long in UTF-8, look-alikes, blanks, names of devices.
fn texts() -> Vec<String> {
    let plain = [
        "..",
        ".",
        "../good",
        "..\\good",
        "/etc/passwd",
        "good/../ops",
        "good/",
        "//good",
        "a/../../../../tmp/x",
        "~",
        "\0",
        "good\0",
        "good\0.json",
        "good\n",
        "good\r\nX-Scope-OrgID: ops",
        "good ",
        " good",
        "-good",
        "_good",
        "good.",
        "good*",
        "${good}",
        "$(id)",
        "'",
        "\"",
        "%",
        "%00",
        "%2e%2e",
        "%2e%2e%2fgood",
        "..%2fgood",
        "%252e%252e%252fgood",
        "%25252e",
        "..%c0%af",
        "%c0%ae%c0%ae%c0%af",
        "%e0%80%ae%e0%80%ae",
        "..%ef%bc%8f",
        "%uff0e",
        "．．／good",
        "ｇood",
        "gооd",
        "goo\u{0301}d",
        "good\u{200b}",
        "\u{202e}doog",
        "CON\u{0}",
    ];
    let mut texts: Vec<String> = plain.map(str::to_owned).to_vec();
    texts.push("x".repeat(65));
    texts.push("x".repeat(1_024));
    texts.push("../".repeat(1_000));
    texts
}

/// Bytes that are no UTF-8: dots and strokes written too long, and cut off.
const OVERLONG: [&[u8]; 5] =
    [b"\xc0\xae\xc0\xae\xc0\xaf", b"good\xc0\x80", b"\xe0\x80\xae", b"\xf0\x80\x80\xae", b"good\xff"];

pub(crate) async fn run(target: Target) {
    headers(&target).await;
    bodies(&target).await;
    paths(&target).await;
    stored(&target).await;
}

/// What is no tenant's name is 400 in the header that names one, on every port; another tenant's is 403.
async fn headers(target: &Target) {
    let urls = [
        (format!("{}/v1/query", target.ports.query_url()), "{}"),
        (format!("{}/v1/ingest", target.ports.ingest_url()), r#"{"service":"s","message":"a swapped tenant"}"#),
    ];
    let mut values: Vec<Vec<u8>> = texts().into_iter().map(String::into_bytes).collect();
    values.extend(OVERLONG.map(<[u8]>::to_vec));
    values.push(b"good".to_vec());
    for value in &values {
        let Ok(header) = HeaderValue::from_bytes(value) else { continue };
        // Blanks around a header's value are not part of it (RFC 9110, section 5.5).
        let expected = if value.trim_ascii() == b"good" { 403 } else { 400 };
        for (url, body) in &urls {
            let request = reqwest::Client::new().post(url).bearer_auth(&target.evil).header("x-scope-orgid", &header);
            let answer = request.header("content-type", "application/json").body(*body).send().await.unwrap();
            assert_eq!(answer.status().as_u16(), expected, "{url}: {:?}", String::from_utf8_lossy(value));
        }
        let Ok(text) = std::str::from_utf8(value) else { continue };
        let Ok(text) = text.parse::<tonic::metadata::AsciiMetadataValue>() else { continue };
        let bearer = format!("Bearer {}", target.evil);
        let headers = [("authorization", &*bearer), ("x-scope-orgid", text.to_str().unwrap_or_default())];
        let refused = loglake_integration::send::batch(&target.ports.grpc_url(), &headers, vec![]).await.unwrap_err();
        assert!(matches!(refused.code(), tonic::Code::InvalidArgument | tonic::Code::PermissionDenied), "{refused:?}");
    }
    // Two that differ, in either order, and once in each way to say it.
    for (first, second, body, expected) in [
        ("evil", "good", "{}", 400),
        ("good", "evil", "{}", 400),
        ("evil", "evil", r#"{"tenant_id":"good"}"#, 403),
        ("good", "good", r#"{"tenant_id":"evil"}"#, 403),
    ] {
        let request = reqwest::Client::new().post(&urls[0].0).bearer_auth(&target.evil);
        let request = request.header("x-scope-orgid", first).header("x-scope-orgid", second);
        let answer = request.header("content-type", "application/json").body(body).send().await.unwrap();
        assert_eq!(answer.status().as_u16(), expected, "{first} {second} {body}");
    }
    // Two credentials are none.
    let request = reqwest::Client::new().post(&urls[0].0).bearer_auth(&target.evil).header("x-api-key", &target.good);
    assert_eq!(request.body("{}").send().await.unwrap().status().as_u16(), 401);
}

/// The same in bodies and parameters.
async fn bodies(target: &Target) {
    let query = Client::new(target.ports.query_url()).with_header("x-api-key", &target.evil);
    let operator = Client::new(target.ports.query_url()).with_header("x-api-key", &target.operator);
    for text in texts() {
        for path in ["/v1/query", "/v1/aggregate"] {
            let (status, answer) = query.post(path, json!({"tenant_id": text}).to_string()).await;
            assert_eq!(
                (status.as_u16(), &answer["error"]["field"]),
                (400, &json!("tenant_id")),
                "{path} {text:?}: {answer}"
            );
            let (status, answer) = query.post(path, json!({"cursor": text, "step": null}).to_string()).await;
            assert_eq!(status.as_u16(), 400, "{path} {text:?}: {answer}");
        }
        for (path, body) in [
            ("/v1/tenants", json!({"tenant_id": text})),
            ("/v1/tokens", json!({"tenant_id": text, "scopes": ["query"]})),
            ("/v1/tokens", json!({"tenant_id": "ops", "id": text, "scopes": ["query"]})),
        ] {
            // The id of a token may begin as it likes.
            let is_id = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
            if body.get("id").is_some() && is_id && text.len() <= 64 {
                continue;
            }
            let (status, answer) = operator.post(path, body.to_string()).await;
            // A tenant that was never added cannot have a token, whatever its id.
            assert!(matches!(status.as_u16(), 400 | 404), "{path} {body}: {status} {answer}");
        }
    }
}

/// The same in paths, as bytes that no client's library has made better.
async fn paths(target: &Target) {
    let encoded = |bytes: &[u8]| bytes.iter().map(|byte| format!("%{byte:02x}")).collect::<String>();
    let mut parts: Vec<String> = Vec::new();
    for text in texts() {
        parts.push(encoded(text.as_bytes()));
        parts.push(encoded(encoded(text.as_bytes()).as_bytes()));
        if text.bytes().all(|byte| byte.is_ascii_graphic()) {
            parts.push(text);
        }
    }
    parts.extend(OVERLONG.iter().map(|bytes| encoded(bytes)));
    for part in parts {
        for path in [
            format!("/v1/tenants/{part}/suspend"),
            format!("/v1/tokens/{part}/rotate"),
            format!("/{part}"),
            format!("/v1/{part}/query"),
            format!("/v1/services?tenant_id={part}"),
            format!("/v1/tokens?tenant_id={part}"),
            format!("/metrics/{part}"),
        ] {
            let method = if path.contains('?') { "GET" } else { "POST" };
            let request = head(method, &path, &target.operator, &["Content-Length: 0", "Connection: close"]);
            let answer = wire::exchange(target.ports.query, request.as_bytes()).await;
            let status = wire::status(&answer);
            // 403: an operator reads no records. 414, 431: too long.
            assert!(matches!(status, Some(400 | 403 | 404 | 405 | 414 | 431)), "{path}: {}", wire::text(&answer));
            let text = wire::text(&answer);
            assert!(!text.contains("root:") && !text.contains("ll_"), "{path}: {text}");
        }
    }
}

/// Where any text is a good one, it stays what it is: a service, keys, ids, a request's id.
async fn stored(target: &Target) {
    let ingest = Client::new(target.ports.ingest_url()).with_header("x-api-key", &target.evil);
    let query = Client::new(target.ports.query_url()).with_header("x-api-key", &target.evil);
    let texts: Vec<String> = texts().into_iter().filter(|text| text.len() <= 100).collect();
    let (mut taken, mut body) = (Vec::new(), String::new());
    for (n, text) in texts.iter().enumerate() {
        let record = json!({
            "service": text, "message": format!("named {n}"), "trace_id": text, "span_id": text, "host": text,
            "tags": [text], "attributes": {(text): text},
        });
        body.push_str(&format!("{record}\n"));
        // Names of services have no control characters.
        if !text.chars().any(char::is_control) {
            taken.push((n, text));
        }
    }
    let (status, answer) = ingest.post_typed("/v1/ingest", "application/x-ndjson", body).await;
    assert_eq!((status.as_u16(), &answer["accepted"]), (200, &json!(taken.len())), "{answer}");
    for (n, text) in taken {
        let found =
            query.all(&json!({"services": [text], "trace_id": text, "contains": format!("named {n}")}), 10).await;
        assert_eq!(found.len(), 1, "{text:?}");
        for key in ["service", "trace_id", "span_id", "host"] {
            assert_eq!(found[0][key], json!(text), "{}", found[0]);
        }
        assert_eq!(found[0]["attributes"][text], json!(text), "{}", found[0]);
    }
    for text in &texts {
        let Ok(value) = HeaderValue::from_str(text) else { continue };
        for header in ["idempotency-key", "x-request-id", "traceparent"] {
            let request = reqwest::Client::new().post(format!("{}/v1/ingest", target.ports.ingest_url()));
            let request =
                request.bearer_auth(&target.evil).header(header, &value).header("content-type", "application/json");
            let status = request.body(r#"{"service":"s","message":"m"}"#).send().await.unwrap().status().as_u16();
            assert!(matches!(status, 200 | 400), "{header}: {text:?}: {status}");
        }
    }
}

/// Whatever the names were, the data folder holds what it always holds, and nothing lies beside it.
pub(crate) fn nothing_lies_elsewhere(site: &Site) {
    let mut beside: Vec<String> = std::fs::read_dir(site.folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    beside.sort_unstable();
    assert_eq!(beside, ["data", "data.server.log"]);
    let (mut folders, mut files) = (vec![site.dev.data().to_owned()], 0);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().expect("names are UTF-8");
            let is_good = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.~=%".contains(&byte));
            assert!(is_good && !name.starts_with('-'), "{}", entry.path().display());
            if entry.file_type().unwrap().is_dir() {
                folders.push(entry.path());
            } else {
                files += 1;
            }
        }
    }
    assert!(files > 5, "{files} files");
}
