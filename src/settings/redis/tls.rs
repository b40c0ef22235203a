//! `KVS_CA_FILE`, `KVS_CERT_FILE` and `KVS_KEY_FILE`: whom we take for Redis, and how we show who we are. All are
//! read and tried at the start, so that a wrong file is a problem of the environment and no outage of Redis.

use crate::base::secret::Secret;
use crate::settings::pem;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, Error, RootCertStore};
use std::sync::Arc;

/// What TLS to Redis goes by, in PEM; neither: the web's authorities, and no certificate of ours.
#[derive(Debug, Clone, Default)]
pub struct RedisTls {
    /// The authorities that count instead of the web's.
    pub authorities: Option<String>,
    /// Our certificate, for a Redis that asks for one.
    pub client: Option<ClientCertificate>,
}

/// Our certificate, the ones that lead to its authority, and its key.
#[derive(Debug, Clone)]
pub struct ClientCertificate {
    /// Ours first.
    pub chain: String,
    /// Its private key.
    pub key: Secret,
}

/// The names of the files, as the environment gives them.
pub(in crate::settings) struct Files<'a> {
    pub(in crate::settings) authorities: Option<&'a str>,
    pub(in crate::settings) certificate: Option<&'a str>,
    pub(in crate::settings) key: Option<&'a str>,
}

const CA: &str = "KVS_CA_FILE";
const CERTIFICATE: &str = "KVS_CERT_FILE";
const KEY: &str = "KVS_KEY_FILE";

impl Files<'_> {
    /// Says of each that is set that it means nothing where no TLS is spoken.
    pub(in crate::settings) fn are_unused(&self, problems: &mut Vec<String>) {
        let set = [(CA, self.authorities), (CERTIFICATE, self.certificate), (KEY, self.key)];
        for (name, _) in set.into_iter().filter(|(_, file)| file.is_some()) {
            problems.push(format!("{name} is set, and KVS_ADDR does not ask for TLS: begin it with rediss"));
        }
    }

    /// Reads them and tries them together.
    pub(in crate::settings) fn read(&self, problems: &mut Vec<String>) -> Option<RedisTls> {
        let before = problems.len();
        let authorities = self
            .authorities
            .and_then(|file| checked((CA, file), |text| pem::authorities(text).map(drop), problems));
        let chain = self.certificate.and_then(|file| {
            checked((CERTIFICATE, file), |text| pem::certificates(text).map(drop), problems)
        });
        let key = self.key.and_then(|file| checked((KEY, file), key, problems));
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

/// The text of a PEM file that holds what it should.
fn checked(
    (name, file): (&str, &str),
    check: impl Fn(&str) -> Result<(), &'static str>,
    problems: &mut Vec<String>,
) -> Option<String> {
    let text = pem::read(file).and_then(|text| check(&text).map(|()| text));
    text.map_err(|why| problems.push(format!("{name}: the file it names {why}"))).ok()
}

fn key(pem: &str) -> Result<(), &'static str> {
    let key = PrivateKeyDer::from_pem_slice(pem.as_bytes());
    key.map(drop).map_err(|_| "holds no private key in PEM, or one that is encrypted")
}

impl RedisTls {
    /// What rustls makes of it.
    ///
    /// # Errors
    /// It cannot be used, or does not belong together.
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
        let key = PrivateKeyDer::from_pem_slice(client.key.expose().as_bytes());
        let key = key.map_err(|_| unusable("holds no private key"))?;
        config.with_client_auth_cert(pem::certificates(&client.chain).map_err(unusable)?, key)
    }
}

fn unusable(why: &str) -> Error {
    Error::General(why.into())
}
