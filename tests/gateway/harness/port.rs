//! Ports of the gateways under test.

use std::net::{Ipv6Addr, SocketAddr};

/// Reserves a port: other programs cannot bind it, the gateway's listeners (`SO_REUSEPORT`) can.
pub(super) fn reserve_port() -> (socket2::Socket, u16) {
    let socket = bind(0);
    let port = socket.local_addr().unwrap().as_socket().unwrap().port();
    (socket, port)
}

/// Listens on a reserved port.
pub(super) fn listen_on(port: u16) -> tokio::net::TcpListener {
    let socket = bind(port);
    socket.listen(1024).unwrap();
    socket.set_nonblocking(true).unwrap();
    tokio::net::TcpListener::from_std(socket.into()).unwrap()
}

fn bind(port: u16) -> socket2::Socket {
    let socket = socket2::Socket::new(socket2::Domain::IPV6, socket2::Type::STREAM, None).unwrap();
    socket.set_only_v6(false).unwrap();
    socket.set_reuse_address(true).unwrap();
    socket.set_reuse_port(true).unwrap();
    socket.bind(&SocketAddr::from((Ipv6Addr::UNSPECIFIED, port)).into()).unwrap();
    socket
}
