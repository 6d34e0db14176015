use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use arc_swap::ArcSwap;
use loglake_model::{Peer, Timestamp};
use parking_lot::Mutex;
use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use crate::stream::Stream;
use crate::validity::not_after_ns;
use crate::{Error, Files, files, peer};

/// What is spoken within TLS, as ALPN (RFC 7301) names it. A client that names another protocol is refused in the handshake; one
/// that names none is believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speaks {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2: gRPC.
    Http2,
    /// Either.
    Http,
}

/// The sets of protocols, in the order of [`Speaks`].
const PROTOCOLS: [&[&[u8]]; 3] = [&[b"http/1.1"], &[b"h2"], &[b"h2", b"http/1.1"]];

/// TLS 1.2 and 1.3 with the process's one certificate, for all of its listeners. Clones share it, and what [`Tls::reload`] reads
/// holds for every handshake after it.
#[derive(Clone, Debug)]
pub struct Tls(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    files: Files,
    current: ArcSwap<Loaded>,
    seen: Mutex<Vec<Option<Version>>>,
    is_broken: AtomicBool,
    reloads: AtomicU64,
    failures: AtomicU64,
}

/// What one reading of the files came to.
#[derive(Debug)]
struct Loaded {
    /// By [`Speaks`]; for clients, who may be asked for a certificate.
    clients: [Arc<ServerConfig>; 3],
    /// The same for other processes of ours and those who watch them, who prove themselves otherwise or need not.
    machines: [Arc<ServerConfig>; 3],
    not_after_ns: i64,
}

/// Tells a file from what it was before.
#[derive(Debug, PartialEq, Eq)]
struct Version {
    inode: (u64, u64),
    length: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

/// What [`Tls::reload`] did.
#[derive(Debug)]
pub enum Reloaded {
    /// The files are what they were.
    Unchanged,
    /// What they hold now is used from here on.
    Taken,
    /// They cannot be used; what was good before still is.
    Kept(Error),
}

impl Tls {
    /// Reads the files.
    ///
    /// # Errors
    /// `Invalid`, naming the file. A certificate that is over is none: whoever calls decides by [`Tls::not_after_ns`].
    pub fn load(files: Files) -> Result<Self, Error> {
        let seen = Mutex::new(versions(&files));
        let current = ArcSwap::from_pointee(Loaded::read(&files)?);
        let (is_broken, reloads, failures) = Default::default();
        Ok(Self(Arc::new(Shared { files, current, seen, is_broken, reloads, failures })))
    }

    /// Reads the files anew if they changed, could not be used the last time, or `is_asked`. Blocks.
    #[must_use]
    pub fn reload(&self, is_asked: bool, now_ns: i64) -> Reloaded {
        let shared = &*self.0;
        // Before they are read: what changes meanwhile is seen the next time.
        let versions = versions(&shared.files);
        let mut seen = shared.seen.lock();
        if *seen == versions && !is_asked && !shared.is_broken.load(Ordering::Acquire) {
            return Reloaded::Unchanged;
        }
        let loaded = Loaded::read(&shared.files).and_then(|loaded| {
            let is_worse = loaded.not_after_ns <= now_ns && self.not_after_ns() > now_ns;
            let ended = Timestamp(loaded.not_after_ns).to_string();
            if is_worse { Err(Error::Ended { path: shared.files.certificate.clone(), ended }) } else { Ok(loaded) }
        });
        *seen = versions;
        shared.is_broken.store(loaded.is_err(), Ordering::Release);
        match loaded {
            Ok(loaded) => {
                shared.current.store(Arc::new(loaded));
                shared.reloads.fetch_add(1, Ordering::Relaxed);
                Reloaded::Taken
            }
            Err(error) => {
                shared.failures.fetch_add(1, Ordering::Relaxed);
                Reloaded::Kept(error)
            }
        }
    }

    /// When the certificate in use ends, ns UTC since the epoch.
    #[must_use]
    pub fn not_after_ns(&self) -> i64 {
        self.0.current.load().not_after_ns
    }

    /// Whether the files as they are now cannot be used.
    #[must_use]
    pub fn is_broken(&self) -> bool {
        self.0.is_broken.load(Ordering::Acquire)
    }

