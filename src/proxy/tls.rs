//! The certificate authorities that TLS targets are trusted by.

use gateway_routes::Route;
use rustls::{ClientConfig, RootCertStore};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// The TLS configurations towards all targets: one for the public authorities of the web, one for each `ca_file`.
/// Sessions are resumed within one of them only, since a resumed session is not verified again.
#[derive(Debug, Clone)]
pub struct UpstreamTls {
    web: Arc<ClientConfig>,
    by_ca_file: HashMap<&'static str, Arc<ClientConfig>>,
}

impl UpstreamTls {
    /// The configurations for these authorities by their `ca_file`, beside the linked ones of the web.
    pub fn new(by_ca_file: &BTreeMap<&'static str, RootCertStore>) -> Self {
        let web = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        let by_ca_file = by_ca_file.iter().map(|(file, roots)| (*file, trusting(roots.clone()))).collect();
        Self { web: trusting(web), by_ca_file }
    }

    /// The configuration for this route; `None` when its `ca_file` is not among those that were read.
    pub(super) fn config(&self, route: &Route) -> Option<&Arc<ClientConfig>> {
        match route.ca_file {
            None => Some(&self.web),
            Some(file) => self.by_ca_file.get(file),
        }
    }
}

fn trusting(roots: RootCertStore) -> Arc<ClientConfig> {
    Arc::new(ClientConfig::builder().with_root_certificates(roots).with_no_client_auth())
}
