use std::net::SocketAddr;

use crate::{Authenticator, Error};

/// Refuses to serve everybody on the network: `address`, set by `key`, must be a loopback address when `authenticator` is
/// open, unless the operator said `insecure`.
///
/// # Errors
/// `Invalid`, naming the key and what would be right.
pub fn require_loopback(
    authenticator: &Authenticator,
    key: &str,
    address: SocketAddr,
    insecure: bool,
) -> Result<(), Error> {
    if !authenticator.is_open() || insecure || address.ip().to_canonical().is_loopback() {
        Ok(())
    } else {
        Err(Error::OpenToTheNetwork { key: key.to_owned(), address })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn open_mode_stays_on_the_machine_unless_told_otherwise() {
        let open = Authenticator::open();
        let check = |auth: &Authenticator, address: &str, insecure| {
            require_loopback(auth, "ingest.http_listen", address.parse().unwrap(), insecure)
        };
        for local in ["127.0.0.1:1", "127.9.9.9:1", "[::1]:1", "[::ffff:127.0.0.1]:1"] {
            assert_eq!(check(&open, local, false), Ok(()), "{local}");
        }
        for wide in ["0.0.0.0:1", "[::]:1", "10.0.0.1:1", "[::ffff:10.0.0.1]:1"] {
            assert!(check(&open, wide, false).unwrap_err().to_string().contains("ingest.http_listen"), "{wide}");
            assert_eq!(check(&open, wide, true), Ok(()));
            assert_eq!(check(&Authenticator::with_tokens(Vec::new()).unwrap(), wide, false), Ok(()));
        }
    }
}
