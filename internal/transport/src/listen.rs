use std::io;
use std::net::SocketAddr;

use tokio::net::{TcpListener, TcpSocket};

/// Connections that may wait to be accepted: with the usual 128 a burst of them overflows, and whoever comes next waits a second until
/// the network asks again. The system may allow less (`net.core.somaxconn`).
const BACKLOG: u32 = 1_024;

/// Listens on `address`; one that was in use a moment ago may be used again.
///
/// # Errors
/// The system's own.
pub fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}
