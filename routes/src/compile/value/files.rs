//! Globs of `include:`, and absolute paths of files on the gateway's machine.

use super::super::problem::{ValueError, quoted};
use super::word::line;
use super::{ParseResult, leak};

/// Parses the path of a YAML file, or a glob below a directory. Cargo watches the whole directory, so that it must not
/// contain build output.
pub(crate) fn yaml_files(text: &str) -> ParseResult<&'static str> {
    let invalid = |why: &str, remedy| Err(ValueError::new(format!("{} {why}", quoted(text)), remedy));
    if text.starts_with('/') || text.contains(['\\', ':']) {
        return invalid("is not a path relative to this file", "write folder/*.yaml, with forward slashes");
    }
    if let Err(error) = glob::Pattern::new(text) {
        return invalid(&format!("is not a glob ({})", error.msg), "write folder/*.yaml");
    }
    if !matches!(text.rsplit_once('.'), Some((_, "yaml" | "yml"))) {
        return invalid("takes in files that are not YAML", "let it end in .yaml or .yml");
    }
    let mut below = text;
    while let Some(rest) = below.strip_prefix("./").or_else(|| below.strip_prefix("../")) {
        below = rest;
    }
    if below.split('/').any(|segment| matches!(segment, "" | "." | "..")) {
        return invalid("has an empty or a dot segment inside", "write the path without it");
    }
    if below.split('/').next().is_some_and(|first| first.contains(['*', '?', '['])) {
        return invalid("names no folder", "put the routes in a folder of their own and write folder/*.yaml");
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
