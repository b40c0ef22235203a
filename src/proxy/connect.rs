//! New connections to a target.

use super::last_words::LastWords;
use super::line::Line;
use gateway_routes::Route;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use std::error::Error;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

type Failure = Box<dyn Error + Send + Sync>;

/// The largest head of an answer, in bytes.
const LARGEST_HEAD: usize = 64 * 1024;

/// Connects to the first address that answers, with TLS where the target has it.
pub(super) async fn connect(route: &Route, tls: &Arc<rustls::ClientConfig>) -> Result<Box<Line>, Failure> {
    let target = &route.target;
    let stream = TcpStream::connect((target.host, target.port)).await?;
    stream.set_nodelay(true)?;
    if !target.tls {
        return handshake(stream, route).await;
    }
    let name = ServerName::try_from(target.host)?.to_owned();
    handshake(TlsConnector::from(Arc::clone(tls)).connect(name, stream).await?, route).await
}

async fn handshake(
    stream: impl AsyncRead + AsyncWrite + Unpin + 'static,
    route: &Route,
) -> Result<Box<Line>, Failure> {
    let (sender, connection) =
        http1::Builder::new().max_buf_size(LARGEST_HEAD).handshake(TokioIo::new(LastWords(stream))).await?;
    let connection = async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "a connection to an MCP server ended early");
        }
    };
    Ok(Box::new(Line::new(sender, connection, route.response_timeout)))
}
