//! Certificate authorities of https servers that are not MCP servers: Okta and the hosts of client documents.

use super::pem;
use gateway_routes::Site;
use rustls::RootCertStore;

/// Trusted certificate authorities of Okta and of the hosts of client documents.
#[derive(Debug, Clone)]
pub struct Authorities {
    /// Authorities of public servers: those of this machine, else the linked ones.
    pub public: RootCertStore,
    /// Authorities of Okta: those in `okta.ca_file`, else the public ones.
    pub okta: RootCertStore,
    /// Reason that the linked authorities are used; `None` if the machine has some.
    pub linked_because: Option<String>,
}

/// Reads the authorities of this machine (`SSL_CERT_FILE`, `SSL_CERT_DIR` or the operating system's) and `okta.ca_file`.
pub(super) fn read(site: &Site, problems: &mut Vec<String>) -> Authorities {
    let (public, linked_because) = public();
    let private = site.okta.ca_file.and_then(|file| {
        let read = pem::read(file).and_then(|text| pem::authorities(&text));
        read.map_err(|why| problems.push(format!("okta: the ca_file {file} {why}"))).ok()
    });
    Authorities { okta: private.unwrap_or_else(|| public.clone()), public, linked_because }
}

/// Returns the authorities of this machine, else the linked ones with the reason.
fn public() -> (RootCertStore, Option<String>) {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    let (added, _) = roots.add_parsable_certificates(found.certs);
    if added > 0 {
        return (roots, None);
    }
    let why = found.errors.first().map_or_else(|| "none is installed".to_owned(), ToString::to_string);
    (RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() }, Some(why))
}

#[cfg(test)]
mod tests {
    use crate::settings::tests::{SITE, read};
    use gateway_routes::{OktaSite, Site};
    use gateway_standins::redis::Certificates;

    #[test]
    fn a_bad_ca_file_of_okta_is_reported_and_a_good_one_replaces_the_public_authorities() {
        let certificates = Certificates::make().unwrap();
        let site = |file: &str| -> &'static Site {
            let okta = OktaSite { ca_file: Some(file.to_owned().leak()), ..SITE.okta };
            Box::leak(Box::new(Site { okta, ..SITE }))
        };
        let authorities = read(site(&certificates.path("ca.pem")), &[]).unwrap().authorities;
        assert_eq!(authorities.okta.len(), 1);
        assert!(authorities.public.len() > 1);
        let key = certificates.path("ca.key");
        let problems = read(site(&key), &[("PORT", "none")]).unwrap_err();
        let problem = format!("  - okta: the ca_file {key} holds no certificate in PEM");
        assert!(problems.contains(&problem), "{problems}");
        assert_eq!(problems.matches("  - ").count(), 2, "{problems}");
    }
}
