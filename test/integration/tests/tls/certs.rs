use std::os::unix::fs::PermissionsExt as _;

use loglake_integration::programs;

use crate::secured::{Certs, run};

#[test]
fn keys_are_for_their_owner_and_nothing_is_written_over() {
    let folder = tempfile::tempdir().unwrap();
    let certs = Certs::make(folder.path().join("certs"), "acme");
    let mode = |name: &str| std::fs::metadata(certs.dir.join(name)).unwrap().permissions().mode() & 0o777;
    for key in ["ca.key", "server.key", "client.key"] {
        assert_eq!(mode(key), 0o600, "{key}");
    }
    let before = std::fs::read(certs.dir.join("ca.key")).unwrap();
    let again = run(&programs::loglake(), &["certs", "dev", "--out", certs.dir.to_str().unwrap()]);
    assert!(again.code == 1 && again.err.contains("is there already"), "{again:?}");
    assert_eq!(std::fs::read(certs.dir.join("ca.key")).unwrap(), before);
    for wrong in [["--tenant", "../x"], ["--name", "a b\u{e4}"]] {
        let out = folder.path().join("other");
        let said = run(&programs::loglake(), &["certs", "dev", "--out", out.to_str().unwrap(), wrong[0], wrong[1]]);
        assert!(said.code == 64 && said.err.contains(wrong[0]), "{said:?}");
    }
}

#[test]
fn a_configuration_that_cannot_be_used_is_told_before_anything_starts() {
    let folder = tempfile::tempdir().unwrap();
    let (certs, others) =
        (Certs::make(folder.path().join("certs"), "acme"), Certs::make(folder.path().join("others"), "acme"));
    let config = folder.path().join("loglake.toml");
    let check = |toml: &str| {
        std::fs::write(&config, toml).unwrap();
        run(&programs::loglake(), &["config", "check", "--config", config.to_str().unwrap()])
    };
    let good = check(&certs.toml);
    assert_eq!(good.code, 0, "what is printed is a configuration: {good:?}");
    let refused = |toml: &str, why: &str| {
        let said = check(toml);
        assert!(said.code == 64 && said.err.contains(why), "{why}: {said:?}");
    };
    refused(&certs.toml.replace("server.key", "absent.key"), "absent.key cannot be read");
    refused(&certs.toml.replace(&certs.path("server.key"), &others.path("server.key")), "with the key in");
    refused(&certs.toml.replace("server.pem", "server.key"), "holds no certificate");
    refused(&certs.toml.replace("san = \"spiffe://", "san = \"* "), "auth.certificates[0].san: is no URI");
    let key = std::path::Path::new(&certs.path("server.key")).to_owned();
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
    refused(&certs.toml, "everybody may read the private key");
}
