//! Which addresses a fetch may go to.

use super::is_public;
use super::shares::Share;
use reqwest::Certificate;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use tokio::sync::Semaphore;

/// How many names are looked up at once. A resolver that hangs holds on to its thread for longer than a fetch waits.
const LOOKUPS: usize = 64;

/// How far fetches reach. The default is what the gateway is: names as the system resolves them, addresses of the
/// public internet, certificates of the system's authorities. Tests, which have no internet, go further.
#[derive(Clone, Default)]
pub struct FetchPolicy(Option<Arc<Further>>);

type Names = dyn Fn(&str) -> Vec<IpAddr> + Send + Sync;

struct Further {
    names: Box<Names>,
    admitted: Vec<IpAddr>,
    authority: Vec<u8>,
}

impl FetchPolicy {
    /// For tests: names mean what `names` says, `admitted` addresses are as good as public ones, and the certificates
    /// of this authority (DER) count too.
    pub fn for_tests(
        names: impl Fn(&str) -> Vec<IpAddr> + Send + Sync + 'static,
        admitted: Vec<IpAddr>,
        authority: Vec<u8>,
    ) -> Self {
        Self(Some(Arc::new(Further { names: Box::new(names), admitted, authority })))
    }

    pub(super) fn authorities(&self) -> Result<Vec<Certificate>, reqwest::Error> {
        self.0.iter().map(|for_tests| Certificate::from_der(&for_tests.authority)).collect()
    }

    /// Takes as long as the system takes.
    fn addresses(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        match &self.0 {
            Some(for_tests) => Ok((for_tests.names)(name)),
            None => Ok((name, 0).to_socket_addrs()?.map(|address| address.ip()).collect()),
        }
    }

    fn admits(&self, address: IpAddr) -> bool {
        is_public(address) || self.0.as_ref().is_some_and(|for_tests| for_tests.admitted.contains(&address))
    }
}

impl fmt::Debug for FetchPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Reach(further)" } else { "Reach" })
    }
}

/// Resolves names for connections that are made at once, to the very addresses that it found good.
#[derive(Clone)]
pub(super) struct Guard {
    policy: FetchPolicy,
    lookups: Arc<Semaphore>,
}

impl Guard {
    pub(super) fn new(policy: FetchPolicy) -> Self {
        Self { policy, lookups: Arc::new(Semaphore::new(LOOKUPS)) }
    }

    pub(super) fn admits(&self, address: IpAddr) -> bool {
        self.policy.admits(address)
    }

    /// The addresses of a name, when every one of them is good: a name with one foot within is no honest one.
    pub(super) async fn addresses(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        let found = self.look_up(name.to_owned()).await?;
        if found.is_empty() || !found.iter().all(|address| self.admits(*address)) {
            return Err(io::Error::other("it is not on the public internet"));
        }
        Ok(found)
    }

    async fn look_up(&self, name: String) -> io::Result<Vec<IpAddr>> {
        let turn = Arc::clone(&self.lookups).acquire_owned().await.map_err(io::Error::other)?;
        let (policy, share) = (self.policy.clone(), Share::held());
        let lookup = tokio::task::spawn_blocking(move || {
            let found = policy.addresses(&name);
            drop((turn, share));
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
            // The port is the URL's.
            let addresses: Addrs = Box::new(addresses.into_iter().map(|address| SocketAddr::new(address, 0)));
            Ok(addresses)
        })
    }
}
