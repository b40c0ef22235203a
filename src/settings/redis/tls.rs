//! `KVS_CA_FILE`, `KVS_CERT_FILE` and `KVS_KEY_FILE`: certificate authorities and client certificate for Redis.
//!
//! The files are read and validated at startup, so that a wrong file is reported as a problem of the settings and not
//! as an outage of Redis.

use crate::base::error_chain::ErrorChain;
use crate::base::secret::Secret;
use crate::settings::pem::{self, PemError};
use rustls::{ClientConfig, Error, OtherError, RootCertStore};
use std::sync::Arc;

/// TLS settings of Redis connections, in PEM. By default the public authorities are trusted and no client certificate
/// is sent.
#[derive(Debug, Clone, Default)]
pub struct RedisTls {
    /// Trusted authorities, instead of the public ones.
    pub authorities: Option<String>,
    /// Client certificate for mutual TLS.
    pub client: Option<ClientCertificate>,
}

/// Client certificate with its chain and private key.
#[derive(Debug, Clone)]
pub struct ClientCertificate {
    /// Certificate chain, the client certificate first.
    pub chain: String,
    /// Private key of the client certificate.
    pub key: Secret,
}

/// File names from the environment.
pub(in crate::settings) struct Files<'a> {
    pub(in crate::settings) authorities: Option<&'a str>,
    pub(in crate::settings) certificate: Option<&'a str>,
    pub(in crate::settings) key: Option<&'a str>,
}

const CA: &str = "KVS_CA_FILE";
const CERTIFICATE: &str = "KVS_CERT_FILE";
const KEY: &str = "KVS_KEY_FILE";

impl Files<'_> {
    /// Reports every file that is set although the connection does not use TLS.
    pub(in crate::settings) fn report_unused(&self, problems: &mut Vec<String>) {
        let set = [(CA, self.authorities), (CERTIFICATE, self.certificate), (KEY, self.key)];
        for (name, _) in set.into_iter().filter(|(_, file)| file.is_some()) {
            problems.push(format!("{name} is set, and KVS_ADDR does not ask for TLS: begin it with rediss"));
        }
    }

    /// Reads the files and validates their combination.
    pub(in crate::settings) fn read(&self, problems: &mut Vec<String>) -> Option<RedisTls> {
        let before = problems.len();
        let authorities = self
            .authorities
            .and_then(|file| checked(CA, file, |text| pem::authorities(text).map(drop), problems));
        let chain = self
            .certificate
            .and_then(|file| checked(CERTIFICATE, file, |text| pem::certificates(text).map(drop), problems));
        let key =
            self.key.and_then(|file| checked(KEY, file, |text| pem::private_key(text).map(drop), problems));
        for (name, other, alone) in [
            (CERTIFICATE, KEY, self.certificate.is_some() && self.key.is_none()),
            (KEY, CERTIFICATE, self.key.is_some() && self.certificate.is_none()),
        ] {
            if alone {
                problems.push(format!("{name} is set without {other}: a certificate needs its key"));
            }
        }
        let client = chain.zip(key).map(|(chain, key)| ClientCertificate { chain, key: Secret::new(key) });
        let tls = RedisTls { authorities, client };
        if problems.len() > before {
            return None;
        }
        match tls.config() {
            Ok(_) => Some(tls),
            Err(Error::InconsistentKeys(_)) => {
                problems.push(format!("{KEY}: the key is not that of the certificate in {CERTIFICATE}"));
                None
            }
            Err(error) => {
                problems.push(format!("{CA}, {CERTIFICATE} and {KEY} cannot be used: {error}"));
                None
            }
        }
    }
}

/// Text of a PEM file that passes `check`; otherwise the problem is reported under `name`.
fn checked(
    name: &str,
    file: &str,
    check: impl Fn(&str) -> Result<(), PemError>,
    problems: &mut Vec<String>,
) -> Option<String> {
    let text = pem::read(file).and_then(|text| check(&text).map(|()| text));
    text.map_err(|error| problems.push(format!("{name}: the file it names {}", ErrorChain(&error)))).ok()
}

impl RedisTls {
    /// Builds the client configuration of rustls.
    ///
    /// # Errors
    /// A file is unusable, or key and certificate do not match.
    pub fn config(&self) -> Result<ClientConfig, Error> {
        let roots = match &self.authorities {
            Some(authorities) => pem::authorities(authorities).map_err(unusable)?,
            None => RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() },
        };
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots);
        let Some(client) = &self.client else { return Ok(config.with_no_client_auth()) };
        let key = pem::private_key(client.key.expose()).map_err(unusable)?;
        config.with_client_auth_cert(pem::certificates(&client.chain).map_err(unusable)?, key)
    }
}

fn unusable(why: PemError) -> Error {
    Error::Other(OtherError(Arc::new(why)))
}
