//! Requests that an HTTP client would correct, refuse to send, or wait on.

use super::World;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const TIMEOUT: Duration = Duration::from_secs(20);

/// Response with its unparsed text.
pub(crate) struct RawResponse {
    pub(crate) status: u16,
    pub(crate) text: String,
}

impl World {
    /// Sends these bytes on a new connection and reads until the gateway closes it. `HOST` is replaced by the
    /// gateway's host.
    pub(crate) async fn send_raw(&self, request: &str) -> RawResponse {
        let address = self.base_url.trim_start_matches("http://");
        let request = request.replace("HOST", address);
        let exchange = tokio::time::timeout(TIMEOUT, async {
            let mut stream = TcpStream::connect(address).await.unwrap();
            // The gateway may respond and close before everything is sent; only the response matters.
            let _ = stream.write_all(request.as_bytes()).await;
            let mut response = Vec::new();
            let _ = stream.read_to_end(&mut response).await;
            String::from_utf8_lossy(&response).into_owned()
        });
        let text = exchange.await.expect("the gateway responds and closes");
        let status = text.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_default();
        RawResponse { status, text }
    }
}
