//! TLS of HTTP clients.

use rustls::{ClientConfig, Error, RootCertStore};
use std::sync::Arc;

/// Builds the TLS configuration of an HTTP client that speaks HTTP/2 and HTTP/1.1.
///
/// # Errors
/// The linked cryptography supports no version of TLS.
pub fn https_client_config(roots: RootCertStore) -> Result<ClientConfig, Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}
