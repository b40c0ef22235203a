//! Section `client_metadata:`: Client ID Metadata Documents.

use super::super::problem::{ReadResult, ValueError};
use super::super::section::{Section, SectionKeys};
use super::super::tree::{Node, Value};
use super::super::value::{self, ParseResult, list, non_empty, text};
use super::glob::{Glob, globs};
use crate::ClientMetadataMode;

pub(super) const KEYS: SectionKeys = SectionKeys {
    description: "the section",
    known: &["mode", "hosts", "documents"],
    unsupported: &[],
    misplaced: &[],
};

const ANY_HOST: &str = "name a host, or remove the key to let clients publish what they are anywhere";
const EXAMPLE: &str = "write `documents: \"clients/*.json\"`, or a list of such entries";

/// The section, with the globs of its documents.
#[derive(Debug)]
pub(crate) struct ClientMetadataKeys {
    pub(crate) mode: ClientMetadataMode,
    pub(crate) hosts: &'static [&'static str],
    pub(crate) documents: Vec<Glob>,
}

impl Default for ClientMetadataKeys {
    fn default() -> Self {
        Self { mode: ClientMetadataMode::Fetch, hosts: &[], documents: Vec::new() }
    }
}

pub(super) fn client_metadata(node: &Node) -> ReadResult<ClientMetadataKeys> {
    let mut section = Section::open(node, &KEYS)?;
    let keys = ClientMetadataKeys {
        mode: section.optional("mode", text(mode)).unwrap_or(ClientMetadataMode::Fetch),
        hosts: section.optional("hosts", non_empty(list(text(value::host)), ANY_HOST)).unwrap_or_default(),
        documents: section.optional("documents", documents).unwrap_or_default(),
    };
    let keys = section.finish(keys)?;
    let unusable = match (keys.mode, keys.documents.is_empty()) {
        (ClientMetadataMode::Pinned, true) => ValueError::new(
            "mode `pinned` knows the clients of `documents` only, and there are none",
            "add `documents: \"clients/*.json\"`, or write `mode: off`: every client then registers",
        ),
        (ClientMetadataMode::Off, false) => {
            ValueError::new("mode `off` uses no documents", "remove `documents`, or write `mode: pinned`")
        }
        _ => return Ok(keys),
    };
    Err(vec![unusable.at(node.line)])
}

fn mode(text: &str) -> ParseResult<ClientMetadataMode> {
    match text {
        "fetch" => Ok(ClientMetadataMode::Fetch),
        "pinned" => Ok(ClientMetadataMode::Pinned),
        "off" => Ok(ClientMetadataMode::Off),
        _ => value::unknown_word(text, "fetch, pinned or off"),
    }
}

/// Reads one glob, or a list of globs.
fn documents(node: &Node) -> ReadResult<Vec<Glob>> {
    let nodes = match &node.value {
        Value::List(nodes) => nodes.as_slice(),
        Value::Map(_) => return Err(node.shape_error("a path or a list", EXAMPLE)),
        _ => std::slice::from_ref(node),
    };
    let (globs, mut errors) = globs(nodes, "client_metadata.documents", "documents", value::json_files);
    if errors.is_empty() && globs.is_empty() {
        errors.push(ValueError::new("the list is empty", EXAMPLE).at(node.line));
    }
    if errors.is_empty() { Ok(globs) } else { Err(errors) }
}
