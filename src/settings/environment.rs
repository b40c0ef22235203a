//! Environment variables, and secrets from files (`X_FILE`).

use crate::base::encoding;
use crate::base::error_chain::ErrorChain;
use crate::base::secret::{Secret, SecretBytes};
use serde::Deserialize;
use std::ffi::OsString;
use std::fs;
use std::io;
use thiserror::Error;

/// Set of environment variables; a parameter, so that tests do not depend on the process.
pub struct Environment(Vec<(OsString, OsString)>);

impl Environment {
    /// Variables of this process.
    pub fn of_process() -> Self {
        Self(std::env::vars_os().collect())
    }

    /// Exactly these variables.
    pub fn of<'a>(variables: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        Self(variables.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }
}

/// Log format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object per line.
    Json,
    /// Human-readable text.
    Pretty,
}

/// Known variables as text, not yet validated.
#[derive(Deserialize, Default)]
pub(super) struct Raw {
    pub(super) base_url: Option<String>,
    pub(super) data_dir: Option<String>,
    #[serde(default, deserialize_with = "secret")]
    pub(super) gateway_secret: Option<Secret>,
    #[serde(default, deserialize_with = "secret")]
    pub(super) https_proxy: Option<Secret>,
    pub(super) kvs_addr: Option<String>,
    pub(super) kvs_ca_file: Option<String>,
    pub(super) kvs_cert_file: Option<String>,
    pub(super) kvs_key_file: Option<String>,
    #[serde(default, deserialize_with = "secret")]
    pub(super) kvs_password: Option<Secret>,
    #[serde(default, deserialize_with = "secret")]
    pub(super) kvs_sentinel_password: Option<Secret>,
    pub(super) kvs_sentinel_user: Option<String>,
    pub(super) log_format: Option<String>,
    pub(super) no_proxy: Option<String>,
    pub(super) okta_client_id: Option<String>,
    #[serde(default, deserialize_with = "secret")]
    pub(super) okta_client_secret: Option<Secret>,
    pub(super) okta_redirect_uri: Option<String>,
    pub(super) okta_url: Option<String>,
    pub(super) port: Option<String>,
    pub(super) store_format: Option<String>,
}

pub(super) const NAMES: [&str; 19] = [
    "BASE_URL",
    "DATA_DIR",
    "GATEWAY_SECRET",
    "HTTPS_PROXY",
    "KVS_ADDR",
    "KVS_CA_FILE",
    "KVS_CERT_FILE",
    "KVS_KEY_FILE",
    "KVS_PASSWORD",
    "KVS_SENTINEL_PASSWORD",
    "KVS_SENTINEL_USER",
    "LOG_FORMAT",
    "NO_PROXY",
    "OKTA_CLIENT_ID",
    "OKTA_CLIENT_SECRET",
    "OKTA_REDIRECT_URI",
    "OKTA_URL",
    "PORT",
    "STORE_FORMAT",
];
const SECRET_NAMES: [&str; 5] =
    ["GATEWAY_SECRET", "HTTPS_PROXY", "KVS_PASSWORD", "KVS_SENTINEL_PASSWORD", "OKTA_CLIENT_SECRET"];
/// Variables of the specification that this version does not support. Setting one is an error, so that nobody relies on
/// it.
const UNSUPPORTED: [&str; 1] = ["OKTA_CLIENT_PRIVATE_KEY"];
/// Longest secret file, in bytes.
const MAX_FILE_BYTES: u64 = 64 * 1024;

fn secret<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Secret>, D::Error> {
    Option::<String>::deserialize(deserializer).map(|text| text.map(Secret::new))
}

impl Raw {
    /// Reads the known variables; an empty variable is treated as unset.
    pub(super) fn read(environment: &Environment, problems: &mut Vec<String>) -> Self {
        let mut known = Vec::new();
        for name in NAMES {
            let value = Variable { environment, problems }.value(name);
            if let Some(value) = value {
                known.push((name.to_owned(), value));
            }
        }
        for name in UNSUPPORTED {
            if environment.get(name).is_some() || environment.get(&format!("{name}_FILE")).is_some() {
                problems.push(format!("{name} is not supported by this version: unset it"));
            }
        }
        // envy's errors would contain values; with optional text members only, it reports none.
        envy::from_iter(known).unwrap_or_else(|_| {
            problems.push("the environment could not be read".into());
            Self::default()
        })
    }
}

impl Environment {
    /// Reads a secret that is not one of the gateway's own, from its variable or from the file that `X_FILE` names.
    pub(super) fn secret(&self, name: &str, problems: &mut Vec<String>) -> Option<Secret> {
        let mut variable = Variable { environment: self, problems };
        let value = variable.text(name);
        variable.or_file(name, value).map(Secret::new)
    }

