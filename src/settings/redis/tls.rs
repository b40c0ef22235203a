//! `KVS_CA_FILE`, `KVS_CERT_FILE` and `KVS_KEY_FILE`: whom we take for Redis, and how we show who we are. All are
//! read and tried at the start, so that a wrong file is a problem of the environment and no outage of Redis.

use crate::secret::Secret;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, Error, RootCertStore};
use std::fs::File;
use std::io::Read as _;
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
/// All the authorities of the web fit in.
const LONGEST_FILE: u64 = 1024 * 1024;
const NO_CERTIFICATE: &str = "holds no certificate in PEM";

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
        let authorities = self.authorities.and_then(|file| pem((CA, file), certificates, problems));
        let chain = self.certificate.and_then(|file| pem((CERTIFICATE, file), certificates, problems));
        let key = self.key.and_then(|file| pem((KEY, file), key, problems));
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
fn pem(
    (name, file): (&str, &str),
    check: impl Fn(&str) -> Result<(), &'static str>,
    problems: &mut Vec<String>,
) -> Option<String> {
    let text = text(file).and_then(|text| check(&text).map(|()| text));
    text.map_err(|why| problems.push(format!("{name}: the file it names {why}"))).ok()
}

fn text(file: &str) -> Result<String, &'static str> {
    let file = File::open(file).map_err(|_| "cannot be read: check its path and its mode")?;
    let mut text = String::new();
    file.take(LONGEST_FILE + 1).read_to_string(&mut text).map_err(|_| "cannot be read as text")?;
    if text.len() as u64 > LONGEST_FILE { Err("is longer than 1 MiB") } else { Ok(text) }
}

fn certificates(pem: &str) -> Result<(), &'static str> {
    match chain(pem) {
        Ok(chain) if !chain.is_empty() => Ok(()),
        _ => Err(NO_CERTIFICATE),
    }
}

fn key(pem: &str) -> Result<(), &'static str> {
    let key = PrivateKeyDer::from_pem_slice(pem.as_bytes());
    key.map(drop).map_err(|_| "holds no private key in PEM, or one that is encrypted")
}

fn chain(pem: &str) -> Result<Vec<CertificateDer<'static>>, Error> {
    let chain = CertificateDer::pem_slice_iter(pem.as_bytes()).collect::<Result<_, _>>();
    chain.map_err(|_| Error::General(NO_CERTIFICATE.into()))
}

impl RedisTls {
    /// What rustls makes of it.
    ///
    /// # Errors
    /// It cannot be used, or does not belong together.
    pub fn config(&self) -> Result<ClientConfig, Error> {
        let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        if let Some(authorities) = &self.authorities {
            roots = RootCertStore::empty();
            for authority in chain(authorities)? {
                roots.add(authority)?;
            }
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots);
        let Some(client) = &self.client else { return Ok(config.with_no_client_auth()) };
        let key = PrivateKeyDer::from_pem_slice(client.key.expose().as_bytes());
        let key = key.map_err(|_| Error::General("no private key".into()))?;
        config.with_client_auth_cert(chain(&client.chain)?, key)
    }
}