    /// How often the files were read anew: with success, and without.
    #[must_use]
    pub fn reloads(&self) -> (u64, u64) {
        (self.0.reloads.load(Ordering::Relaxed), self.0.failures.load(Ordering::Relaxed))
    }

    /// For a listener for clients, who are asked for a certificate where authorities for them are named.
    #[must_use]
    pub fn for_clients(&self, speaks: Speaks) -> Acceptor {
        Acceptor { tls: self.clone(), speaks, is_for_clients: true }
    }

    /// For a listener for other processes of ours and for those who watch them: nobody is asked for a certificate.
    #[must_use]
    pub fn for_machines(&self, speaks: Speaks) -> Acceptor {
        Acceptor { tls: self.clone(), speaks, is_for_clients: false }
    }
}

/// Secures the connections of one listener.
#[derive(Clone, Debug)]
pub struct Acceptor {
    tls: Tls,
    speaks: Speaks,
    is_for_clients: bool,
}

impl Acceptor {
    /// Shakes hands, for as long as the other side takes.
    pub(crate) async fn accept(&self, stream: TcpStream) -> io::Result<(Stream, Option<Peer>)> {
        let config = {
            let loaded = self.tls.0.current.load();
            let of = if self.is_for_clients { &loaded.clients } else { &loaded.machines };
            Arc::clone(&of[self.speaks as usize])
        };
        let stream = TlsAcceptor::from(config).accept(stream).await?;
        let peer = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first()).and_then(peer::peer);
        Ok((Stream::Tls(Box::new(stream)), peer))
    }
}

impl Loaded {
    fn read(files: &Files) -> Result<Self, Error> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let clients = match &files.client_ca {
            Some(path) => verifier(path, files.requires_client, &provider)?,
            None => WebPkiClientVerifier::no_client_auth(),
        };
        let chain = files::certificates(&files.certificate)?;
        let not_after_ns = chain.first().and_then(|first| not_after_ns(first)).ok_or_else(|| Error::Unfit {
            path: files.certificate.clone(),
            reason: "the first certificate cannot be read".to_owned(),
        })?;
        let key = files::key(&files.key)?;
        let config = |speaks: Speaks, verifier: &Arc<dyn ClientCertVerifier>| {
            let builder = ServerConfig::builder_with_provider(Arc::clone(&provider));
            let config = builder.with_safe_default_protocol_versions().and_then(|builder| {
                let builder = builder.with_client_cert_verifier(Arc::clone(verifier));
                builder.with_single_cert(chain.clone(), key.clone_key())
            });
            let mut config = config.map_err(|source| Error::Pair {
                certificate: files.certificate.clone(),
                key: files.key.clone(),
                source,
            })?;
            config.alpn_protocols = PROTOCOLS[speaks as usize].iter().map(|name| name.to_vec()).collect();
            Ok::<_, Error>(Arc::new(config))
        };
        let each = |verifier: &Arc<dyn ClientCertVerifier>| {
            Ok::<_, Error>([
                config(Speaks::Http1, verifier)?,
                config(Speaks::Http2, verifier)?,
                config(Speaks::Http, verifier)?,
            ])
        };
        let (clients, machines) = (each(&clients)?, each(&WebPkiClientVerifier::no_client_auth())?);
        Ok(Self { clients, machines, not_after_ns })
    }
}

fn verifier(
    path: &Path,
    is_required: bool,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, Error> {
    let roots = Arc::new(files::authorities(path)?);
    let builder = WebPkiClientVerifier::builder_with_provider(roots, Arc::clone(provider));
    let builder = if is_required { builder } else { builder.allow_unauthenticated() };
    builder.build().map_err(|error| Error::Unfit { path: path.to_owned(), reason: error.to_string() })
}

fn versions(files: &Files) -> Vec<Option<Version>> {
    let version = |path: &Path| {
        let of = std::fs::metadata(path).ok()?;
        Some(Version {
            inode: (of.dev(), of.ino()),
            length: of.len(),
            modified: (of.mtime(), of.mtime_nsec()),
            changed: (of.ctime(), of.ctime_nsec()),
        })
    };
    files.paths().map(version).collect()
}
