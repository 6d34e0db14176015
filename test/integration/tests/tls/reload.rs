use std::path::Path;

use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, Issuer, KeyPair};
use time::{Duration, OffsetDateTime};

use crate::secured::{Certs, Secured};

/// Writes a certificate for localhost, signed by the authority of `certs`, that ended `ago`, in the place of the server's.
fn write_ended(certs: &Certs, ago: Duration) {
    let read = |name: &str| std::fs::read_to_string(certs.dir.join(name)).unwrap();
    let authority = KeyPair::from_pem(&read("ca.key")).unwrap();
    let mut of_ca = CertificateParams::new(Vec::new()).unwrap();
    of_ca.distinguished_name = rcgen::DistinguishedName::new();
    of_ca.distinguished_name.push(rcgen::DnType::CommonName, "Loglake development authority");
    let issuer = Issuer::new(of_ca, authority);
    let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    #[expect(clippy::disallowed_methods, reason = "the programs under test have the machine's clock")]
    let now = OffsetDateTime::from(std::time::SystemTime::now());
    params.not_before = now - Duration::days(30);
    params.not_after = now - ago;
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let key = KeyPair::generate().unwrap();
    std::fs::write(certs.dir.join("server.pem"), params.signed_by(&key, &issuer).unwrap().pem()).unwrap();
    std::fs::write(certs.dir.join("server.key"), key.serialize_pem()).unwrap();
}

fn copy(from: &Path, to: &Path, names: &[&str]) {
    for name in names {
        std::fs::copy(from.join(name), to.join(name)).unwrap();
    }
}

#[test]
fn a_new_certificate_is_taken_and_a_broken_one_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let secured = Secured::start(folder.path(), &[]);
    let renewed = Certs::make(folder.path().join("renewed"), "acme");
    let works = |certs: &Certs| secured.ctl(&certs.args(true), &["query"]).code == 0;
    assert!(works(&secured.certs) && !works(&renewed));

    // Another authority, its certificate and its clients: all three files.
    let kept = folder.path().join("kept");
    std::fs::create_dir(&kept).unwrap();
    let names = ["server.pem", "server.key", "ca.pem"];
    copy(&secured.certs.dir, &kept, &names);
    copy(&renewed.dir, &secured.certs.dir, &names);
    secured.wait("the new certificate is taken", || works(&renewed));
    let clients = Certs { dir: kept.clone(), toml: String::new() };
    assert!(secured.metric(0, "loglake_tls_reloads_total{outcome=\"ok\"}") >= 1.0);

    // Half a file, nothing, a key that belongs to another, one that is over: the last good one stays.
    let whole = std::fs::read(renewed.dir.join("server.pem")).unwrap();
    let failures = || secured.metric(0, "loglake_tls_reloads_total{outcome=\"failed\"}");
    for broken in ["half", "empty", "other key", "over"] {
        let before = failures();
        match broken {
            "half" => std::fs::write(secured.certs.dir.join("server.pem"), &whole[..whole.len() / 2]).unwrap(),
            "empty" => std::fs::write(secured.certs.dir.join("server.pem"), b"").unwrap(),
            "other key" => copy(&clients.dir, &secured.certs.dir, &["server.key"]),
            _ => write_ended(&Certs { dir: secured.certs.dir.clone(), toml: String::new() }, Duration::days(1)),
        }
        secured.dev.process.signal("HUP");
        secured.wait(broken, || failures() > before);
        assert_eq!(secured.metric(0, "loglake_tls_files_broken"), 1.0, "{broken}");
        assert!(works(&renewed), "{broken}");
        assert!(secured.health().code == 0, "{broken}");
        copy(&renewed.dir, &secured.certs.dir, &names);
        secured.dev.process.signal("HUP");
        secured.wait("it is whole again", || secured.metric(0, "loglake_tls_files_broken") == 0.0);
    }
    let log = secured.dev.process.log_text();
    assert!(log.contains("certificate not read anew; the one before is still used"), "{log}");
    // Whoever asks gets it read, changed or not.
    let before = secured.metric(0, "loglake_tls_reloads_total{outcome=\"ok\"}");
    secured.dev.process.signal("HUP");
    secured.wait("it was asked", || secured.metric(0, "loglake_tls_reloads_total{outcome=\"ok\"}") > before);
    assert!(works(&renewed));
}

#[test]
fn a_client_does_not_take_a_certificate_that_is_over() {
    let folder = tempfile::tempdir().unwrap();
    let certs = Certs::make(folder.path().join("certs"), "acme");
    let authority = std::fs::read_to_string(certs.dir.join("ca.key")).unwrap();
    write_ended(&certs, Duration::days(1));
    assert_eq!(std::fs::read_to_string(certs.dir.join("ca.key")).unwrap(), authority);
    // It serves, for there is no better one, and says so.
    let secured = Secured::on(folder.path(), certs, &[]);
    let known = secured.certs.args(true);
    let said = secured.ctl(&known, &["query"]);
    assert!(said.code == 1 && said.err.to_lowercase().contains("expired"), "{said:?}");
    assert_ne!(secured.send(&secured.grpc_url(), &known, "m").code, 0);
    let log = secured.dev.process.log_text();
    assert!(log.contains("the certificate ends soon, or has; renew it"), "{log}");
}
