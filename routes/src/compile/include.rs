//! The files that `include:` names, and the folders in which new ones would appear.

use super::definition::Glob;
use super::problem::{Fault, Wrong, quoted};
use glob::{MatchOptions, Pattern};
use std::path::{Path, PathBuf};

/// What one glob names.
pub(super) struct Included {
    /// The files, sorted, relative to the file that names them.
    pub(super) files: Vec<PathBuf>,
    /// The folder to watch; `None` when the glob is a plain file name.
    pub(super) folder: Option<PathBuf>,
}

/// As a shell matches: a star stays within its segment, and hidden files need a dot.
const OPTIONS: MatchOptions =
    MatchOptions { case_sensitive: true, require_literal_separator: true, require_literal_leading_dot: true };

/// The files of `glob`, which stands in a file in `base`, an absolute path below or beside `root`.
pub(super) fn files(root: &Path, base: &Path, glob: &Glob) -> Result<Included, Fault> {
    let folder = folder(glob.text);
    if holds(&base.join(folder.unwrap_or(".")), root) && folder.is_some() {
        let wrong = format!("{} names a folder around the build's own output", quoted(glob.text));
        return Err(Wrong::new(wrong, "put the routes in a folder of their own and write folder/*.yaml")
            .at(glob.line)
            .under("include"));
    }
    let mut files = matches(base, glob.text);
    files.sort();
    if files.is_empty() {
        let wrong = match folder {
            Some(folder) => format!("{} names no file in {folder}", quoted(glob.text)),
            None => format!("{} is not there", quoted(glob.text)),
        };
        return Err(Wrong::new(wrong, "add the file, or remove the entry").at(glob.line).under("include"));
    }
    Ok(Included { files, folder: folder.map(|folder| base.join(folder)) })
}

fn matches(base: &Path, text: &str) -> Vec<PathBuf> {
    let pattern = format!("{}/{text}", Pattern::escape(&base.display().to_string()));
    // The grammar of `text` was checked; what cannot be listed holds no file that could be read.
    let Ok(paths) = glob::glob_with(&pattern, OPTIONS) else { return Vec::new() };
    paths.flatten().filter_map(|path| path.strip_prefix(base).map(Path::to_owned).ok()).collect()
}

/// The segments before the first one with a wildcard.
fn folder(text: &str) -> Option<&str> {
    let wildcard = text.find(['*', '?', '['])?;
    text[..wildcard].rfind('/').map(|slash| &text[..slash])
}

fn holds(folder: &Path, root: &Path) -> bool {
    match (folder.canonicalize(), root.canonicalize()) {
        (Ok(folder), Ok(root)) => root.starts_with(folder),
        _ => false,
    }
}
