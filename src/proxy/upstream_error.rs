//! What ends a call to a server before its answer is whole.

use std::fmt;
use std::io;

/// Why a connection to a server is of no more use.
#[derive(Debug)]
pub enum UpstreamError {
    /// It could not be read from.
    Io(io::Error),
    /// The server said something that is no answer.
    ResponseHead(&'static str),
}

impl From<io::Error> for UpstreamError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<&'static str> for UpstreamError {
    fn from(what: &'static str) -> Self {
        Self::ResponseHead(what)
    }
}

impl fmt::Display for UpstreamError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => error.fmt(f),
            Self::ResponseHead(what) => f.write_str(what),
        }
    }
}

impl std::error::Error for UpstreamError {}
