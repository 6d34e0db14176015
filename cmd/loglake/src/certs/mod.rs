//! `loglake certs dev`: certificates to try TLS with.

mod made;

use std::fs::{DirBuilder, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

use anyhow::Context as _;
use loglake_model::{Clock as _, SystemClock, TenantName};
use loglake_service::config::Place;
use loglake_service::{Problem, Problems};

use self::made::Made;
use crate::cli::{CertsArgs, CertsCommand};

/// Runs it.
pub(crate) fn main(command: CertsCommand) -> anyhow::Result<()> {
    let CertsCommand::Dev(args) = command;
    let problem = |key: &str, message: String| {
        Problems(vec![Problem { place: Place::Flag("certs dev"), key: key.to_owned(), message }])
    };
    let tenant = TenantName::parse(&args.tenant).map_err(|error| problem("--tenant", error.to_string()))?;
    let made =
        Made::new(&args.name, &tenant, SystemClock.now_ns()).map_err(|error| problem("--name", error.to_string()))?;
    DirBuilder::new().recursive(true).mode(0o700).create(&args.out).with_context(|| args.out.display().to_string())?;
    let files = [
        ("ca.pem", &made.ca.certificate, 0o644),
        ("ca.key", &made.ca.key, 0o600),
        ("server.pem", &made.server.certificate, 0o644),
        ("server.key", &made.server.key, 0o600),
        ("client.pem", &made.client.certificate, 0o644),
        ("client.key", &made.client.key, 0o600),
    ];
    for (name, _, _) in &files {
        let path = args.out.join(name);
        anyhow::ensure!(!path.exists(), "{} is there already; remove it, or give another --out", path.display());
    }
    for (name, text, mode) in files {
        write(&args.out.join(name), text, mode)?;
    }
    let text = next_steps(&args, &made, &tenant);
    std::io::stdout().lock().write_all(text.as_bytes()).context("what was made cannot be told")
}

/// Writes a file that is not there yet; it never has another mode.
fn write(path: &Path, text: &str, mode: u32) -> anyhow::Result<()> {
    let file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path);
    file.and_then(|mut file| file.write_all(text.as_bytes())).with_context(|| path.display().to_string())
}

fn next_steps(args: &CertsArgs, made: &Made, tenant: &TenantName) -> String {
    let out = args.out.display();
    format!(
        "# Made in {out}, for development, good for {days} days: an authority (ca), a certificate for {names} (server),
# and one for a client of the tenant {tenant} (client). Keep the *.key files to yourself.
#
# For the configuration file:
[tls]
certificate_file = \"{out}/server.pem\"
key_file = \"{out}/server.key\"
ca_file = \"{out}/ca.pem\"
client_ca_file = \"{out}/ca.pem\"

[[auth.certificates]]
san = \"{san}\"
tenant = \"{tenant}\"
scopes = [\"ingest\", \"query\"]

# Then, with that file as loglake.toml:
#   loglake dev --config loglake.toml
#   loglake-agent send --server https://localhost:50051 --ca-file {out}/ca.pem \\
#     --certificate-file {out}/client.pem --key-file {out}/client.key app.log
#   loglakectl --url https://localhost:8080 --ca-file {out}/ca.pem \\
#     --certificate-file {out}/client.pem --key-file {out}/client.key query
#   curl --cacert {out}/ca.pem --cert {out}/client.pem --key {out}/client.key https://localhost:8080/v1/services
",
        days = made::DAYS,
        names = made.names.join(", "),
        san = made.san,
    )
}
