//! The reqwest client of the browser and the MCP client.

use std::sync::Once;
use std::time::Duration;

use crate::ClientError;

const RESPONSE_TIMEOUT: Duration = Duration::from_secs(30);
/// Maximum length of a page, a document or a JSON-RPC response.
const MAX_BODY_BYTES: usize = 1024 * 1024;

/// Client without redirects and proxies, with a timeout of 30 seconds.
pub(crate) fn http_client() -> reqwest::Client {
    static PROVIDER: Once = Once::new();
    PROVIDER.call_once(|| {
        // Another provider may be installed already.
        let _already_installed = rustls::crypto::ring::default_provider().install_default();
    });
    reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .timeout(RESPONSE_TIMEOUT)
        .build()
        .expect("a client with default settings can be built")
}

/// Reads the body; fails above 1 MiB.
pub(crate) async fn read_body(mut response: reqwest::Response) -> Result<Vec<u8>, ClientError> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > MAX_BODY_BYTES {
            return Err(ClientError::new("the body is larger than 1 MiB"));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}
