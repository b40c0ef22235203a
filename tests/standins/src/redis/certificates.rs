//! Certificate authority with certificates for one test.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use rcgen::{BasicConstraints, Certificate, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tempfile::TempDir;
use tokio_rustls::TlsAcceptor;

/// The only name in the server certificate by default; `localhost` is not included.
const SERVER: &str = "127.0.0.1";

/// PEM files in a temporary folder.
pub struct Certificates(TempDir);

impl Certificates {
    /// Generates an authority, a server certificate and a client certificate.
    pub fn make() -> io::Result<Self> {
        Self::make_for(SERVER)
    }

    /// The same, with a server certificate for this name or address.
    pub fn make_for(server: &str) -> io::Result<Self> {
        let folder = tempfile::tempdir()?;
        let made = Self(folder);
        made.write(server).map_err(io::Error::other)?;
        Ok(made)
    }

    fn write(&self, server: &str) -> Result<(), rcgen::Error> {
        let mut authority = CertificateParams::new(Vec::new())?;
        // Differs from the names of the certificates, which would count as self-signed otherwise.
        authority.distinguished_name.push(DnType::CommonName, "authority of a test");
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate()?;
        let certificate = authority.self_signed(&key)?;
        self.keep("ca", &certificate, &key);
        let issuer = Issuer::new(authority, key);
        for (name, subject) in [("server", server), ("client", "gateway")] {
            let key = KeyPair::generate()?;
            let certificate = CertificateParams::new(vec![subject.to_owned()])?.signed_by(&key, &issuer)?;
            self.keep(name, &certificate, &key);
        }
        Ok(())
    }

    fn keep(&self, name: &str, certificate: &Certificate, key: &KeyPair) {
        fs::write(self.file(&format!("{name}.pem")), certificate.pem())
            .expect("files can be written to a new folder");
        fs::write(self.file(&format!("{name}.key")), key.serialize_pem())
            .expect("files can be written to a new folder");
    }

    /// Path of a file: `ca.pem`, or `.pem` and `.key` of `server` and `client`.
    pub fn path(&self, name: &str) -> String {
        self.file(name).display().to_string()
    }

    /// TLS acceptor with the server certificate and without client certificates.
    pub fn acceptor(&self) -> TlsAcceptor {
        let certificate =
            CertificateDer::from_pem_file(self.file("server.pem")).expect("the file was written");
        let key = PrivateKeyDer::from_pem_file(self.file("server.key")).expect("the file was written");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let config = config.expect("ring supports them").with_no_client_auth();
        let config =
            config.with_single_cert(vec![certificate], key).expect("the key matches the certificate");
        TlsAcceptor::from(Arc::new(config))
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Redis settings for TLS on this port, with client certificates of this authority.
    pub(super) fn settings(&self, port: u16) -> Vec<String> {
        let words = [
            ("--tls-port", port.to_string()),
            ("--tls-cert-file", self.path("server.pem")),
            ("--tls-key-file", self.path("server.key")),
            ("--tls-ca-cert-file", self.path("ca.pem")),
            ("--tls-auth-clients", "yes".to_owned()),
            ("--tls-replication", "yes".to_owned()),
            ("--tls-cluster", "yes".to_owned()),
        ];
        words.into_iter().flat_map(|(name, value)| [name.to_owned(), value]).collect()
    }
}
