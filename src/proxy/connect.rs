//! Establishment of upstream connections, over TCP or TLS.

use super::stream::Stream;
use super::tls_records::Records;
use super::upstream_connection::UpstreamConnection;
use super::{ConnectError, UpstreamTls};
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use gateway_routes::Route;
use rustls::pki_types::ServerName;
use socket2::{SockRef, TcpKeepalive};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

/// Delay until the next address is tried beside those that have not responded (RFC 8305 §5).
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);
/// Silence after which TCP probes whether the server is still there, and the interval of the probes.
const KEEP_ALIVE: TcpKeepalive = TcpKeepalive::new()
    .with_time(Duration::from_mins(1))
    .with_interval(Duration::from_secs(15))
    .with_retries(4);

/// Connects to the first reachable address of the route's target, with TLS if the target is `https`.
pub(super) async fn connect(
    route: &Route,
    tls: &UpstreamTls,
) -> Result<Box<UpstreamConnection>, ConnectError> {
    let target = &route.target;
    let addresses = lookup_host((target.host, target.port)).await.map_err(ConnectError::Tcp)?;
    let stream = connect_first(addresses.collect()).await.map_err(ConnectError::Tcp)?;
    prepare(&stream).map_err(ConnectError::Tcp)?;
    let mut stream = if target.tls {
        let name = ServerName::try_from(target.host).map_err(ConnectError::ServerName)?.to_owned();
        let config = tls.config(route).ok_or(ConnectError::NoAuthorities)?;
        let connecting = TlsConnector::from(Arc::clone(config)).connect(name, Records::new(stream));
        Stream::Tls(Box::new(connecting.await.map_err(ConnectError::Tls)?))
    } else {
        Stream::Plain(stream)
    };
    // Bytes sent before the first request must not be read as its response.
    stream.settle().await.map_err(ConnectError::Unusable)?;
    Ok(Box::new(UpstreamConnection::new(stream, route.response_timeout)))
}

/// Connects to the first address that accepts; one that does not respond delays the next by [`ATTEMPT_DELAY`] only.
async fn connect_first(addresses: Vec<SocketAddr>) -> io::Result<TcpStream> {
    let mut error = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    let (mut attempts, mut rest) = (FuturesUnordered::new(), addresses.into_iter());
    loop {
        if let Some(address) = rest.next() {
            attempts.push(TcpStream::connect(address));
        }
        let finished = match rest.len() {
            0 => attempts.next().await,
            _ => match timeout(ATTEMPT_DELAY, attempts.next()).await {
                Ok(finished) => finished,
                Err(_) => continue,
            },
        };
        match finished {
            Some(Ok(stream)) => return Ok(stream),
            Some(Err(failed)) => error = failed,
            None => return Err(error),
        }
    }
}

/// Sends small writes at once, and detects a server that has vanished without a word.
fn prepare(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    SockRef::from(stream).set_tcp_keepalive(&KEEP_ALIVE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use socket2::{Domain, Socket, Type};
    use std::net::Ipv4Addr;
    use tokio::net::TcpListener;

    const SOON: Duration = Duration::from_secs(10);

    /// Listener whose queue is full: the system drops further connection requests.
    async fn black_hole() -> (Socket, SocketAddr, Vec<TcpStream>) {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).unwrap();
        socket.listen(0).unwrap();
        let address = socket.local_addr().unwrap().as_socket().unwrap();
        let mut queued = Vec::new();
        while let Ok(connected) = timeout(ATTEMPT_DELAY, TcpStream::connect(address)).await {
            queued.push(connected.unwrap());
        }
        (socket, address, queued)
    }

    #[tokio::test]
    async fn an_address_that_does_not_respond_or_refuses_is_skipped() {
        let (_socket, silent, _queued) = black_hole().await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let live = listener.local_addr().unwrap();
        let closed = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
        for addresses in
            [vec![silent, live], vec![closed, silent, live], vec![silent, closed, live], vec![live]]
        {
            let stream = timeout(SOON, connect_first(addresses)).await.unwrap().unwrap();
            assert_eq!(stream.peer_addr().unwrap(), live);
            prepare(&stream).unwrap();
            assert!(SockRef::from(&stream).keepalive().unwrap());
        }
    }

    #[tokio::test]
    async fn the_last_error_is_returned_when_no_address_accepts() {
        let closed = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
        let error = connect_first(vec![closed, closed]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
        assert!(connect_first(Vec::new()).await.is_err());
    }
}
