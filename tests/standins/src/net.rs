//! The one reqwest client of the browser and the MCP client.

use std::sync::Once;
use std::time::Duration;

use crate::ClientError;

const RESPONSE_TIMEOUT: Duration = Duration::from_secs(30);
/// What a page, a document or a JSON-RPC answer may weigh.
const MAX_BODY_BYTES: usize = 1024 * 1024;

/// A client that follows no redirect, uses no proxy and gives up after 30 seconds.
pub(crate) fn http_client() -> reqwest::Client {
    static PROVIDER: Once = Once::new();
    PROVIDER.call_once(|| {
        // Someone else may have installed one already; theirs is as good.
        let _taken = rustls::crypto::ring::default_provider().install_default();
    });
    reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .timeout(RESPONSE_TIMEOUT)
        .build()
        .expect("a client without special settings can be built")
}

/// The body, at most 1 MiB of it; a longer one is trouble.
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
