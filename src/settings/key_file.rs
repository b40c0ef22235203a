//! The gateway's own secret, beside the embedded store: made once and kept.

use super::data_dir::{self, Beside};
use crate::base::entropy::Entropy;
use crate::base::secret::SecretBytes;
use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

const NAME: &str = "gateway.secret";

/// The secret in this folder; made when the folder has none. Folder and file are for their owner alone.
///
/// # Errors
/// What is wrong with folder or file, with what to do.
pub fn load_or_create(folder: &Path, entropy: &Entropy) -> Result<SecretBytes, String> {
    let path = folder.join(NAME);
    let explain = |error: io::Error| format!("DATA_DIR: {} cannot be used: {error}", path.display());
    data_dir::prepare(folder)?;
    match fs::read(&path) {
        Ok(bytes) if bytes.len() == 32 => {
            if fs::metadata(&path).map_err(explain)?.permissions().mode() & 0o077 != 0 {
                return Err(format!("DATA_DIR: {} is open to others: chmod 600 it", path.display()));
            }
            Ok(SecretBytes::new(bytes))
        }
        Ok(_) => Err(format!(
            "DATA_DIR: {} is damaged: restore it, or delete it to start anew (all registrations and logins end)",
            path.display()
        )),
        Err(error) if error.kind() == io::ErrorKind::NotFound => create(&path, entropy).map_err(explain),
        Err(error) => Err(explain(error)),
    }
}

fn create(path: &Path, entropy: &Entropy) -> io::Result<SecretBytes> {
    let mut beside = Beside::new(path, entropy)?;
    let secret = entropy.bytes::<32>();
    beside.file.write_all(&secret)?;
    beside.file.sync_all()?;
    Ok(SecretBytes::new(if beside.put(path)? { secret.to_vec() } else { fs::read(path)? }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_secret_is_made_once_and_kept_for_its_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        let first = load_or_create(&data, &Entropy::seeded(1)).unwrap();
        let again = load_or_create(&data, &Entropy::seeded(2)).unwrap();
        assert_eq!(first.expose(), again.expose());
        assert_eq!(fs::metadata(data.join(NAME)).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(&data).unwrap().count(), 1);
    }

    #[test]
    fn a_damaged_or_open_secret_is_refused_and_not_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(NAME), b"short").unwrap();
        assert!(load_or_create(folder.path(), &Entropy::seeded(1)).unwrap_err().contains("damaged"));
        fs::write(folder.path().join(NAME), [7; 32]).unwrap();
        fs::set_permissions(folder.path().join(NAME), fs::Permissions::from_mode(0o644)).unwrap();
        assert!(load_or_create(folder.path(), &Entropy::seeded(1)).unwrap_err().contains("chmod 600"));
    }
}
