//! Errors of an upstream connection.

use std::fmt;
use std::io;

/// Error that makes an upstream connection unusable.
#[derive(Debug)]
pub enum UpstreamError {
    /// Reading from the socket failed.
    Io(io::Error),
    /// The server violated HTTP/1.1; the text names the violation.
    Protocol(&'static str),
}

impl From<io::Error> for UpstreamError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<&'static str> for UpstreamError {
    fn from(violation: &'static str) -> Self {
        Self::Protocol(violation)
    }
}

impl fmt::Display for UpstreamError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => error.fmt(f),
            Self::Protocol(violation) => f.write_str(violation),
        }
    }
}

impl std::error::Error for UpstreamError {}
