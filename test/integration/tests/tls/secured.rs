use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;
use std::time::{Duration, Instant};

use loglake_integration::admin::Said;
use loglake_integration::{Dev, programs};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

/// How long the server may take for what it does now and then.
const SOON: Duration = Duration::from_secs(60);

/// The files of `loglake certs dev`.
pub(crate) struct Certs {
    pub(crate) dir: PathBuf,
    /// What it printed: a configuration.
    pub(crate) toml: String,
}

impl Certs {
    /// Makes some in `dir` for `tenant`.
    pub(crate) fn make(dir: PathBuf, tenant: &str) -> Self {
        let said = run(&programs::loglake(), &["certs", "dev", "--out", dir.to_str().unwrap(), "--tenant", tenant]);
        assert_eq!(said.code, 0, "{said:?}");
        Self { dir, toml: said.out }
    }

    pub(crate) fn path(&self, name: &str) -> String {
        self.dir.join(name).to_str().unwrap().to_owned()
    }

    /// The arguments of agent and loglakectl: whom to trust, and the client's certificate if it `shows` one.
    pub(crate) fn args(&self, shows: bool) -> Vec<String> {
        let mut args = vec!["--ca-file".to_owned(), self.path("ca.pem")];
        if shows {
            args.extend(["--certificate-file".to_owned(), self.path("client.pem")]);
            args.extend(["--key-file".to_owned(), self.path("client.key")]);
        }
        args
    }
}

/// `loglake dev` on TLS.
pub(crate) struct Secured {
    pub(crate) dev: Dev,
    pub(crate) certs: Certs,
    config: PathBuf,
}

impl Secured {
    /// Starts it in `folder` with the configuration that `loglake certs dev` prints, for the tenant acme.
    pub(crate) fn start(folder: &Path, env: &[(&str, &str)]) -> Self {
        Self::on(folder, Certs::make(folder.join("certs"), "acme"), env)
    }

    /// The same with these certificates.
    pub(crate) fn on(folder: &Path, certs: Certs, env: &[(&str, &str)]) -> Self {
        let config = folder.join("loglake.toml");
        std::fs::write(&config, &certs.toml).unwrap();
        let env = [env, &[("LOGLAKE_CONFIG", config.to_str().unwrap())]].concat();
        let dev = Dev::launch(&[], &folder.join("data"), &env);
        let mut secured = Self { dev, certs, config };
        let deadline = Instant::now() + SOON;
        while secured.health().code != 0 {
            assert!(secured.dev.process.ended().is_none(), "it ended:\n{}", secured.dev.process.log_text());
            assert!(Instant::now() < deadline, "it is not ready:\n{}", secured.dev.process.log_text());
            std::thread::sleep(Duration::from_millis(50));
        }
        secured
    }

    /// `loglake health`, as its container would ask.
    pub(crate) fn health(&self) -> Said {
        self.loglake(&["health"])
    }

    /// `loglake` with the server's own configuration and ports.
    pub(crate) fn loglake(&self, args: &[&str]) -> Said {
        let mut command = Command::new(programs::loglake());
        command.args(args).envs(self.dev.ports.env()).env("LOGLAKE_CONFIG", &self.config);
        said(command.env("LOGLAKE_DATA", self.dev.data()).output().unwrap())
    }

    /// `loglakectl` at the query port, by the name that is in the certificate.
    pub(crate) fn ctl(&self, tls: &[String], args: &[&str]) -> Said {
        ctl(self.dev.ports.query, tls, args)
    }

    /// Sends a file with one line, `message`, by gRPC.
    pub(crate) fn send(&self, server: &str, tls: &[String], message: &str) -> Said {
        send(&self.certs, server, tls, message)
    }

    pub(crate) fn grpc_url(&self) -> String {
        format!("https://localhost:{}", self.dev.ports.ingest_grpc)
    }

    /// The value of a metric's series that begins with `name`, at the metrics port `at`.
    pub(crate) fn metric(&self, at: usize, name: &str) -> f64 {
        metric(self.dev.ports.metrics[at], &self.certs, name)
    }

    /// Waits until `is_so`.
    pub(crate) fn wait(&self, what: &str, is_so: impl Fn() -> bool) {
        let deadline = Instant::now() + SOON;
        while !is_so() {
            assert!(Instant::now() < deadline, "not so: {what}\n{}", self.dev.process.log_text());
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

/// `loglakectl` at the query port `port`, by the name that is in the certificate.
pub(crate) fn ctl(port: u16, tls: &[String], args: &[&str]) -> Said {
    let url = format!("https://localhost:{port}");
    let tls = tls.iter().map(String::as_str);
    let args: Vec<_> = ["--url", &url].into_iter().chain(tls).chain(args.iter().copied()).collect();
    run(&programs::loglakectl(), &args)
}

/// Sends a file with one line, `message`, by gRPC.
pub(crate) fn send(certs: &Certs, server: &str, tls: &[String], message: &str) -> Said {
    let file = certs.dir.join("sent.log");
    std::fs::write(&file, format!("{message}\n")).unwrap();
    let args = ["send", "--quiet", "--retry-for", "1s", "--service", "shop", "--server", server];
    let tls = tls.iter().map(String::as_str);
    run(&programs::agent(), &args.into_iter().chain(tls).chain([file.to_str().unwrap()]).collect::<Vec<_>>())
}

/// The value of a metric's series that begins with `name`, at the metrics port `port`.
pub(crate) fn metric(port: u16, certs: &Certs, name: &str) -> f64 {
    let text = https(port, &certs.path("ca.pem"), None, &get("/metrics")).unwrap();
    let line = text.lines().find(|line| line.starts_with(name));
    line.and_then(|line| line.rsplit_once(' ')?.1.parse().ok()).unwrap_or_else(|| panic!("no {name}: {text}"))
}

/// A request for `path`, whose answer ends the connection.
pub(crate) fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
}

/// Sends `request` to `port` over TLS, trusting `ca`, with a client certificate and its key if given; returns the whole answer.
pub(crate) fn https(port: u16, ca: &str, identity: Option<(&str, &str)>, request: &str) -> io::Result<String> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(ca).unwrap() {
        roots.add(certificate.unwrap()).unwrap();
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = config.with_root_certificates(roots);
    let config = match identity {
        None => config.with_no_client_auth(),
        Some((certificate, key)) => {
            let chain = CertificateDer::pem_file_iter(certificate).unwrap().map(Result::unwrap).collect();
            config.with_client_auth_cert(chain, PrivateKeyDer::from_pem_file(key).unwrap()).unwrap()
        }
    };
    let name = ServerName::try_from("localhost").unwrap();
    let connection = ClientConnection::new(Arc::new(config), name).map_err(io::Error::other)?;
    let stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(SOON))?;
    let mut stream = StreamOwned::new(connection, stream);
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    match stream.read_to_end(&mut answer) {
        Err(error) if answer.is_empty() => Err(error),
        // A peer may hang up without a word once all is said.
        _ => Ok(String::from_utf8(answer).unwrap()),
    }
}

/// Runs a program with no environment.
pub(crate) fn run(program: &Path, args: &[&str]) -> Said {
    said(Command::new(program).args(args).env_clear().output().unwrap())
}

fn said(output: Output) -> Said {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Said { code: output.status.code().unwrap_or(-1), out: text(&output.stdout), err: text(&output.stderr) }
}
