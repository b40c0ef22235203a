//! Errors in a configuration, each with its location and remedy.

use std::fmt;
use thiserror::Error;

/// Error in a configuration file.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{file}:{line}: {error}; {remedy}")]
pub struct Problem {
    /// File name as the user wrote it.
    pub file: String,
    /// Line number, from 1.
    pub line: usize,
    /// Description of the error.
    pub error: String,
    /// Instruction how to fix it.
    pub remedy: String,
}

/// All errors of a configuration, in the order of files and lines; never empty.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub struct Problems(pub(super) Vec<Problem>);

/// Error at a line of the current file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LineError {
    pub(super) line: usize,
    /// Keys that lead to the value, joined with dots; empty for a syntax error.
    path: String,
    error: ValueError,
}

/// Error in a value, without location.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ValueError {
    error: String,
    remedy: String,
}

/// Result of reading a part of a file: the value, or all errors in it.
pub(super) type ReadResult<T> = Result<T, Vec<LineError>>;

impl Problems {
    /// Iterates over the problems.
    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.0.iter()
    }
}

impl ValueError {
    pub(super) fn new(error: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { error: error.into(), remedy: remedy.into() }
    }

    pub(super) fn at(self, line: usize) -> LineError {
        LineError { line, path: String::new(), error: self }
    }
}

impl LineError {
    /// Adds the key of the value to the path.
    pub(super) fn under(mut self, key: &str) -> Self {
        self.path = if self.path.is_empty() { key.to_owned() } else { format!("{key}.{}", self.path) };
        self
    }

    pub(super) fn in_file(self, file: &str) -> Problem {
        let ValueError { error, remedy } = self.error;
        let error = if self.path.is_empty() { error } else { format!("`{}`: {error}", self.path) };
        Problem { file: file.into(), line: self.line, error, remedy }
    }
}

/// Quotes and escapes a text and shortens it to one readable line.
pub(super) fn quoted(text: &str) -> String {
    const MAX_CHARS: usize = 80;
    match text.char_indices().nth(MAX_CHARS) {
        Some((end, _)) => format!("{:?}…", &text[..end]),
        None => format!("{text:?}"),
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|problem| writeln!(f, "{problem}"))
    }
}
