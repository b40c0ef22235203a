//! New connections to a target.

use super::line::Line;
use super::stream::Stream;
use gateway_routes::Route;
use rustls::pki_types::ServerName;
use std::error::Error;
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

type Failure = Box<dyn Error + Send + Sync>;

/// Connects to the first address that answers, with TLS where the target has it.
pub(super) async fn connect(route: &Route, tls: &Arc<rustls::ClientConfig>) -> Result<Box<Line>, Failure> {
    let target = &route.target;
    let stream = TcpStream::connect((target.host, target.port)).await?;
    stream.set_nodelay(true)?;
    let stream = if target.tls {
        let name = ServerName::try_from(target.host)?.to_owned();
        Stream::Tls(Box::new(TlsConnector::from(Arc::clone(tls)).connect(name, stream).await?))
    } else {
        Stream::Plain(stream)
    };
    Ok(Box::new(Line::new(stream, route.response_timeout)))
}
