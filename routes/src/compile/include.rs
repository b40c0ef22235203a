//! Files of a glob, and the directories to watch for new ones.

use super::definition::Glob;
use super::problem::{LineError, ValueError, quoted};
use glob::{MatchOptions, Pattern};
use std::path::{Path, PathBuf};

/// Result of a glob.
pub(super) struct Included {
    /// Files, sorted, relative to the file with the glob.
    pub(super) files: Vec<PathBuf>,
    /// Directory to watch; `None` when the glob is a plain file name.
    pub(super) folder: Option<PathBuf>,
}

/// Options of a shell: a star matches within one segment, hidden files need an explicit dot.
const OPTIONS: MatchOptions =
    MatchOptions { case_sensitive: true, require_literal_separator: true, require_literal_leading_dot: true };

/// Finds the files of a glob relative to `base`, the absolute directory of the file with the glob.
pub(super) fn files(root: &Path, base: &Path, glob: &Glob) -> Result<Included, LineError> {
    let folder = folder(glob.text);
    if contains_root(&base.join(folder.unwrap_or(".")), root) && folder.is_some() {
        let message = format!("{} names a folder around the build's own output", quoted(glob.text));
        let extension = glob.text.rsplit('.').next().unwrap_or_default();
        let remedy =
            format!("put the {} in a folder of their own and write folder/*.{extension}", glob.content);
        return Err(ValueError::new(message, remedy).at(glob.line).under(glob.key));
    }
    let mut files = matches(base, glob.text);
    files.sort();
    if files.is_empty() {
        let message = match folder {
            Some(folder) => format!("{} names no file in {folder}", quoted(glob.text)),
            None => format!("{} is not there", quoted(glob.text)),
        };
        return Err(ValueError::new(message, "add the file, or remove the entry")
            .at(glob.line)
            .under(glob.key));
    }
    Ok(Included { files, folder: folder.map(|folder| base.join(folder)) })
}

fn matches(base: &Path, text: &str) -> Vec<PathBuf> {
    let pattern = format!("{}/{text}", Pattern::escape(&base.display().to_string()));
    // The grammar was checked before; a directory that cannot be listed contains no readable file.
    let Ok(paths) = glob::glob_with(&pattern, OPTIONS) else { return Vec::new() };
    paths.flatten().filter_map(|path| path.strip_prefix(base).map(Path::to_owned).ok()).collect()
}

/// Path segments before the first one with a wildcard.
fn folder(text: &str) -> Option<&str> {
    let wildcard = text.find(['*', '?', '['])?;
    text[..wildcard].rfind('/').map(|slash| &text[..slash])
}

fn contains_root(folder: &Path, root: &Path) -> bool {
    match (folder.canonicalize(), root.canonicalize()) {
        (Ok(folder), Ok(root)) => root.starts_with(folder),
        _ => false,
    }
}
