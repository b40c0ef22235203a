//! PEM files, read and validated at startup.

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use std::fs::File;
use std::io::Read as _;

/// Longest PEM file, in bytes; all public authorities together are shorter.
const MAX_FILE_BYTES: u64 = 1024 * 1024;

/// Reads a file as text.
///
/// # Errors
/// A predicate that completes "the file …".
pub(super) fn read(file: &str) -> Result<String, &'static str> {
    let file = File::open(file).map_err(|_| "cannot be read: check its path and its mode")?;
    let mut text = String::new();
    file.take(MAX_FILE_BYTES + 1)
        .read_to_string(&mut text)
        .map_err(|_| "cannot be read as text: it must be one file in PEM")?;
    if text.len() as u64 > MAX_FILE_BYTES { Err("is longer than 1 MiB") } else { Ok(text) }
}

/// Parses the certificates, in their order.
///
/// # Errors
/// There is no certificate, or one is malformed.
pub(super) fn certificates(pem: &str) -> Result<Vec<CertificateDer<'static>>, &'static str> {
    let certificates = CertificateDer::pem_slice_iter(pem.as_bytes()).collect::<Result<Vec<_>, _>>();
    certificates.ok().filter(|certificates| !certificates.is_empty()).ok_or("holds no certificate in PEM")
}

/// Parses the certificates into a set of trusted authorities.
///
/// # Errors
/// There is no certificate, or one cannot be an authority.
pub(super) fn authorities(pem: &str) -> Result<RootCertStore, &'static str> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(pem)? {
        roots.add(certificate).map_err(|_| "holds something else than X.509 certificates")?;
    }
    Ok(roots)
}
