use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::Error;

/// The most that is read of a file: a system's whole list of authorities has a quarter of it.
const MAX_BYTES: u64 = 1 << 20;

/// Where a process's certificate is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Files {
    /// The certificate, with those between it and the authority's after it, PEM.
    pub certificate: PathBuf,
    /// Its private key, PEM: PKCS#8, PKCS#1 or SEC1. Nobody but owner and group may read it.
    pub key: PathBuf,
    /// The authorities whose client certificates are believed, PEM; none: no client is asked for one.
    pub client_ca: Option<PathBuf>,
    /// Whether a client without a certificate is turned away.
    pub requires_client: bool,
}

impl Files {
    /// All files.
    pub(crate) fn paths(&self) -> impl Iterator<Item = &Path> {
        [Some(&self.certificate), Some(&self.key), self.client_ca.as_ref()].into_iter().flatten().map(PathBuf::as_path)
    }
}

/// Reads all of a file, bounded.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, Error> {
    read_open(path, open(path)?)
}

fn open(path: &Path) -> Result<File, Error> {
    File::open(path).map_err(|source| Error::Read { path: path.to_owned(), source })
}

fn read_open(path: &Path, file: File) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    let read = file.take(MAX_BYTES + 1).read_to_end(&mut bytes);
    read.map_err(|source| Error::Read { path: path.to_owned(), source })?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(Error::TooLarge { path: path.to_owned(), most: MAX_BYTES });
    }
    Ok(bytes)
}

/// The certificates of a file, at least one.
pub(crate) fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let unfit = |reason: String| Error::Unfit { path: path.to_owned(), reason };
    let bytes = read(path)?;
    let all = CertificateDer::pem_slice_iter(&bytes).collect::<Result<Vec<_>, _>>();
    let all = all.map_err(|error| unfit(error.to_string()))?;
    if all.is_empty() {
        return Err(Error::Nothing { path: path.to_owned(), what: "certificate" });
    }
    Ok(all)
}

/// The private key of a file that not everybody may read.
pub(crate) fn key(path: &Path) -> Result<PrivateKeyDer<'static>, Error> {
    let file = open(path)?;
    let metadata = file.metadata().map_err(|source| Error::Read { path: path.to_owned(), source })?;
    if metadata.permissions().mode() & 0o004 != 0 {
        return Err(Error::Open { path: path.to_owned() });
    }
    // What is wrong with a key is not told in detail: the text of an error may repeat a part of it.
    PrivateKeyDer::from_pem_slice(&read_open(path, file)?)
        .map_err(|_| Error::Nothing { path: path.to_owned(), what: "private key" })
}

/// The authorities of a file.
pub(crate) fn authorities(path: &Path) -> Result<RootCertStore, Error> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path)? {
        let added = roots.add(certificate);
        added.map_err(|error| Error::Unfit { path: path.to_owned(), reason: error.to_string() })?;
    }
    Ok(roots)
}
