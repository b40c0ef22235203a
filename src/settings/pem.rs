//! PEM files, read and validated at startup.

use rustls::RootCertStore;
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::fs::File;
use std::io::{self, Read as _};
use thiserror::Error;

/// Longest PEM file, in bytes; all public authorities together are shorter.
const MAX_FILE_BYTES: u64 = 1024 * 1024;

/// Problem of a PEM file: a predicate that follows "the file".
#[derive(Debug, Error)]
pub(super) enum PemError {
    #[error("cannot be read: check its path and its mode")]
    Unreadable(#[source] io::Error),
    #[error("cannot be read as text: it must be one file in PEM")]
    NotText(#[source] io::Error),
    #[error("is longer than 1 MiB")]
    TooLong,
    #[error("holds no certificate in PEM")]
    NoCertificate(#[source] Option<PemSyntax>),
    #[error("holds something else than X.509 certificates")]
    NotX509(#[source] rustls::Error),
    #[error("holds no private key in PEM, or one that is encrypted")]
    NoKey(#[source] PemSyntax),
}

/// Syntax error of a PEM file, without the line: that may be a private key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(super) enum PemSyntax {
    #[error("a BEGIN line is malformed")]
    Begin,
    #[error("an END line is missing")]
    End,
    #[error("the text between a BEGIN and an END line is not base64")]
    Base64,
    #[error("there is no such section")]
    NoSection,
    #[error("a section cannot be read")]
    Other,
}

impl From<pem::Error> for PemSyntax {
    fn from(error: pem::Error) -> Self {
        match error {
            pem::Error::IllegalSectionStart { .. } => Self::Begin,
            pem::Error::MissingSectionEnd { .. } => Self::End,
            pem::Error::Base64Decode(_) => Self::Base64,
            pem::Error::NoItemsFound => Self::NoSection,
            _ => Self::Other,
        }
    }
}

/// Reads a file as text.
///
/// # Errors
/// The file cannot be read, is not text, or is too long.
pub(super) fn read(file: &str) -> Result<String, PemError> {
    let file = File::open(file).map_err(PemError::Unreadable)?;
    let mut text = String::new();
    file.take(MAX_FILE_BYTES + 1).read_to_string(&mut text).map_err(PemError::NotText)?;
    if text.len() as u64 > MAX_FILE_BYTES { Err(PemError::TooLong) } else { Ok(text) }
}

/// Parses the certificates, in their order.
///
/// # Errors
/// There is no certificate, or one is malformed.
pub(super) fn certificates(pem: &str) -> Result<Vec<CertificateDer<'static>>, PemError> {
    let certificates = CertificateDer::pem_slice_iter(pem.as_bytes()).collect::<Result<Vec<_>, _>>();
    match certificates {
        Ok(certificates) if certificates.is_empty() => Err(PemError::NoCertificate(None)),
        certificates => certificates.map_err(|error| PemError::NoCertificate(Some(error.into()))),
    }
}

/// Parses the certificates into a set of trusted authorities.
///
/// # Errors
/// There is no certificate, or one cannot be an authority.
pub(super) fn authorities(pem: &str) -> Result<RootCertStore, PemError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(pem)? {
        roots.add(certificate).map_err(PemError::NotX509)?;
    }
    Ok(roots)
}

/// Parses a private key.
///
/// # Errors
/// There is no private key, or it is malformed or encrypted.
pub(super) fn private_key(pem: &str) -> Result<PrivateKeyDer<'static>, PemError> {
    PrivateKeyDer::from_pem_slice(pem.as_bytes()).map_err(|error| PemError::NoKey(error.into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::error_chain::ErrorChain;

    #[test]
    fn a_problem_names_its_cause_and_no_line_of_the_file() {
        let key = "-----BEGIN PRIVATE KEY-----MIIEvQIBADANBgkqhkiG9w0\n-----END PRIVATE KEY-----\n";
        for (text, cause) in [
            (key.to_owned(), "a BEGIN line is malformed"),
            (key.replace("MII", "\nMII").replace("-----END PRIVATE KEY-----", ""), "an END line is missing"),
            (key.replace("MII", "\n!MII"), "is not base64"),
            ("none".to_owned(), "there is no such section"),
        ] {
            let error = private_key(&text).unwrap_err();
            let problem = ErrorChain(&error).to_string();
            assert!(problem.starts_with("holds no private key") && problem.contains(cause), "{problem}");
            let as_bytes = format!("{:?}", b"MII").replace(['[', ']'], "");
            assert!(!problem.contains("MII") && !problem.contains(&as_bytes), "{problem}");
        }
        let missing = read("/nowhere").unwrap_err();
        let problem = ErrorChain(&missing).to_string();
        assert!(problem.contains("check its path and its mode: caused by No such file"), "{problem}");
    }
}
