//! Establishment of upstream connections, over TCP or TLS.

use super::records::Records;
use super::stream::Stream;
use super::upstream_connection::UpstreamConnection;
use super::{ConnectError, UpstreamTls};
use gateway_routes::Route;
use rustls::pki_types::ServerName;
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// Connects to the first reachable address of the route's target, with TLS if the target is `https`.
pub(super) async fn connect(
    route: &Route,
    tls: &UpstreamTls,
) -> Result<Box<UpstreamConnection>, ConnectError> {
    let target = &route.target;
    let stream = TcpStream::connect((target.host, target.port)).await.map_err(ConnectError::Tcp)?;
    stream.set_nodelay(true).map_err(ConnectError::Tcp)?;
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
