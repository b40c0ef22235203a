//! What ends a call to a server before its answer is whole.

use std::fmt;
use std::io;

/// Why a connection to a server is of no more use.
#[derive(Debug)]
pub enum Broken {
    /// It could not be read from.
    Io(io::Error),
    /// The server said something that is no answer.
    Answer(&'static str),
}

impl From<io::Error> for Broken {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<&'static str> for Broken {
    fn from(what: &'static str) -> Self {
        Self::Answer(what)
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => error.fmt(f),
            Self::Answer(what) => f.write_str(what),
        }
    }
}

impl std::error::Error for Broken {}
