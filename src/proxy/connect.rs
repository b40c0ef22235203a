//! Establishment of upstream connections, over TCP or TLS.

use super::UpstreamTls;
use super::records::Records;
use super::stream::Stream;
use super::upstream_connection::UpstreamConnection;
use gateway_routes::Route;
use rustls::pki_types::ServerName;
use std::error::Error;
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

type Failure = Box<dyn Error + Send + Sync>;

/// Connects to the first reachable address of the route's target, with TLS if the target is `https`.
pub(super) async fn connect(route: &Route, tls: &UpstreamTls) -> Result<Box<UpstreamConnection>, Failure> {
    let target = &route.target;
    let stream = TcpStream::connect((target.host, target.port)).await?;
    stream.set_nodelay(true)?;
    let mut stream = if target.tls {
        let name = ServerName::try_from(target.host)?.to_owned();
        let config = tls.config(route).ok_or("the route's ca_file was not loaded at start-up")?;
        let connecting = TlsConnector::from(Arc::clone(config)).connect(name, Records::new(stream));
        Stream::Tls(Box::new(connecting.await?))
    } else {
        Stream::Plain(stream)
    };
    // Bytes sent before the first request must not be read as its response.
    stream.settle().await?;
    Ok(Box::new(UpstreamConnection::new(stream, route.response_timeout)))
}
