//! Files of configuration, and values of its keys: every fault is named, none ends the program.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use loglake_service::{Role, Sources, load};

use crate::memory;

const ROLES: [Role; 5] = [Role::Dev, Role::Ingestor, Role::Processor, Role::Query, Role::Admin];

/// Takes an input. The first byte: of which role, and whether the rest is a file or `--set` a line.
pub fn run(data: &[u8]) {
    let Some((kind, bytes)) = data.split_first() else { return };
    let role = ROLES[usize::from(kind / 2) % ROLES.len()];
    let mut sources = Sources::default();
    let folder = tempfile::tempdir().expect("a folder");
    if kind % 2 == 0 {
        let path = folder.path().join("loglake.toml");
        fs::write(&path, bytes).expect("the file can be written");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("it is ours");
        sources.file = Some(path);
    } else {
        let Ok(text) = std::str::from_utf8(bytes) else { return };
        sources.sets = text.lines().map(str::to_owned).collect();
    }
    // What is wrong is told at length, each with its place.
    let loaded = memory::at_most(4_000 * bytes.len() + (8 << 20), || load(role, &sources));
    match loaded {
        Ok((_, shown)) => assert!(!shown.is_empty()),
        Err(problems) => {
            assert!(!problems.0.is_empty());
            assert!(!problems.to_string().is_empty());
        }
    }
}

/// Inputs to begin with.
#[must_use]
pub fn seeds() -> Vec<Vec<u8>> {
    let file = br#"cluster = "blue"
log_level = "info,loglake_query=debug"
[broker]
brokers = ["kafka-1:9092"]
[store]
bucket = "b"
[index]
addr = "redis://u:p@h:1/0"
[processor]
flush_bytes = "64MiB"
flush_interval = "1h30m"
[[auth.tokens]]
id = "k3v9d0"
sha256 = "0000000000000000000000000000000000000000000000000000000000000000"
tenant = "acme"
scopes = ["ingest", "query"]
expires = "2030-01-01T00:00:00Z"
"#;
    let sets = b"cluster=blue\nprocessor.window=30m\ningest.in_flight_bytes=64MiB\nquery.listen=127.0.0.1:8080\nauth.refresh=10s";
    [(0, &file[..]), (2, file), (1, sets)].map(|(kind, bytes)| [&[kind], bytes].concat()).to_vec()
}
