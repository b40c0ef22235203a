//! Globs of `include:` and `client_metadata.documents`, and absolute paths of files on the gateway's machine.

use super::super::problem::{ValueError, quoted};
use super::word::line;
use super::{ParseResult, leak};

/// Parses the path of a YAML file, or a glob below a directory.
pub(crate) fn yaml_files(text: &str) -> ParseResult<&'static str> {
    relative_files(text, &YAML)
}

/// Parses the path of a JSON file, or a glob below a directory.
pub(crate) fn json_files(text: &str) -> ParseResult<&'static str> {
    relative_files(text, &JSON)
}

/// Kind of files that a glob may name.
struct FileKind {
    name: &'static str,
    extensions: &'static [&'static str],
    wrong_extension: &'static str,
    example: &'static str,
    no_folder: &'static str,
}

const YAML: FileKind = FileKind {
    name: "YAML",
    extensions: &["yaml", "yml"],
    wrong_extension: "let it end in .yaml or .yml",
    example: "write folder/*.yaml",
    no_folder: "put the routes in a folder of their own and write folder/*.yaml",
};

const JSON: FileKind = FileKind {
    name: "JSON",
    extensions: &["json"],
    wrong_extension: "let it end in .json",
    example: "write clients/*.json",
    no_folder: "put the documents in a folder of their own and write clients/*.json",
};

/// Parses a path or glob that is relative to the site's file. Cargo watches the whole directory, so that it must not
/// contain build output.
fn relative_files(text: &str, kind: &FileKind) -> ParseResult<&'static str> {
    let invalid = |why: &str, remedy: &str| Err(ValueError::new(format!("{} {why}", quoted(text)), remedy));
    if text.starts_with('/') || text.contains(['\\', ':']) {
        return invalid(
            "is not a path relative to this file",
            &format!("{}, with forward slashes", kind.example),
        );
    }
    if let Err(error) = glob::Pattern::new(text) {
        return invalid(&format!("is not a glob ({})", error.msg), kind.example);
    }
    if text.rsplit_once('.').is_none_or(|(_, extension)| !kind.extensions.contains(&extension)) {
        return invalid(&format!("takes in files that are not {}", kind.name), kind.wrong_extension);
    }
    let mut below = text;
    while let Some(rest) = below.strip_prefix("./").or_else(|| below.strip_prefix("../")) {
        below = rest;
    }
    if below.split('/').any(|segment| matches!(segment, "" | "." | "..")) {
        return invalid("has an empty or a dot segment inside", "write the path without it");
    }
    if below.split('/').next().is_some_and(|first| first.contains(['*', '?', '['])) {
        return invalid("names no folder", kind.no_folder);
    }
    Ok(leak(text))
}

/// Parses the absolute path of a file that is read at startup. A relative path would depend on the working directory.
pub(crate) fn absolute_file(text: &str) -> ParseResult<&'static str> {
    let path = line(text, 1024)?;
    let invalid = |why: &str, remedy| Err(ValueError::new(format!("{} {why}", quoted(path)), remedy));
    let Some(below) = path.strip_prefix('/') else {
        let remedy = "write it from the root, such as /etc/ssl/internal-ca.pem: the gateway may be started in any folder";
        return invalid("is not an absolute path", remedy);
    };
    if path.ends_with('/') {
        return invalid("names a folder", "write the path of one PEM file, such as /etc/ssl/internal-ca.pem");
    }
    if below.split('/').any(|segment| matches!(segment, "" | "." | "..")) {
        return invalid("has an empty or a dot segment inside", "write the path without it");
    }
    Ok(path)
}
