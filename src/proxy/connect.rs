//! New connections to a target.

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

/// Connects to the first address that answers, with TLS where the target has it.
pub(super) async fn connect(route: &Route, tls: &UpstreamTls) -> Result<Box<UpstreamConnection>, Failure> {
    let target = &route.target;
    let stream = TcpStream::connect((target.host, target.port)).await?;
    stream.set_nodelay(true)?;
    let mut stream = if target.tls {
        let name = ServerName::try_from(target.host)?.to_owned();
        let config = tls.config(route).ok_or("its ca_file was not read at the start")?;
        let connecting = TlsConnector::from(Arc::clone(config)).connect(name, Records::new(stream));
        Stream::Tls(Box::new(connecting.await?))
    } else {
        Stream::Plain(stream)
    };
    // An answer to nobody must not become the answer to its first request.
    stream.settle().await?;
    Ok(Box::new(UpstreamConnection::new(stream, route.response_timeout)))
}
