//! Configuration files.

use super::problem::{LineError, ValueError};
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Component, Path, PathBuf};

/// Longest configuration file, in bytes.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// Configuration file with its names and content.
pub(super) struct Source {
    /// Name in problems: relative to the workspace, or absolute if `GATEWAY_CONFIG` is.
    pub(super) name: String,
    /// Name in the output, the same on every machine: relative to the workspace, else to the site's directory.
    pub(super) label: String,
    /// Content; empty when the file could not be read.
    pub(super) text: String,
}

impl Source {
    /// Reads a file. The source is returned even after an error, so that problems can name it.
    pub(super) fn read(path: &Path, name: &Path, label: &Path) -> (Self, Option<LineError>) {
        let (text, error) = match read(path) {
            Ok(text) => (text, None),
            Err(error) => (String::new(), Some(error)),
        };
        (Self { name: normalize(name), label: normalize(label), text }, error)
    }
}

fn read(path: &Path) -> Result<String, LineError> {
    let bytes = bytes(path).map_err(|error| {
        ValueError::new(
            format!("the file cannot be read ({})", error.kind()),
            "check its name and permissions",
        )
        .at(1)
    })?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(ValueError::new("the file is longer than 1 MiB", "split it into files to include").at(1));
    }
    String::from_utf8(bytes).map_err(|error| {
        let good = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = 1 + good.split(|byte| *byte == b'\n').count().saturating_sub(1);
        ValueError::new("this is not UTF-8", "save the file as UTF-8").at(line)
    })
}

fn bytes(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Normalizes a path lexically: no `.`, no `..` after a name, forward slashes.
fn normalize(path: &Path) -> String {
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
    // A problem is always one line, also for file names with control characters.
    parts.display().to_string().replace('\\', "/").replace(char::is_control, "\u{FFFD}")
}
