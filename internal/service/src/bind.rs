use std::error::Error as StdError;
use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

/// An address that a role listens on, and the key that says so.
#[derive(Clone, Copy, Debug)]
pub struct Listener {
    /// The key, such as `ingest.grpc_listen`.
    pub key: &'static str,
    /// The address.
    pub address: SocketAddr,
}

/// Explains a role's failure to bind: which of its `listeners` it was, and what to do. `None` when no listening failed.
///
/// The addresses are tried once more to find out; if all are free by now, it is only said that one was not.
#[must_use]
pub fn name_the_listener(error: &(dyn StdError + 'static), listeners: &[Listener]) -> Option<String> {
    let cause = io_cause(error)?;
    if !matches!(cause, ErrorKind::AddrInUse | ErrorKind::AddrNotAvailable | ErrorKind::PermissionDenied) {
        return None;
    }
    for Listener { key, address } in listeners {
        let what = match TcpListener::bind(address).map_err(|error| error.kind()) {
            Err(ErrorKind::AddrInUse) => "is in use",
            Err(ErrorKind::AddrNotAvailable) => "is no address of this machine",
            Err(ErrorKind::PermissionDenied) => "may not be used by this user",
            _ => continue,
        };
        let variable = format!("LOGLAKE_{}", key.replace('.', "_").to_ascii_uppercase());
        return Some(format!("{key}: {address} {what}; set {variable}, or {key} in the file, to another address"));
    }
    let keys: Vec<&str> = listeners.iter().map(|listener| listener.key).collect();
    Some(format!("one of {} could not be listened on: {error}", keys.join(", ")))
}

fn io_cause(error: &(dyn StdError + 'static)) -> Option<ErrorKind> {
    let mut next = Some(error);
    while let Some(error) = next {
        // Errors that can be cloned share their cause.
        let shared = error.downcast_ref::<Arc<std::io::Error>>().map(AsRef::as_ref);
        if let Some(io) = error.downcast_ref::<std::io::Error>().or(shared) {
            return Some(io.kind());
        }
        next = error.source();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_in_use_names_its_key() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap();
        let error = crate::Error::Bind { key: "x", address, source: TcpListener::bind(address).unwrap_err() };
        let free = Listener { key: "ingest.http_listen", address: "127.0.0.1:0".parse().unwrap() };
        let listeners = [free, Listener { key: "ingest.grpc_listen", address }];
        let said = name_the_listener(&error, &listeners).unwrap();
        let wanted = format!("ingest.grpc_listen: {address} is in use; set LOGLAKE_INGEST_GRPC_LISTEN, or");
        assert!(said.starts_with(&wanted), "{said}");
    }

    #[test]
    fn other_failures_are_left_alone() {
        let error = std::io::Error::other("no disk");
        assert_eq!(name_the_listener(&error, &[]), None);
    }
}
