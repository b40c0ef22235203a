//! The globs of `include:`, and files of the machine that the gateway runs on.

use super::super::problem::{Wrong, quoted};
use super::word::line;
use super::{Parsed, keep};

/// A YAML file, or a glob below a folder. Cargo watches folders whole; one that holds the build's output
/// would never be up to date.
pub(crate) fn yaml_files(text: &str) -> Parsed<&'static str> {
    let wrong = |why: &str, remedy| Err(Wrong::new(format!("{} {why}", quoted(text)), remedy));
    if text.starts_with('/') || text.contains(['\\', ':']) {
        return wrong("is not a path relative to this file", "write folder/*.yaml, with forward slashes");
    }
    if let Err(error) = glob::Pattern::new(text) {
        return wrong(&format!("is not a glob ({})", error.msg), "write folder/*.yaml");
    }
    if !matches!(text.rsplit_once('.'), Some((_, "yaml" | "yml"))) {
        return wrong("takes in files that are not YAML", "let it end in .yaml or .yml");
    }
    let mut below = text;
    while let Some(rest) = below.strip_prefix("./").or_else(|| below.strip_prefix("../")) {
        below = rest;
    }
    if below.split('/').any(|segment| matches!(segment, "" | "." | "..")) {
        return wrong("has an empty or a dot segment inside", "write the path without it");
    }
    if below.split('/').next().is_some_and(|first| first.contains(['*', '?', '['])) {
        return wrong("names no folder", "put the routes in a folder of their own and write folder/*.yaml");
    }
    Ok(keep(text))
}

/// The absolute path of a file that is read when the gateway starts. A relative one would mean another file in each
/// folder that the binary is started from.
pub(crate) fn absolute_file(text: &str) -> Parsed<&'static str> {
    let path = line(text, 1024)?;
    let wrong = |why: &str, remedy| Err(Wrong::new(format!("{} {why}", quoted(path)), remedy));
    let Some(below) = path.strip_prefix('/') else {
        let remedy = "write it from the root, such as /etc/ssl/internal-ca.pem: the gateway may be started in any folder";
        return wrong("is not an absolute path", remedy);
    };
    if path.ends_with('/') {
        return wrong("names a folder", "write the path of one PEM file, such as /etc/ssl/internal-ca.pem");
    }
    if below.split('/').any(|segment| matches!(segment, "" | "." | "..")) {
        return wrong("has an empty or a dot segment inside", "write the path without it");
    }
    Ok(path)
}
