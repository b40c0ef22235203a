//! `DATA_DIR`: directory permissions and atomic creation of files.

use crate::base::encoding;
use crate::base::entropy::Entropy;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use thiserror::Error;

/// Problem of the data directory, with its remedy.
#[derive(Debug, Error)]
pub enum DataDirError {
    /// The directory cannot be created or read.
    #[error("DATA_DIR: {} cannot be used", .path.display())]
    Unusable {
        /// Path of the directory.
        path: PathBuf,
        /// Error of the operating system.
        source: io::Error,
    },
    /// Other users may write to the directory, and could replace the secret or the store.
    #[error(
        "DATA_DIR: other users may write to {}: chmod go-w it, or set DATA_DIR to a new folder in it",
        .path.display()
    )]
    WritableByOthers {
        /// Path of the directory.
        path: PathBuf,
    },
}

/// Creates the directory if it is missing.
///
/// # Errors
/// The directory cannot be used, or other users may write to it.
pub fn prepare(folder: &Path) -> Result<(), DataDirError> {
    let path = || folder.to_owned();
    let unusable = |source| DataDirError::Unusable { path: path(), source };
    DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(unusable)?;
    if fs::metadata(folder).map_err(unusable)?.permissions().mode() & 0o022 != 0 {
        return Err(DataDirError::WritableByOthers { path: path() });
    }
    Ok(())
}

/// File under a temporary, unpredictable name, to be linked to its final name.
pub struct TemporaryFile {
    /// Open file.
    pub file: File,
    /// Temporary path.
    pub path: PathBuf,
}

impl TemporaryFile {
    /// Creates a file next to `path` that only the owner can read.
    ///
    /// # Errors
    /// The file cannot be created, or its name exists.
    pub fn new(path: &Path, entropy: &Entropy) -> io::Result<Self> {
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(format!(".new-{}", encoding::encode(entropy.bytes::<16>())));
        let beside = path.with_file_name(name);
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
        Ok(Self { file, path: beside })
    }

    /// Links the file to its final name, so that a crash leaves no partial file and only one of several processes
    /// succeeds. Returns false when the name exists.
    ///
    /// # Errors
    /// The file cannot be linked, or the temporary name cannot be removed.
    pub fn link_to(self, path: &Path) -> io::Result<bool> {
        let linked = fs::hard_link(&self.path, path);
        fs::remove_file(&self.path)?;
        match linked {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn a_folder_that_others_may_write_to_is_rejected() {
        let folder = tempfile::tempdir().unwrap();
        for (mode, good) in [(0o700, true), (0o755, true), (0o770, false), (0o775, false), (0o1777, false)] {
            fs::set_permissions(&folder, fs::Permissions::from_mode(mode)).unwrap();
            let prepared = prepare(folder.path());
            assert_eq!(prepared.is_ok(), good, "{mode:o}");
            assert!(good || prepared.unwrap_err().to_string().contains("chmod go-w"), "{mode:o}");
        }
        prepare(&folder.path().join("own")).unwrap();
    }

    #[test]
    fn an_existing_temporary_name_is_not_written_to() {
        let folder = tempfile::tempdir().unwrap();
        let (path, elsewhere) = (folder.path().join("gateway.secret"), folder.path().join("elsewhere"));
        let guessed = TemporaryFile::new(&path, &Entropy::seeded(1)).unwrap();
        fs::remove_file(&guessed.path).unwrap();
        fs::write(&elsewhere, "theirs").unwrap();
        symlink(&elsewhere, &guessed.path).unwrap();
        assert!(TemporaryFile::new(&path, &Entropy::seeded(1)).is_err());
        assert_eq!(fs::read(&elsewhere).unwrap(), b"theirs");
        let (one, other) = (Entropy::seeded(2), folder.path().join("gateway.redb"));
        let names = [&path, &path, &other].map(|path| TemporaryFile::new(path, &one).unwrap().path);
        assert_ne!(names[0], names[1]);
        assert!(names[2].to_str().unwrap().contains("gateway.redb.new-"));
    }
}
