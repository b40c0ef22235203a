//! Access tokens of one grant, signed with the gateway's secret, which the benchmark knows.

use crate::gateway::{Gateway, MCP_PATH, SECRET};
use crate::{Outcome, site};
use gateway::base::clock::Clock;
use gateway::base::entropy::Entropy;
use gateway::base::secret::SecretBytes;
use gateway::credential::Credentials;
use gateway::crypto::seal::Keys;
use std::fs::{self, File};
use std::io::{BufWriter, Write as _};
use std::path::PathBuf;
use std::time::Duration;

/// Writes `count` tokens that differ only in their `jti` to a file, one per line.
pub(crate) fn write(gateway: &Gateway, original: &str, count: usize) -> Outcome<PathBuf> {
    let issuer = format!("http://{}", gateway.address);
    let ttl = Duration::from_hours(24);
    let credentials = Credentials::new(&keys()?, &issuer, ttl, Clock::system(), Entropy::system());
    let token = credentials
        .verify_access_token(original, &format!("{issuer}{MCP_PATH}/bytes/256"))
        .map_err(|why| format!("the token of the login: {why}"))?;
    fs::create_dir_all(site::folder())?;
    let path = site::folder().join("tokens");
    let mut file = BufWriter::new(File::create(&path)?);
    for _ in 0..count {
        let signed = credentials.sign_access_token(&token)?;
        writeln!(file, "{signed}")?;
    }
    file.flush()?;
    Ok(path)
}

fn keys() -> Outcome<Keys> {
    let bytes: Result<Vec<u8>, _> =
        (0..SECRET.len()).step_by(2).map(|at| u8::from_str_radix(&SECRET[at..at + 2], 16)).collect();
    Ok(Keys::new(vec![SecretBytes::new(bytes?)]))
}
