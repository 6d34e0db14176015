use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::Instant;

use loglake_integration::ctl::{configured, rows};

use crate::secured::{Certs, Secured, get, https};

#[test]
fn every_client_goes_over_tls_and_a_certificate_is_a_credential() {
    let folder = tempfile::tempdir().unwrap();
    let secured = Secured::start(folder.path(), &[]);
    let known = secured.certs.args(true);
    let sent = secured.send(&secured.grpc_url(), &known, "payment timeout");
    assert_eq!(sent.code, 0, "{sent:?}");
    // It is not flushed yet: the query asks the tail, over TLS too.
    let found = secured.ctl(&known, &["query", "--contains", "timeout", "--json"]);
    assert!(found.code == 0 && found.out.contains("payment timeout"), "{found:?}");
    assert!(secured.metric(2, "loglake_query_owners_total{outcome=\"answered\"}") >= 1.0);
    assert_eq!(secured.metric(2, "loglake_query_tail_fallbacks_total"), 0.0);
    assert_eq!(secured.metric(2, "loglake_query_owners_total{outcome=\"failed\"}"), 0.0);
    assert!(secured.metric(0, "loglake_tls_certificate_not_after_seconds") > 1.7e9);
    let flushed = secured.loglake(&["admin", "flush"]);
    assert_eq!(flushed.code, 0, "{flushed:?}");

    // The certificate speaks for its own tenant alone.
    let other = secured.ctl(&known, &["--tenant", "other", "query"]);
    assert!(other.code == 1 && other.err.contains("403"), "{other:?}");
    let same = secured.ctl(&known, &["--tenant", "acme", "query", "--json"]);
    assert!(same.code == 0 && same.out.contains("payment timeout"), "{same:?}");
    // It has no scope for this.
    let tokens = secured.ctl(&known, &["tokens", "list"]);
    assert!(tokens.code == 1 && tokens.err.contains("403"), "{tokens:?}");
    // Without it TLS is there, and a credential is missing, whatever a header says.
    let anonymous = secured.ctl(&secured.certs.args(false), &["query"]);
    assert!(anonymous.code == 1 && anonymous.err.contains("401"), "{anonymous:?}");
    let said = "GET /v1/services HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-Forwarded-Client-Cert: URI=spiffe://loglake.dev/acme\r\n\
                X-Client-Certificate: spiffe://loglake.dev/acme\r\n\r\n";
    let answer = https(secured.dev.ports.query, &secured.certs.path("ca.pem"), None, said).unwrap();
    assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
}

#[test]
fn a_certificate_that_nobody_vouches_for_or_no_row_names_is_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let certs = Certs::make(folder.path().join("certs"), "acme");
    let stranger = Certs::make(folder.path().join("stranger"), "acme");
    let toml = certs.toml.replace("loglake.dev/acme", "loglake.dev/somebody-else");
    let token = configured("acme", "query");
    let secured = Secured::on(folder.path(), Certs { toml, ..certs }, &[("LOGLAKE_AUTH_TOKENS", &rows(&[&token]))]);
    let (ca, port) = (secured.certs.path("ca.pem"), secured.dev.ports.query);
    let own = (secured.certs.path("client.pem"), secured.certs.path("client.key"));
    let answer = https(port, &ca, Some((&own.0, &own.1)), &get("/v1/services")).unwrap();
    assert!(answer.starts_with("HTTP/1.1 401"), "no row has its name: {answer}");
    // A token is good beside it.
    let authorized = get("/v1/services").replace("Host", &format!("Authorization: Bearer {}\r\nHost", token.text));
    let answer = https(port, &ca, Some((&own.0, &own.1)), &authorized).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let theirs = (stranger.path("client.pem"), stranger.path("client.key"));
    assert!(https(port, &ca, Some((&theirs.0, &theirs.1)), &get("/health")).is_err(), "another authority's");
    // A server's certificate is no client's.
    let servers = (secured.certs.path("server.pem"), secured.certs.path("server.key"));
    assert!(https(port, &ca, Some((&servers.0, &servers.1)), &get("/health")).is_err(), "for another purpose");
}

