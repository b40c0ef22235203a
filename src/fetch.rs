//! Guarded fetches: documents from addresses that strangers name.
//!
//! https alone, by GET, without redirects, cookies or a proxy; five seconds for all of it, a bound on the length,
//! JSON alone; and never from an address that is not on the public internet. That is checked on the address that is
//! connected to ([`FetchPolicy`]): a name may mean another one a moment later.

mod address;
mod documents;
mod lifetime;
mod policy;
mod shares;

pub use address::is_public;
pub use documents::Documents;
pub use policy::FetchPolicy;

use crate::base::clock::Clock;
use crate::base::subnets::Subnets;
use http::HeaderMap;
use http::header::{ACCEPT, CONTENT_TYPE};
use policy::Guard;
use reqwest::StatusCode;
use shares::{Share, Shares};
use std::error::Error as _;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use url::{Host, Url};

/// All that one fetch may take: waiting for its turn, the name, the connection, the answer.
const WHOLE: Duration = Duration::from_secs(5);
/// How many are under way at once.
const MAX_CONCURRENT_FETCHES: usize = 64;

/// Why there is no document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FetchError {
    /// There is no answer to be had now, or from here. Holds the cause, for the log alone: it would tell a stranger
    /// which names and ports there are within.
    Unreachable(String),
    /// Its server says that there is nothing (404, 410).
    Gone,
    /// What was answered is not meant as such a document. Holds the reason, for the log alone: it would tell a stranger
    /// what he cannot ask for himself.
    Foreign(String),
    /// It is meant as one. Says what is wrong with it.
    Unusable(String),
    /// Who asks has as many fetches under way as he may.
    TooMany,
}

impl fmt::Display for FetchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable(cause) => write!(f, "it cannot be reached: {cause}"),
            Self::Gone => f.write_str("its server says that it is not there"),
            Self::Foreign(why) | Self::Unusable(why) => f.write_str(why),
            Self::TooMany => f.write_str("whoever asks for it has too many fetches under way"),
        }
    }
}

impl std::error::Error for FetchError {}

/// Fetches.
pub struct Fetcher {
    client: reqwest::Client,
    guard: Guard,
    turns: Semaphore,
    shares: Shares,
    clock: Clock,
}

/// A document, not yet looked into.
#[derive(Debug)]
pub struct Fetched {
    /// Its bytes.
    pub body: Vec<u8>,
    /// How long it may be kept.
    pub lifetime: Duration,
}

impl Fetcher {
    /// Does not connect.
    ///
    /// # Errors
    /// The HTTP client cannot be built, for want of TLS roots.
    pub fn new(policy: FetchPolicy, clock: Clock) -> Result<Self, FetchError> {
        let unbuilt = |error| FetchError::Unreachable(format!("the HTTP client cannot be built: {error}"));
        let authorities = policy.authorities().map_err(unbuilt)?;
        let guard = Guard::new(policy);
        let client = reqwest::Client::builder()
            .https_only(true)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .referer(false)
            .dns_resolver(guard.clone())
            .tls_certs_merge(authorities)
            .timeout(WHOLE)
            // Each fetch looks its name up anew: none goes to where an earlier one was let.
            .pool_max_idle_per_host(0)
            .user_agent(concat!("securemcp-okta-gateway/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(unbuilt)?;
        Ok(Self {
            client,
            guard,
            turns: Semaphore::new(MAX_CONCURRENT_FETCHES),
            shares: Shares::default(),
            clock,
        })
    }

    /// What a fetch of this subscriber needs.
    fn share(&self, subscriber: Subnets) -> Result<Arc<Share>, FetchError> {
        self.shares.take(subscriber).map(Arc::new)
    }

    /// The document at this URL, of at most `longest` bytes.
    async fn get(&self, url: &Url, longest: usize, share: &Arc<Share>) -> Result<Fetched, FetchError> {
        let fetch = async {
            // A semaphore that is never closed always gives a permit.
            let _turn = self.turns.acquire().await;
            share.hold(self.call(url, longest)).await
        };
        let late = || Err(FetchError::Unreachable(format!("no answer within {} s", WHOLE.as_secs())));
        tokio::time::timeout(WHOLE, fetch).await.unwrap_or_else(|_| late())
    }

    async fn call(&self, url: &Url, longest: usize) -> Result<Fetched, FetchError> {
        self.is_allowed(url)?;
        let request = self.client.get(url.clone()).header(ACCEPT, "application/json");
        let mut response = request.send().await.map_err(unreachable)?;
        let status = response.status();
        if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
            return Err(FetchError::Unreachable(format!("it answered {status}")));
        }
        if status == StatusCode::NOT_FOUND || status == StatusCode::GONE {
            return Err(FetchError::Gone);
        }
        if status != StatusCode::OK {
            return Err(FetchError::Foreign(format!("its server answered {status}")));
        }
        if !is_json(response.headers()) {
            return Err(FetchError::Foreign("its server does not call it JSON".into()));
        }
        let lifetime = lifetime::of(response.headers(), self.clock.now());
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
            if body.len() + chunk.len() > longest {
                return Err(FetchError::Foreign(format!("it is longer than {longest} bytes")));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Fetched { body, lifetime })
    }

    /// A host that is an address never comes to the resolver.
    fn is_allowed(&self, url: &Url) -> Result<(), FetchError> {
        let admitted = match url.host() {
            Some(Host::Domain(_)) => true,
            Some(Host::Ipv4(address)) => self.guard.admits(address.into()),
            Some(Host::Ipv6(address)) => self.guard.admits(address.into()),
            None => false,
        };
        if admitted && url.scheme() == "https" {
            return Ok(());
        }
        Err(FetchError::Unreachable("it is not on the public internet".into()))
    }
}

/// `application/json`, or a media type that is JSON by its suffix (RFC 6839 §3.1).
fn is_json(headers: &HeaderMap) -> bool {
    let value = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json"))
}

/// All causes in one line: the last one says most.
fn unreachable(error: reqwest::Error) -> FetchError {
    let error = error.without_url();
    let mut words = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        words = format!("{words}: {next}");
        cause = next.source();
    }
    FetchError::Unreachable(words)
}

#[cfg(test)]
mod tests;
