//! Errors of an upstream connection.

use super::http1::Violation;
use std::io;
use thiserror::Error;

/// Error that makes an upstream connection unusable.
#[derive(Debug, Error)]
pub enum UpstreamError {
    /// Reading from the socket failed.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The server violated HTTP/1.1.
    #[error(transparent)]
    Protocol(#[from] Violation),
}

/// Error of the establishment of an upstream connection.
#[derive(Debug, Error)]
pub enum ConnectError {
    /// No address of the target accepts a connection, or its name does not resolve.
    #[error("no TCP connection")]
    Tcp(#[source] io::Error),
    /// The target's host is no name that a certificate could have.
    #[error("the target's host is not a valid server name")]
    ServerName(#[source] rustls::pki_types::InvalidDnsNameError),
    /// The route's certificate authorities are missing.
    #[error("the route's ca_file was not loaded at start-up")]
    NoAuthorities,
    /// The TLS handshake failed.
    #[error("the TLS handshake failed")]
    Tls(#[source] io::Error),
    /// The server closed the connection, or sent data, before the first request.
    #[error("the new connection is not usable")]
    Unusable(#[source] io::Error),
}
