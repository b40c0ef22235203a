//! TLS client configurations for upstream connections.

use gateway_routes::Route;
use rustls::{ClientConfig, RootCertStore};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// TLS client configurations: one for the public certificate authorities, one for each `ca_file`. Sessions are resumed
/// only within one configuration, since a resumed session is not verified again.
#[derive(Debug, Clone)]
pub struct UpstreamTls {
    web: Arc<ClientConfig>,
    by_ca_file: HashMap<&'static str, Arc<ClientConfig>>,
}

impl UpstreamTls {
    /// Builds the configurations from the certificates of each `ca_file` and the linked public ones.
    pub fn new(by_ca_file: &BTreeMap<&'static str, RootCertStore>) -> Self {
        let web = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        let by_ca_file = by_ca_file.iter().map(|(file, roots)| (*file, trusting(roots.clone()))).collect();
        Self { web: trusting(web), by_ca_file }
    }

    /// Returns the route's configuration; `None` if its `ca_file` was not loaded.
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
