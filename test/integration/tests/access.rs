//! The table of who may call what, walked against a running server: every call with no credential, with another tenant's, with
//! every scope by itself.
#![allow(clippy::unwrap_used, reason = "a test")]

use http::Method;
use loglake_auth::{Access, ROUTES, Route, Scope, Surface};
use loglake_integration::Dev;
use loglake_integration::ctl::{Configured, configured, rows};
use loglake_integration::server::Ports;

/// What a call came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Came {
    /// There is no such call.
    Nowhere,
    /// 401, `UNAUTHENTICATED`.
    Unauthenticated,
    /// 403, `PERMISSION_DENIED`.
    Forbidden,
    /// It was let in, whatever it was answered.
    In,
}

async fn call(ports: &Ports, route: &Route, headers: &[(&'static str, String)]) -> Came {
    let path = route.path.replace("{tenant}", "absent").replace("{id}", "absent");
    let url = match route.surface {
        Surface::IngestGrpc => return grpc(&ports.grpc_url(), &path, headers).await,
        Surface::IngestHttp => ports.ingest_url(),
        Surface::QueryHttp => ports.query_url(),
    };
    let method = reqwest::Method::from_bytes(route.method.as_str().as_bytes()).unwrap();
    let mut request = reqwest::Client::new().request(method, format!("{url}{path}"));
    if route.method == Method::POST {
        request = request.header("content-type", "application/json").body("{}");
    }
    for (name, value) in headers {
        request = request.header(*name, value);
    }
    let answer = request.send().await.unwrap();
    let status = answer.status().as_u16();
    // A name of a part of the path that there is not is a 404 as well, of the call itself.
    let is_call = answer.text().await.unwrap().contains("there is no such t");
    match status {
        401 => Came::Unauthenticated,
        403 => Came::Forbidden,
        404 if !is_call => Came::Nowhere,
        405 => Came::Nowhere,
        _ => Came::In,
    }
}

async fn grpc(url: &str, path: &str, headers: &[(&'static str, String)]) -> Came {
    use loglake_api::ingest::v1::{Batch, BatchResult};
    let path = match path {
        "/grpc.health.v1.Health/*" => "/grpc.health.v1.Health/Check".to_owned(),
        path => path.replace('*', "ServerReflectionInfo"),
    };
    let channel = tonic::transport::Channel::from_shared(url.to_owned()).unwrap().connect().await.unwrap();
    let mut client = tonic::client::Grpc::new(channel);
    client.ready().await.unwrap();
    // An empty message is one of every type.
    let mut request = tonic::Request::new(Batch::default());
    for (name, value) in headers {
        request.metadata_mut().insert(*name, value.parse().unwrap());
    }
    let codec = tonic_prost::ProstCodec::<Batch, BatchResult>::default();
    match client.unary(request, path.parse().unwrap(), codec).await.map_err(|status| status.code()) {
        Err(tonic::Code::Unauthenticated) => Came::Unauthenticated,
        Err(tonic::Code::PermissionDenied) => Came::Forbidden,
        Err(tonic::Code::Unimplemented) => Came::Nowhere,
        _ => Came::In,
    }
}

fn bearer(token: &Configured) -> (&'static str, String) {
    ("authorization", format!("Bearer {}", token.text))
}

#[tokio::test]
async fn every_call_asks_for_what_the_table_says() {
    let folder = tempfile::tempdir().unwrap();
    let tokens: Vec<(Scope, Configured)> =
        Scope::ALL.into_iter().map(|scope| (scope, configured("alpha", scope.as_str()))).collect();
    let all: Vec<&Configured> = tokens.iter().map(|(_, token)| token).collect();
    let dev = Dev::start(&folder.path().join("data"), &[("LOGLAKE_AUTH_TOKENS", &rows(&all))]).await;
    let ports = &dev.ports;
    let (mut calls, mut refused) = (0, 0);
    let mut check = |came: Came, expected: Came, what: String| {
        calls += 1;
        refused += usize::from(came != Came::In);
        assert_eq!(came, expected, "{what}");
    };
    for route in ROUTES {
        let Access::AnyOf(scopes) = route.access else {
            check(call(ports, route, &[]).await, Came::In, format!("{route:?}"));
            continue;
        };
        let wrong = configured("alpha", "ingest,query,admin,operator");
        for headers in [
            vec![],
            vec![("authorization", "Bearer".to_owned())],
            vec![("authorization", "Basic Og==".to_owned())],
            vec![("x-api-key", "ll_absent_secret".to_owned())],
            // Of the right shape, and of nobody.
            vec![bearer(&wrong)],
        ] {
            check(call(ports, route, &headers).await, Came::Unauthenticated, format!("{route:?} {headers:?}"));
        }
        for (scope, token) in &tokens {
            let expected = if scopes.contains(scope) { Came::In } else { Came::Forbidden };
            check(call(ports, route, &[bearer(token)]).await, expected, format!("{route:?} as {scope}"));
            // On behalf of another tenant, nobody.
            let other = [bearer(token), ("x-scope-orgid", "beta".to_owned())];
            check(call(ports, route, &other).await, Came::Forbidden, format!("{route:?} as {scope} for another"));
        }
    }
    println!("{calls} calls, {refused} of them refused");
    assert!(refused > ROUTES.len() * 5);

    // What is in no row is nowhere, whoever asks.
    let everybody = &tokens[1].1;
    for path in ["/v1/query/../tokens", "/v1/%2e%2e/v1/tenants", "//v1/tenants", "/v1/tenants/", "/V1/QUERY"] {
        let answer = reqwest::Client::new().get(format!("{}{path}", ports.query_url()));
        let status = answer.header("authorization", bearer(everybody).1).send().await.unwrap().status();
        assert!(matches!(status.as_u16(), 403..=405), "{path}: {status}");
    }
}
