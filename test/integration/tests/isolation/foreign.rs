//! What is another tenant's and what there is not get the same answer, byte for byte, but for the name that was asked for.

use loglake_integration::{Dev, Session};
use serde_json::json;

use crate::tenant::Tenant;
use crate::watch::{HTTP, Said, Watch};

const ABSENT: &str = "absent-0123abcd";
const NO_CANARY: &str = "0123456789abcdef";

pub(crate) async fn look_the_same(dev: &Dev, watch: &Watch, tenants: &[Tenant; 3]) {
    for reader in tenants {
        for other in tenants.iter().filter(|other| other.name != reader.name) {
            same_answers(dev, watch, reader, other).await;
            sessions(dev, watch, reader, other).await;
        }
    }
}

async fn same_answers(dev: &Dev, watch: &Watch, reader: &Tenant, other: &Tenant) {
    let id = |tenant: &Tenant| tenant.token.split('_').nth(1).expect("an id").to_owned();
    // As long as the ids that there are.
    let absent_id: String = id(other).chars().map(|_| 'z').collect();
    let (query, ingest) = (dev.ports.query_url(), dev.ports.ingest_url());
    let (name, canary, token_id) = (other.name.as_str(), other.canary.as_str(), id(other));
    let both = |text: &str| {
        let real = text.replace("NAME", name).replace("CANARY", canary).replace("ID", &token_id);
        (real, text.replace("NAME", ABSENT).replace("CANARY", NO_CANARY).replace("ID", &absent_id))
    };
    let query_for = |body: serde_json::Value| ("POST", format!("{query}/v1/query"), body.to_string(), "");
    let mut probes = vec![
        query_for(json!({"tenant_id": "NAME"})),
        query_for(json!({"service": "only-CANARY"})),
        query_for(json!({"services": ["only-CANARY", "NAME"]})),
        query_for(json!({"trace_id": "CANARYCANARY"})),
        query_for(json!({"contains": "CANARY"})),
        query_for(json!({"fields": [{"name": "key-CANARY", "op": "exists"}]})),
        ("POST", format!("{query}/v1/aggregate"), json!({"contains": "CANARY"}).to_string(), ""),
        ("POST", format!("{query}/v1/aggregate"), json!({"tenant_id": "NAME"}).to_string(), ""),
        ("GET", format!("{query}/v1/services?tenant_id=NAME"), String::new(), ""),
        ("GET", format!("{query}/v1/services"), String::new(), "NAME"),
        ("POST", format!("{query}/v1/query"), "{}".to_owned(), "NAME"),
        ("POST", format!("{ingest}/v1/ingest"), String::new(), "NAME"),
        ("GET", format!("{query}/v1/only-CANARY"), String::new(), ""),
        (
            "POST",
            format!("{ingest}/v1/ingest"),
            json!({"service": "s", "message": "m", "tenant_id": "NAME"}).to_string(),
            "",
        ),
    ];
    for (method, path, body) in [
        ("GET", "/v1/tokens", ""),
        ("GET", "/v1/tokens?tenant_id=NAME", ""),
        ("GET", "/v1/tenants", ""),
        ("POST", "/v1/tokens", r#"{"scopes":["query"],"tenant_id":"NAME"}"#),
        ("POST", "/v1/tokens", r#"{"scopes":["query"],"id":"ID"}"#),
        ("POST", "/v1/tokens/ID/rotate", "{}"),
        ("DELETE", "/v1/tokens/ID", ""),
        ("POST", "/v1/tenants", r#"{"tenant_id":"NAME"}"#),
        ("POST", "/v1/tenants/NAME/suspend", ""),
        ("POST", "/v1/tenants/NAME/resume", ""),
    ] {
        probes.push((method, format!("{query}{path}"), body.to_owned(), "admin"));
    }
    for (method, url, body, header) in probes {
        let ((real_url, absent_url), (real_body, absent_body)) = (both(&url), both(&body));
        let (real_header, absent_header) = both(header);
        let ask = async |url: &str, body: &str, header: &str| {
            let (token, scope_org) = if header == "admin" { (&reader.admin, "") } else { (&reader.token, header) };
            let mut request = HTTP.request(method.parse().unwrap(), url).bearer_auth(token);
            if !scope_org.is_empty() {
                request = request.header("x-scope-orgid", scope_org);
            }
            if !body.is_empty() {
                request = request.header("content-type", "application/json").body(body.to_owned());
            }
            let said = Said::by(request).await;
            watch.of(&reader.name, &format!("{method} {url} {body} {header}"), &said);
            said
        };
        let real = ask(&real_url, &real_body, &real_header).await;
        let absent = ask(&absent_url, &absent_body, &absent_header).await;
        // What may be repeated is what was asked for.
        let neutral = |said: Said, names: [&str; 3]| {
            let mut said = said.settled();
            for name in names {
                said.body = said.body.replace(name, "*");
            }
            // Which blocks a filter lets through is chance; they are the reader's own.
            let mut body: serde_json::Value = serde_json::from_str(&said.body).expect("JSON");
            if said.status == 200
                && let Some(body) = body.as_object_mut()
            {
                body.remove("stats");
            }
            (said.status, said.head, body)
        };
        let real = neutral(real, [name, canary, &token_id]);
        let absent = neutral(absent, [ABSENT, NO_CANARY, &absent_id]);
        assert_eq!(real, absent, "{} asks {method} {real_url} {real_body} {real_header}", reader.name);
    }
}

/// A session's token is good for its tenant alone.
async fn sessions(dev: &Dev, watch: &Watch, reader: &Tenant, other: &Tenant) {
    let Some((session, _)) = &other.session else { return };
    let bearer = format!("Bearer {}", reader.token);
    let refused =
        Session::open_as(&dev.ports.grpc_url(), ("authorization", &bearer), &session.token).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::PermissionDenied, "{refused:?}");
    let said = Said { status: 403, head: String::new(), body: format!("{refused:?}") };
    watch.of(&reader.name, "a session", &said);
}