#[test]
fn what_is_not_secured_enough_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let secured = Secured::start(folder.path(), &[("LOGLAKE_TLS_REQUIRE_CLIENT_CERTIFICATE", "true")]);
    let ports = &secured.dev.ports;
    let clients = [ports.query, ports.ingest_http, ports.ingest_grpc];
    for port in clients.into_iter().chain([ports.tail]).chain(ports.metrics) {
        // In clear there is no answer, but for TLS's own alert.
        let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.write_all(get("/health").as_bytes()).unwrap();
        let mut answer = Vec::new();
        let _reset = stream.read_to_end(&mut answer);
        assert!(answer.len() < 16 && !answer.starts_with(b"HTTP"), "{port}: {answer:?}");
        for (version, is_good) in [("-tls1_1", false), ("-tls1_2", true), ("-tls1_3", true)] {
            let said = openssl(
                port,
                &[version, "-cert", &secured.certs.path("client.pem"), "-key", &secured.certs.path("client.key")],
            );
            let (is_there, is_believed) =
                (said.contains("-----BEGIN CERTIFICATE-----"), said.contains("Verify return code: 0 (ok)"));
            assert_eq!(is_there && is_believed, is_good, "{port} {version}: {said}");
        }
    }
    let alpn = |port: u16, protocols: &str| {
        let (cert, key) = (secured.certs.path("client.pem"), secured.certs.path("client.key"));
        let said = openssl(
            port,
            &["-alpn", protocols, "-cert", &cert, "-key", &key, "-CAfile", &secured.certs.path("ca.pem")],
        );
        said.lines().find_map(|line| line.trim().strip_prefix("ALPN protocol: ")).map(str::to_owned)
    };
    assert_eq!(alpn(ports.ingest_grpc, "http/1.1,h2").as_deref(), Some("h2"));
    assert_eq!(alpn(ports.ingest_grpc, "http/1.1"), None);
    assert_eq!(alpn(ports.ingest_http, "h2,http/1.1").as_deref(), Some("http/1.1"));
    assert_eq!(alpn(ports.ingest_http, "h2"), None);
    assert_eq!(alpn(ports.query, "http/1.1,h2").as_deref(), Some("h2"));
    assert_eq!(alpn(ports.tail, "h2").as_deref(), Some("h2"));

    // A client certificate is asked for, but of those who watch.
    let ca = secured.certs.path("ca.pem");
    for port in [ports.query, ports.ingest_http] {
        assert!(https(port, &ca, None, &get("/health")).is_err(), "{port}");
    }
    assert!(https(ports.metrics[0], &ca, None, &get("/health")).unwrap().starts_with("HTTP/1.1 200"));
    let (known, unknown) = (secured.certs.args(true), secured.certs.args(false));
    assert_eq!(secured.ctl(&known, &["query"]).code, 0);
    assert_eq!(secured.ctl(&unknown, &["query"]).code, 1);
    assert_eq!(secured.send(&secured.grpc_url(), &known, "m").code, 0);
    assert_ne!(secured.send(&secured.grpc_url(), &unknown, "m").code, 0);
    // Nobody but the authority vouches for the server; and in clear nothing goes.
    let said = secured.ctl(&known[2..], &["query"]);
    assert!(said.code == 1, "{said:?}");
    assert_ne!(secured.send(&secured.dev.ports.grpc_url(), &[], "m").code, 0);
}

#[test]
fn silent_connections_do_not_keep_others_from_shaking_hands() {
    let folder = tempfile::tempdir().unwrap();
    let secured = Secured::start(folder.path(), &[]);
    let port = secured.dev.ports.query;
    // More than may shake hands at a time; a handshake has ten seconds.
    let silent: Vec<TcpStream> = (0..400).map(|_| TcpStream::connect(("127.0.0.1", port)).unwrap()).collect();
    let began = Instant::now();
    let answer = https(port, &secured.certs.path("ca.pem"), None, &get("/health")).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(secured.metric(2, "loglake_query_displaced_connections_total") > 100.0, "after {:?}", began.elapsed());
    drop(silent);
}

/// What `openssl s_client` says of a connection to `port`; the server's certificate is checked against the authority's.
fn openssl(port: u16, args: &[&str]) -> String {
    let cas = args.iter().position(|arg| *arg == "-cert").map(|at| args[at + 1].replace("client.pem", "ca.pem"));
    let mut command = Command::new("openssl");
    command.args(["s_client", "-connect", &format!("127.0.0.1:{port}"), "-servername", "localhost"]).args(args);
    if let Some(ca) = cas {
        command.args(["-CAfile", &ca]);
    }
    // It is old protocols that are asked for: the client's own refusal must not hide the server's.
    command.args(["-cipher", "ALL:@SECLEVEL=0"]).stdin(Stdio::null());
    let output = command.output().expect("openssl is there: apt-get install openssl");
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}
