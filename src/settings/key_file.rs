//! Secret file of the embedded store, generated at the first start.

use super::data_dir::{self, TemporaryFile};
use crate::base::entropy::Entropy;
use crate::base::secret::SecretBytes;
use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

const FILE_NAME: &str = "gateway.secret";

/// Loads the secret of a data directory, or generates one. Only the owner may access directory and file.
///
/// # Errors
/// The problem with directory or file, and its remedy.
pub fn load_or_create(folder: &Path, entropy: &Entropy) -> Result<SecretBytes, String> {
    let path = folder.join(FILE_NAME);
    let explain = |error: io::Error| format!("DATA_DIR: {} cannot be used: {error}", path.display());
    data_dir::prepare(folder)?;
    match fs::read(&path) {
        Ok(bytes) if bytes.len() == 32 => {
            if fs::metadata(&path).map_err(explain)?.permissions().mode() & 0o077 != 0 {
                return Err(format!(
                    "DATA_DIR: {} is accessible to other users: chmod 600 it",
                    path.display()
                ));
            }
            Ok(SecretBytes::new(bytes))
        }
        Ok(_) => Err(format!(
            "DATA_DIR: {} is damaged: restore it, or delete it to generate a new one (this ends all registrations and logins)",
            path.display()
        )),
        Err(error) if error.kind() == io::ErrorKind::NotFound => create(&path, entropy).map_err(explain),
        Err(error) => Err(explain(error)),
    }
}

fn create(path: &Path, entropy: &Entropy) -> io::Result<SecretBytes> {
    let mut temporary = TemporaryFile::new(path, entropy)?;
    let secret = entropy.bytes::<32>();
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
        assert!(load_or_create(folder.path(), &Entropy::seeded(1)).unwrap_err().contains("damaged"));
        fs::write(folder.path().join(FILE_NAME), [7; 32]).unwrap();
        fs::set_permissions(folder.path().join(FILE_NAME), fs::Permissions::from_mode(0o644)).unwrap();
        assert!(load_or_create(folder.path(), &Entropy::seeded(1)).unwrap_err().contains("chmod 600"));
    }
}
