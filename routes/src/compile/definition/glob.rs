//! Globs of files.

use super::super::problem::{LineError, ValueError};
use super::super::tree::Node;
use super::super::value::{ParseResult, text};

/// Glob of files, relative to the site's file.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Glob {
    /// Key that it is the value of.
    pub(crate) key: &'static str,
    /// Content of the files, in messages.
    pub(crate) content: &'static str,
    pub(crate) line: usize,
    pub(crate) text: &'static str,
}

/// Reads globs without duplicates, returning the valid ones with the errors of the others.
pub(super) fn globs(
    nodes: &[Node],
    key: &'static str,
    content: &'static str,
    grammar: fn(&str) -> ParseResult<&'static str>,
) -> (Vec<Glob>, Vec<LineError>) {
    let mut globs: Vec<Glob> = Vec::new();
    let mut errors = Vec::new();
    for node in nodes {
        match text(grammar)(node) {
            Ok(text) if globs.iter().any(|glob| glob.text == text) => {
                errors.push(ValueError::new("the same entry is listed twice", "remove one").at(node.line));
            }
            Ok(text) => globs.push(Glob { key, content, line: node.line, text }),
            Err(error) => errors.extend(error),
        }
    }
    (globs, errors)
}
