//! A file of the configuration.

use super::problem::{Fault, Wrong};
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Component, Path, PathBuf};

/// No honest file is longer.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// A file of the configuration: how problems and the output call it, and what is in it.
pub(super) struct Source {
    /// As the user names it: relative to the workspace, or absolute if `GATEWAY_CONFIG` is.
    pub(super) name: String,
    /// The same on every machine: relative to the workspace, else to the site's own folder.
    pub(super) label: String,
    /// Empty when it could not be read.
    pub(super) text: String,
}

impl Source {
    /// Reads the file; a source comes back in any case, so that problems have a file to stand in.
    pub(super) fn read(path: &Path, name: &Path, label: &Path) -> (Self, Option<Fault>) {
        let (text, fault) = match read(path) {
            Ok(text) => (text, None),
            Err(fault) => (String::new(), Some(fault)),
        };
        (Self { name: plain(name), label: plain(label), text }, fault)
    }
}

fn read(path: &Path) -> Result<String, Fault> {
    let bytes = bytes(path).map_err(|error| {
        Wrong::new(format!("the file cannot be read ({})", error.kind()), "check its name and permissions")
            .at(1)
    })?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(Wrong::new("the file is longer than 1 MiB", "split it into files to include").at(1));
    }
    String::from_utf8(bytes).map_err(|error| {
        let good = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = 1 + good.split(|byte| *byte == b'\n').count().saturating_sub(1);
        Wrong::new("this is not UTF-8", "save the file as UTF-8").at(line)
    })
}

fn bytes(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The path without `.` and, where that is possible without looking, without `..`; with forward slashes.
fn plain(path: &Path) -> String {
    let mut parts = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir if matches!(parts.components().next_back(), Some(Component::Normal(_))) => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    // A problem is one line, whatever a file is called.
    parts.display().to_string().replace('\\', "/").replace(char::is_control, "\u{FFFD}")
}
