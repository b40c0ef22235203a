//! TCP ports for servers that start later.

use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};

/// Port of 127.0.0.1 that stays reserved until drop. Its socket is bound but does not listen: the system assigns the
/// port to no other program, and a server with `SO_REUSEADDR` can still listen on it.
#[derive(Debug)]
pub struct ReservedPort {
    number: u16,
    _socket: Socket,
}

impl ReservedPort {
    /// Reserves a free port.
    ///
    /// # Errors
    /// If no port is free.
    pub fn reserve() -> io::Result<Self> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP))?;
        socket.set_reuse_address(true)?;
        socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())?;
        let address = socket.local_addr()?.as_socket();
        let number = address.ok_or_else(|| io::Error::other("no address"))?.port();
        Ok(Self { number, _socket: socket })
    }

    /// Port number.
    pub const fn number(&self) -> u16 {
        self.number
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn a_server_can_listen_on_a_reserved_port_twice() {
        let port = ReservedPort::reserve().unwrap();
        for _ in 0..2 {
            TcpListener::bind((Ipv4Addr::LOCALHOST, port.number())).unwrap();
        }
    }

    #[test]
    fn a_reserved_port_is_not_assigned_again() {
        let reserved: Vec<_> = (0..100).map(|_| ReservedPort::reserve().unwrap()).collect();
        for _ in 0..2_000 {
            let given = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
            assert!(reserved.iter().all(|port| port.number() != given));
        }
    }
}
