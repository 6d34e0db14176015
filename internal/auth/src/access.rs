//! Who may call what: the one table. A call that stands in no row is open to nobody.

use http::Method;

use crate::Scope;

/// What a call asks of its caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Nothing: it tells no tenant's data.
    Public,
    /// A credential with one of these scopes.
    AnyOf(&'static [Scope]),
    /// Nobody may.
    Closed,
}

/// Where a call comes in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Surface {
    /// `ingest.http_listen`.
    IngestHttp,
    /// `ingest.grpc_listen`.
    IngestGrpc,
    /// `query.listen`.
    QueryHttp,
}

/// One row of the table.
#[derive(Clone, Debug)]
pub struct Route {
    /// Where it comes in.
    pub surface: Surface,
    /// How. `GET` stands for `HEAD` too.
    pub method: Method,
    /// The path, with `{…}` for a part that is any name; of a gRPC call `/service/Method`, or `/service/*` for all of a service.
    pub path: &'static str,
    /// What it asks for.
    pub access: Access,
}

const INGEST: Access = Access::AnyOf(&[Scope::Ingest]);
const QUERY: Access = Access::AnyOf(&[Scope::Query]);
const OPERATOR: Access = Access::AnyOf(&[Scope::Operator]);
/// Of the caller's own tenant; an operator's of any.
const TOKENS: Access = Access::AnyOf(&[Scope::Admin, Scope::Operator]);

const fn row(surface: Surface, method: Method, path: &'static str, access: Access) -> Route {
    Route { surface, method, path, access }
}

/// All calls there are. What each listener serves is checked against it, by a test and by every request.
pub const ROUTES: &[Route] = &[
    row(Surface::IngestHttp, Method::POST, "/v1/ingest", INGEST),
    row(Surface::IngestHttp, Method::GET, "/health", Access::Public),
    row(Surface::IngestHttp, Method::GET, "/ready", Access::Public),
    row(Surface::IngestGrpc, Method::POST, "/loglake.ingest.v1.IngestService/Ingest", INGEST),
    row(Surface::IngestGrpc, Method::POST, "/loglake.ingest.v1.IngestService/IngestBatch", INGEST),
    row(Surface::IngestGrpc, Method::POST, "/grpc.health.v1.Health/*", Access::Public),
    row(Surface::IngestGrpc, Method::POST, "/grpc.reflection.v1.ServerReflection/*", Access::Public),
    row(Surface::IngestGrpc, Method::POST, "/grpc.reflection.v1alpha.ServerReflection/*", Access::Public),
    row(Surface::QueryHttp, Method::POST, "/v1/query", QUERY),
    row(Surface::QueryHttp, Method::POST, "/v1/aggregate", QUERY),
    row(Surface::QueryHttp, Method::GET, "/v1/services", QUERY),
    row(Surface::QueryHttp, Method::GET, "/v1/tenants", OPERATOR),
    row(Surface::QueryHttp, Method::POST, "/v1/tenants", OPERATOR),
    row(Surface::QueryHttp, Method::POST, "/v1/tenants/{tenant}/suspend", OPERATOR),
    row(Surface::QueryHttp, Method::POST, "/v1/tenants/{tenant}/resume", OPERATOR),
    row(Surface::QueryHttp, Method::GET, "/v1/tenants/{tenant}/limits", OPERATOR),
    row(Surface::QueryHttp, Method::POST, "/v1/tenants/{tenant}/limits", OPERATOR),
    row(Surface::QueryHttp, Method::GET, "/v1/tokens", TOKENS),
    row(Surface::QueryHttp, Method::POST, "/v1/tokens", TOKENS),
    row(Surface::QueryHttp, Method::POST, "/v1/tokens/{id}/rotate", TOKENS),
    row(Surface::QueryHttp, Method::DELETE, "/v1/tokens/{id}", TOKENS),
    row(Surface::QueryHttp, Method::GET, "/health", Access::Public),
    row(Surface::QueryHttp, Method::GET, "/ready", Access::Public),
    row(Surface::QueryHttp, Method::GET, "/", Access::Public),
];

/// What the call of `method` on `path` asks for; [`Access::Closed`] when it is in no row. `path` is the router's pattern over
/// HTTP, the whole path of a gRPC call.
#[must_use]
pub fn access(surface: Surface, method: &Method, path: &str) -> Access {
    let method = if *method == Method::HEAD { &Method::GET } else { method };
    let is_path = |route: &&Route| match route.path.strip_suffix('*') {
        Some(service) => path.strip_prefix(service).is_some_and(|call| !call.is_empty() && !call.contains('/')),
        None => route.path == path,
    };
    let mut of_surface = ROUTES.iter().filter(|route| route.surface == surface && route.method == *method);
    of_surface.find(is_path).map_or(Access::Closed, |route| route.access)
}

/// The methods that the table has for `path`, as the header `Allow` writes them; empty for a path in no row.
#[must_use]
pub fn allowed(surface: Surface, path: &str) -> String {
    let of_path = ROUTES.iter().filter(|route| route.surface == surface && route.path == path);
    let names = of_path.map(|route| match route.method {
        Method::GET => "GET, HEAD",
        Method::DELETE => "DELETE",
        _ => "POST",
    });
    names.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_no_row_is_closed() {
        let of = |method: &Method, path: &str| access(Surface::QueryHttp, method, path);
        assert_eq!(of(&Method::POST, "/v1/query"), QUERY);
        assert_eq!(of(&Method::HEAD, "/health"), Access::Public);
        for (method, path) in [
            (Method::GET, "/v1/query"),
            (Method::POST, "/v1/query/"),
            (Method::POST, "/v1/ingest"),
            (Method::PUT, "/health"),
            (Method::GET, ""),
        ] {
            assert_eq!(of(&method, path), Access::Closed, "{method} {path}");
        }
        let grpc = |path| access(Surface::IngestGrpc, &Method::POST, path);
        assert_eq!(grpc("/grpc.health.v1.Health/Check"), Access::Public);
        for path in ["/grpc.health.v1.Health/", "/grpc.health.v1.Health/a/b", "/loglake.ingest.v1.IngestService/New"] {
            assert_eq!(grpc(path), Access::Closed, "{path}");
        }
    }

    #[test]
    fn a_path_knows_its_methods() {
        assert_eq!(allowed(Surface::QueryHttp, "/v1/tokens"), "GET, HEAD, POST");
        assert_eq!(allowed(Surface::QueryHttp, "/v1/tokens/{id}"), "DELETE");
        assert_eq!(allowed(Surface::QueryHttp, "/v1/none"), "");
        let spelt = [Method::GET, Method::POST, Method::DELETE];
        assert!(ROUTES.iter().all(|route| spelt.contains(&route.method)), "`allowed` spells these");
    }

    #[test]
    fn no_call_stands_in_two_rows() {
        let mut seen = std::collections::HashSet::new();
        for route in ROUTES {
            assert!(seen.insert((route.surface, route.method.clone(), route.path)), "{route:?}");
            assert_ne!(route.access, Access::Closed, "{route:?}");
            assert_ne!(route.access, Access::AnyOf(&[]), "{route:?}");
        }
    }
}
