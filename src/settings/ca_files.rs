//! `ca_file` of routes: certificate authorities of upstream servers.

use super::pem;
use crate::base::error_chain::ErrorChain;
use gateway_routes::Site;
use rustls::RootCertStore;
use std::collections::BTreeMap;

/// Reads each file once. A problem names the routes that use the file.
pub(super) fn read(site: &Site, problems: &mut Vec<String>) -> BTreeMap<&'static str, RootCertStore> {
    let mut routes: BTreeMap<&'static str, Vec<&'static str>> = BTreeMap::new();
    for route in site.table.routes() {
        if let Some(file) = route.ca_file {
            routes.entry(file).or_default().push(route.pattern);
        }
    }
    let mut read = BTreeMap::new();
    for (file, patterns) in routes {
        match pem::read(file).and_then(|text| pem::authorities(&text)) {
            Ok(authorities) => drop(read.insert(file, authorities)),
            Err(error) => {
                let why = ErrorChain(&error);
                let word = if patterns.len() == 1 { "route" } else { "routes" };
                problems.push(format!("{word} {}: the ca_file {file} {why}", patterns.join(", ")));
            }
        }
    }
    read
}
