//! `DATA_DIR`: a folder for its owner alone, and files that appear in it whole or not at all.

use crate::base::encoding;
use crate::base::entropy::Entropy;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

/// Makes the folder if it is missing. One that others may write to is refused: they could put another secret or
/// another store into it.
///
/// # Errors
/// What is wrong with it, with what to do.
pub fn prepare(folder: &Path) -> Result<(), String> {
    let explain = |error: io::Error| format!("DATA_DIR: {} cannot be used: {error}", folder.display());
    DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(explain)?;
    if fs::metadata(folder).map_err(explain)?.permissions().mode() & 0o022 == 0 {
        return Ok(());
    }
    let path = folder.display();
    Err(format!(
        "DATA_DIR: others may write to {path}: chmod go-w it, or name a folder in it that the gateway makes itself"
    ))
}

/// A file on its way to its name, under another one that nobody can have guessed.
pub struct Beside {
    /// To be written to.
    pub file: File,
    /// Where it is until it is in place.
    pub path: PathBuf,
}

impl Beside {
    /// A new file beside this path, which nobody else can read from the start.
    ///
    /// # Errors
    /// It cannot be made, or something of its name is there.
    pub fn new(path: &Path, entropy: &Entropy) -> io::Result<Self> {
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(format!(".new-{}", encoding::encode(entropy.bytes::<16>())));
        let beside = path.with_file_name(name);
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
        Ok(Self { file, path: beside })
    }

    /// Links the file into place, so that a crash leaves no half of it and a race has one winner; `false`: another won.
    ///
    /// # Errors
    /// It cannot be linked, or its first name not be removed.
    pub fn put(self, path: &Path) -> io::Result<bool> {
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
    fn a_folder_that_others_may_write_to_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        for (mode, good) in [(0o700, true), (0o755, true), (0o770, false), (0o775, false), (0o1777, false)] {
            fs::set_permissions(&folder, fs::Permissions::from_mode(mode)).unwrap();
            let prepared = prepare(folder.path());
            assert_eq!(prepared.is_ok(), good, "{mode:o}");
            assert!(good || prepared.unwrap_err().contains("chmod go-w"), "{mode:o}");
        }
        prepare(&folder.path().join("own")).unwrap();
    }

    #[test]
    fn what_somebody_has_put_at_the_name_beside_is_not_written_to() {
        let folder = tempfile::tempdir().unwrap();
        let (path, elsewhere) = (folder.path().join("gateway.secret"), folder.path().join("elsewhere"));
        let guessed = Beside::new(&path, &Entropy::seeded(1)).unwrap();
        fs::remove_file(&guessed.path).unwrap();
        fs::write(&elsewhere, "theirs").unwrap();
        symlink(&elsewhere, &guessed.path).unwrap();
        assert!(Beside::new(&path, &Entropy::seeded(1)).is_err());
        assert_eq!(fs::read(&elsewhere).unwrap(), b"theirs");
        let (one, other) = (Entropy::seeded(2), folder.path().join("gateway.redb"));
        let names = [&path, &path, &other].map(|path| Beside::new(path, &one).unwrap().path);
        assert_ne!(names[0], names[1]);
        assert!(names[2].to_str().unwrap().contains("gateway.redb.new-"));
    }
}
