//! Fetch policy: allowed addresses, and name resolution that enforces it.

use super::is_public;
use super::limits::FetchPermit;
use super::special_names::is_special;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use url::{Host, Url};

/// Most concurrent name lookups. A lookup that hangs occupies its thread for longer than the timeout of a fetch.
const MAX_CONCURRENT_LOOKUPS: usize = 64;

/// Time for the look-up of a name that the egress proxy resolves again.
const LOCAL_LOOKUP_TIMEOUT: Duration = Duration::from_secs(1);

/// Allowed servers of fetches. The default uses the system's name resolution and certificate authorities, and allows
/// public addresses only. Tests, which have no internet, extend it.
#[derive(Clone, Default)]
pub struct FetchPolicy(Option<Arc<TestOverrides>>);

type Names = dyn Fn(&str) -> Vec<IpAddr> + Send + Sync;

struct TestOverrides {
    names: Box<Names>,
    allowed: Vec<IpAddr>,
    authority: Vec<u8>,
}

impl FetchPolicy {
    /// Policy for tests: `names` resolves names, `allowed` addresses are accepted in addition to public ones, and
    /// `authority` (DER) is trusted in addition to the system's authorities.
    pub fn for_tests(
        names: impl Fn(&str) -> Vec<IpAddr> + Send + Sync + 'static,
        allowed: Vec<IpAddr>,
        authority: Vec<u8>,
    ) -> Self {
        Self(Some(Arc::new(TestOverrides { names: Box::new(names), allowed, authority })))
    }

    /// Adds the authority of a test.
    pub(super) fn add_authorities(&self, authorities: &mut RootCertStore) -> Result<(), rustls::Error> {
        match &self.0 {
            Some(for_tests) if !for_tests.authority.is_empty() => {
                authorities.add(CertificateDer::from_slice(&for_tests.authority))
            }
            _ => Ok(()),
        }
    }

    /// Resolves a name; blocks for as long as the system's resolver takes.
    fn addresses(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        match &self.0 {
            Some(for_tests) => Ok((for_tests.names)(name)),
            None => Ok((name, 0).to_socket_addrs()?.map(|address| address.ip()).collect()),
        }
    }

    fn allows(&self, address: IpAddr) -> bool {
        is_public(address) || self.0.as_ref().is_some_and(|for_tests| for_tests.allowed.contains(&address))
    }
}

impl fmt::Debug for FetchPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "FetchPolicy(tests)" } else { "FetchPolicy" })
    }
}

/// DNS resolver of the HTTP client that returns allowed addresses only.
#[derive(Clone)]
pub(super) struct Guard {
    policy: FetchPolicy,
    lookups: Arc<Semaphore>,
}

impl Guard {
    pub(super) fn new(policy: FetchPolicy) -> Self {
        Self { policy, lookups: Arc::new(Semaphore::new(MAX_CONCURRENT_LOOKUPS)) }
    }

    pub(super) fn allows(&self, address: IpAddr) -> bool {
        self.policy.allows(address)
    }

    /// Resolves a name and requires that all of its addresses are allowed. A name with both public and internal
    /// addresses is rejected.
    pub(super) async fn addresses(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        let found = self.look_up(name.to_owned()).await?;
        if found.is_empty() || !found.iter().all(|address| self.allows(*address)) {
            return Err(io::Error::other("it is not on the public internet"));
        }
        Ok(found)
    }

    /// Checks a URL that the egress proxy will connect to. The proxy resolves the name, so that only what is known here can
    /// be refused: names of special use, and names that resolve here to an address that is not allowed. Where the gateway
    /// has no name resolution, the proxy must block internal addresses.
    pub(super) async fn check_before_proxy(&self, url: &Url) -> io::Result<()> {
        // Addresses were checked before.
        let Some(Host::Domain(name)) = url.host() else { return Ok(()) };
        let resolved = tokio::time::timeout(LOCAL_LOOKUP_TIMEOUT, self.look_up(name.to_owned()));
        let found = resolved.await.ok().and_then(Result::ok).unwrap_or_default();
        if is_special(name) || !found.iter().all(|address| self.allows(*address)) {
            return Err(io::Error::other("it is not on the public internet"));
        }
        Ok(())
    }

    async fn look_up(&self, name: String) -> io::Result<Vec<IpAddr>> {
        let permit = Arc::clone(&self.lookups).acquire_owned().await.map_err(io::Error::other)?;
        let (policy, fetch_permit) = (self.policy.clone(), FetchPermit::current());
        let lookup = tokio::task::spawn_blocking(move || {
            let found = policy.addresses(&name);
            drop((permit, fetch_permit));
            found
        });
        lookup.await.map_err(io::Error::other)?
    }
}

impl Resolve for Guard {
    fn resolve(&self, name: Name) -> Resolving {
        let guard = self.clone();
        Box::pin(async move {
            let addresses = guard.addresses(name.as_str()).await?;
            // The HTTP client sets the port of the URL.
            let addresses: Addrs = Box::new(addresses.into_iter().map(|address| SocketAddr::new(address, 0)));
            Ok(addresses)
        })
    }
}
