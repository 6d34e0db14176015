use loglake_model::Peer;
use rustls::pki_types::CertificateDer;
use webpki::EndEntityCert;

use crate::validity::not_after_ns;

/// Names of one certificate that are looked at, and the longest of them, bytes.
const MAX_NAMES: usize = 64;
const MAX_NAME_BYTES: usize = 1_024;

/// Who the certificate that the handshake verified is of; `None` when it cannot be read, and then it is nobody's.
#[expect(clippy::disallowed_methods, reason = "this is the crate that makes a Peer, out of a verified certificate")]
pub(crate) fn peer(certificate: &CertificateDer<'_>) -> Option<Peer> {
    let parsed = EndEntityCert::try_from(certificate).ok()?;
    // Neither can be taken for the other: a URI has a colon, a DNS name none.
    let uris = parsed.valid_uri_names().filter(|name| name.contains(':')).map(str::to_owned);
    let names = parsed.valid_dns_names().map(str::to_ascii_lowercase);
    let names = uris.chain(names).filter(|name| name.len() <= MAX_NAME_BYTES).take(MAX_NAMES).collect();
    Some(Peer::from_verified(names, not_after_ns(certificate)?))
}
