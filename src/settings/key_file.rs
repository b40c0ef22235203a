//! Secret file of the embedded store, generated at the first start.

use super::data_dir::{self, DataDirError, TemporaryFile};
use crate::base::entropy::Entropy;
use crate::base::secret::SecretBytes;
use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use thiserror::Error;

const FILE_NAME: &str = "gateway.secret";
const SECRET_BYTES: usize = 32;

/// Problem of the secret file or its directory, with its remedy.
#[derive(Debug, Error)]
pub enum KeyFileError {
    /// The directory cannot be used.
    #[error(transparent)]
    Directory(#[from] DataDirError),
    /// The file cannot be read or created.
    #[error("DATA_DIR: {} cannot be used", .path.display())]
    Unusable {
        /// Path of the file.
        path: PathBuf,
        /// Error of the operating system.
        source: io::Error,
    },
    /// Other users can access the file.
    #[error("DATA_DIR: {} is accessible to other users: chmod 600 it", .path.display())]
    Accessible {
        /// Path of the file.
        path: PathBuf,
    },
    /// The file does not have the length of a secret.
    #[error(
        "DATA_DIR: {} is damaged: restore it, or delete it to generate a new one (this ends all registrations and logins)",
        .path.display()
    )]
    Damaged {
        /// Path of the file.
        path: PathBuf,
    },
}

/// Loads the secret of a data directory, or generates one. Only the owner may access directory and file.
///
/// # Errors
/// Directory or file cannot be used, are open to other users, or the file is damaged.
pub fn load_or_create(folder: &Path, entropy: &Entropy) -> Result<SecretBytes, KeyFileError> {
    let path = folder.join(FILE_NAME);
    data_dir::prepare(folder)?;
    let loaded = match read(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return create(&path, entropy).map_err(|source| KeyFileError::Unusable { path, source });
        }
        loaded => loaded,
    };
    match loaded {
        Err(source) => Err(KeyFileError::Unusable { path, source }),
        Ok((bytes, _)) if bytes.len() != SECRET_BYTES => Err(KeyFileError::Damaged { path }),
        Ok((_, mode)) if mode & 0o077 != 0 => Err(KeyFileError::Accessible { path }),
        Ok((bytes, _)) => Ok(SecretBytes::new(bytes)),
    }
}

/// Reads the content and the mode of a file.
fn read(path: &Path) -> io::Result<(Vec<u8>, u32)> {
    Ok((fs::read(path)?, fs::metadata(path)?.permissions().mode()))
}

fn create(path: &Path, entropy: &Entropy) -> io::Result<SecretBytes> {
    let mut temporary = TemporaryFile::new(path, entropy)?;
    let secret = entropy.bytes::<SECRET_BYTES>();
    temporary.file.write_all(&secret)?;
    temporary.file.sync_all()?;
    Ok(SecretBytes::new(if temporary.link_to(path)? { secret.to_vec() } else { fs::read(path)? }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_secret_is_generated_once_and_readable_by_its_owner_only() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        let first = load_or_create(&data, &Entropy::seeded(1)).unwrap();
        let again = load_or_create(&data, &Entropy::seeded(2)).unwrap();
        assert_eq!(first.expose(), again.expose());
        assert_eq!(fs::metadata(data.join(FILE_NAME)).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(&data).unwrap().count(), 1);
    }

    #[test]
    fn a_damaged_or_readable_secret_is_rejected_and_not_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(FILE_NAME), b"short").unwrap();
        let load = || load_or_create(folder.path(), &Entropy::seeded(1)).unwrap_err().to_string();
        assert!(load().contains("damaged"));
        fs::write(folder.path().join(FILE_NAME), [7; 32]).unwrap();
        fs::set_permissions(folder.path().join(FILE_NAME), fs::Permissions::from_mode(0o644)).unwrap();
        assert!(load().contains("chmod 600"));
    }
}