    fn get(&self, name: &str) -> Option<&OsString> {
        self.0.iter().find(|(other, value)| other == name && !value.is_empty()).map(|(_, value)| value)
    }
}

struct Variable<'a> {
    environment: &'a Environment,
    problems: &'a mut Vec<String>,
}

impl Variable<'_> {
    /// Value of the variable, of its alias (`OAUTH_OKTA_*`, `https_proxy`), or of the file that `X_FILE` names.
    fn value(&mut self, name: &str) -> Option<String> {
        let value = self.value_or_alias(name);
        if SECRET_NAMES.contains(&name) { self.or_file(name, value) } else { value }
    }

    /// Content of the file that `X_FILE` names, if that is set; else the value.
    fn or_file(&mut self, name: &str, value: Option<String>) -> Option<String> {
        let file_name = format!("{name}_FILE");
        let Some(path) = self.environment.get(&file_name) else { return value };
        if value.is_some() {
            self.problems.push(format!("{name} and {file_name} are both set: keep one"));
        }
        match read_file(path) {
            Ok(text) => Some(text),
            Err(error) => {
                let why = ErrorChain(&error);
                self.problems.push(format!("{file_name}: the file it names {why}"));
                None
            }
        }
    }

    fn value_or_alias(&mut self, name: &str) -> Option<String> {
        let value = self.text(name);
        let alias_name = match name {
            "HTTPS_PROXY" | "NO_PROXY" => name.to_ascii_lowercase(),
            _ if name.starts_with("OKTA_") => format!("OAUTH_{name}"),
            _ => return value,
        };
        let alias = self.text(&alias_name);
        if value.is_some() && alias.is_some() && value != alias {
            self.problems.push(format!("{name} and {alias_name} contradict each other: keep one"));
        }
        value.or(alias)
    }

    fn text(&mut self, name: &str) -> Option<String> {
        let value = self.environment.get(name)?;
        let text = value.to_str().map(str::to_owned);
        if text.is_none() {
            self.problems.push(format!("{name} is not UTF-8"));
        }
        text
    }
}

/// Problem of a secret file: a predicate that follows "the file".
#[derive(Debug, Error)]
enum SecretFileError {
    #[error("cannot be read: check its path and its mode")]
    Unreadable(#[source] io::Error),
    #[error("is longer than 64 KiB: it should hold one secret")]
    TooLong,
    #[error("cannot be read as text")]
    NotText(#[source] io::Error),
    #[error("is empty")]
    Empty,
}

fn read_file(path: &OsString) -> Result<String, SecretFileError> {
    if fs::metadata(path).map_err(SecretFileError::Unreadable)?.len() > MAX_FILE_BYTES {
        return Err(SecretFileError::TooLong);
    }
    let text = fs::read_to_string(path).map_err(SecretFileError::NotText)?;
    let text = text.trim_end_matches(['\r', '\n']);
    if text.is_empty() { Err(SecretFileError::Empty) } else { Ok(text.to_owned()) }
}

/// Problem of `GATEWAY_SECRET`: a predicate that follows its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(super) enum GatewaySecretError {
    #[error("is neither hex nor base64url: make one with `openssl rand -hex 32`")]
    Encoding,
    #[error("holds fewer than 32 bytes: make one with `openssl rand -hex 32`")]
    TooShort,
    #[error("is one byte repeated: make one with `openssl rand -hex 32`")]
    OneByteRepeated,
    #[error("holds the same secret twice: keep one")]
    Twice,
}

/// Parses `GATEWAY_SECRET`: comma-separated secrets of at least 32 bytes, in hex or base64url.
pub(super) fn gateway_secrets(given: &Secret) -> Result<Vec<SecretBytes>, GatewaySecretError> {
    let secrets: Vec<SecretBytes> =
        given.expose().split(',').map(|part| gateway_secret(part.trim())).collect::<Result<_, _>>()?;
    let repeats = |(index, secret): (usize, &SecretBytes)| {
        secrets[..index].iter().any(|other| other.expose() == secret.expose())
    };
    if secrets.iter().enumerate().any(repeats) { Err(GatewaySecretError::Twice) } else { Ok(secrets) }
}

fn gateway_secret(text: &str) -> Result<SecretBytes, GatewaySecretError> {
    let hex = if text.len() >= 64 { base16ct::mixed::decode_vec(text).ok() } else { None };
    let bytes = hex.or_else(|| encoding::decode(text.trim_end_matches('=')));
    let bytes = bytes.ok_or(GatewaySecretError::Encoding)?;
    if bytes.len() < 32 {
        return Err(GatewaySecretError::TooShort);
    }
    if bytes.iter().all(|byte| *byte == bytes[0]) {
        return Err(GatewaySecretError::OneByteRepeated);
    }
    Ok(SecretBytes::new(bytes))
}
