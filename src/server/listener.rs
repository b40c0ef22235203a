//! Listening sockets, one per thread, on the same port.

use socket2::{Domain, Protocol, SockRef, Socket, Type};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};

/// Length of the accept queue of each socket; Linux limits it to `net.core.somaxconn`, by default the same.
const BACKLOG: i32 = 4096;

/// Binds to all IPv6 and IPv4 addresses, or to IPv4 only where the system has no IPv6.
pub(super) fn bind(port: u16) -> io::Result<TcpListener> {
    listen(SocketAddr::from((Ipv6Addr::UNSPECIFIED, port))).or_else(|error| {
        if error.kind() == io::ErrorKind::AddrInUse {
            return Err(error);
        }
        listen(SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)))
    })
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    socket.set_reuse_address(true)?;
    // The kernel distributes connections over the sockets.
    socket.set_reuse_port(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Drops the first packet of further connections, while those that have begun can still be completed and accepted.
///
/// Closing a listener resets the connections in its queue, which their clients take for established. After this, the
/// queue becomes empty within a round trip. A client whose packet was dropped repeats it after a second, and is then
/// refused before it has sent anything.
#[cfg(target_os = "linux")]
pub(super) fn drop_new_connections(listener: &tokio::net::TcpListener) {
    use socket2::SockFilter;
    /// Offset of the flags in a TCP header, and SYN among them (RFC 9293 §3.1).
    const FLAGS_OFFSET: u32 = 13;
    const SYN: u32 = 2;
    // Instructions of the classic BPF: load a byte, jump if it has these bits, return the number of bytes to keep.
    let filter = [
        SockFilter::new(0x30, 0, 0, FLAGS_OFFSET),
        SockFilter::new(0x45, 0, 1, SYN),
        SockFilter::new(0x06, 0, 0, 0),
        SockFilter::new(0x06, 0, 0, u32::MAX),
    ];
    if let Err(error) = SockRef::from(listener).attach_filter(&filter) {
        tracing::debug!(%error, "new connections cannot be dropped before the listener is closed");
    }
}

/// Other systems have no such filter.
#[cfg(not(target_os = "linux"))]
pub(super) fn drop_new_connections(_: &tokio::net::TcpListener) {}

/// Accepts a connection that is in the queue; `None` when the queue is empty. The socket is asked: the runtime may not
/// know yet.
pub(super) fn accept_queued(listener: &tokio::net::TcpListener) -> io::Result<Option<(TcpStream, IpAddr)>> {
    loop {
        return match SockRef::from(listener).accept() {
            Ok((socket, address)) => {
                socket.set_nonblocking(true)?;
                let address =
                    address.as_socket().map_or(Ipv6Addr::UNSPECIFIED.into(), |address| address.ip());
                Ok(Some((socket.into(), address)))
            }
            Err(error) => match error.kind() {
                io::ErrorKind::WouldBlock => Ok(None),
                io::ErrorKind::ConnectionAborted | io::ErrorKind::Interrupted => continue,
                _ => Err(error),
            },
        };
    }
}
