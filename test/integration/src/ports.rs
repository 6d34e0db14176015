//! Ports for servers that a test starts.

use std::collections::HashSet;
use std::net::TcpListener;
use std::sync::Mutex;

/// Ports handed out by this process: the system may offer one again before its server has taken it.
static TAKEN: Mutex<Option<HashSet<u16>>> = Mutex::new(None);

/// A port on the loopback that nobody listens on now, and that this process has not handed out before.
///
/// # Panics
/// When the system has no free port.
pub fn free_port() -> u16 {
    let mut taken = TAKEN.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let taken = taken.get_or_insert_default();
    for _ in 0..1000 {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("the loopback has free ports");
        let port = listener.local_addr().expect("a bound listener has an address").port();
        if taken.insert(port) {
            return port;
        }
    }
    panic!("no free port on the loopback");
}
