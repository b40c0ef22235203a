//! Guarded HTTP fetches of documents whose URLs untrusted clients choose (SSRF protection).
//!
//! A fetch is a GET over https without redirects or cookies, with a timeout of five seconds and a limit on the
//! length; the response must be JSON. Only public addresses are allowed. [`FetchPolicy`] checks the very addresses that
//! are connected to, because a name may resolve to another address a moment later (DNS rebinding). An egress proxy
//! connects by itself: then names of special use, and those that resolve here to other addresses, are refused before.

mod address;
mod documents;
mod lifetime;
mod limits;
mod policy;
mod special_names;

pub use address::is_public;
pub use documents::{Documents, FetchStart};
pub use policy::FetchPolicy;

use crate::base::clock::Clock;
use crate::base::error_chain::ErrorChain;
use crate::base::subnets::Subnets;
use crate::base::tls::https_client_config;
use crate::settings::EgressProxy;
use http::HeaderMap;
use http::header::{ACCEPT, CONTENT_TYPE};
use limits::{FetchLimits, FetchPermit};
use policy::Guard;
use reqwest::StatusCode;
use rustls::{ClientConfig, RootCertStore};
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;
use tokio::sync::Semaphore;
use url::{Host, Url};

/// Timeout of a fetch: queueing, name resolution, connection and response.
const FETCH_TIMEOUT: Duration = Duration::from_secs(5);
/// Most fetches that run at the same time.
const MAX_CONCURRENT_FETCHES: usize = 64;

/// Error of a fetch.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum FetchError {
    /// The server is unavailable or not allowed. The cause is for the log only, because it would reveal names and ports
    /// of the internal network.
    #[error("it cannot be reached: {0}")]
    Unreachable(String),
    /// The document does not exist (404 or 410).
    #[error("the server returned 404 or 410")]
    NotFound,
    /// The response is neither a document nor an error: a redirect, another successful status, or not JSON. A proxy or a
    /// bot protection may have sent it. The reason is for the log only, because it would reveal responses that the client
    /// cannot request itself.
    #[error("{0}")]
    OtherResponse(String),
    /// The document is not of the expected kind. The reason is for the log only.
    #[error("{0}")]
    Unexpected(String),
    /// The document is invalid. The reason may be shown to the client.
    #[error("{0}")]
    Invalid(String),
    /// The subscriber has reached its limit of concurrent fetches.
    #[error("too many concurrent fetches for this subscriber")]
    LimitReached,
    /// The subscriber has reached its limit of fetches in a period.
    #[error("too many fetches for this subscriber")]
    RateLimited {
        /// Time until the period ends.
        retry_after: Duration,
    },
}

impl FetchError {
    /// Returns `true` for an error that says nothing about the document, so that a copy of it may be used.
    pub const fn is_outage(&self) -> bool {
        matches!(self, Self::Unreachable(_) | Self::OtherResponse(_)) || self.is_limit()
    }

    /// Returns `true` for a fetch that was not made because of a limit of its subscriber.
    pub const fn is_limit(&self) -> bool {
        matches!(self, Self::LimitReached | Self::RateLimited { .. })
    }
}

/// HTTP client for guarded fetches.
pub struct Fetcher {
    direct: reqwest::Client,
    proxied: Option<Proxied>,
    guard: Guard,
    permits: Semaphore,
    limits: FetchLimits,
    clock: Clock,
}

/// Client of fetches through the egress proxy, which connects to the servers.
struct Proxied {
    client: reqwest::Client,
    proxy: EgressProxy,
}

/// Fetched document, not yet parsed.
#[derive(Debug)]
pub struct Fetched {
    /// Response body.
    pub body: Vec<u8>,
    /// Time that the document may be cached.
    pub lifetime: Duration,
}

impl Fetcher {
    /// Creates a fetcher without connecting. `proxy` is used if it is for client documents.
    ///
    /// # Errors
    /// The HTTP client cannot be built.
    pub fn new(
        policy: FetchPolicy,
        mut authorities: RootCertStore,
        proxy: Option<&EgressProxy>,
        clock: Clock,
    ) -> Result<Self, FetchError> {
        let build_failed = |error: &dyn std::error::Error| {
            FetchError::Unreachable(format!("the HTTP client cannot be built: {error}"))
        };
        policy.add_authorities(&mut authorities).map_err(|error| build_failed(&error))?;
        let tls = https_client_config(authorities).map_err(|error| build_failed(&error))?;
        let guard = Guard::new(policy);
        let direct = builder(&tls).dns_resolver(guard.clone()).build();
        let proxied = |proxy: &EgressProxy| {
            let mut through = reqwest::Proxy::https(proxy.origin())?;
            if let Some(credentials) = proxy.credentials() {
                through = through.basic_auth(credentials.username.expose(), credentials.password.expose());
            }
            Ok(Proxied { client: builder(&tls).proxy(through).build()?, proxy: proxy.clone() })
        };
        let proxied = proxy.filter(|proxy| proxy.client_metadata).map(proxied).transpose();
        Ok(Self {
            direct: direct.map_err(|error| build_failed(&error))?,
            proxied: proxied.map_err(|error: reqwest::Error| build_failed(&error))?,
            guard,
            permits: Semaphore::new(MAX_CONCURRENT_FETCHES),
            limits: FetchLimits::default(),
            clock,
        })
    }

    /// Reserves a fetch for a subscriber.
    fn acquire(&self, subscriber: Subnets) -> Result<Arc<FetchPermit>, FetchError> {
        self.limits.acquire(subscriber).map(Arc::new)
    }

    /// Fetches a document of at most `max_bytes` bytes.
    async fn get(
        &self,
        url: &Url,
        max_bytes: usize,
        permit: &Arc<FetchPermit>,
    ) -> Result<Fetched, FetchError> {
        let fetch = async {
            // The semaphore is never closed, so that a permit is always granted.
            let _permit = self.permits.acquire().await;
            permit.scope(self.send(url, max_bytes)).await
        };
        let timed_out =
            || Err(FetchError::Unreachable(format!("no response within {} s", FETCH_TIMEOUT.as_secs())));
        tokio::time::timeout(FETCH_TIMEOUT, fetch).await.unwrap_or_else(|_| timed_out())
    }

    async fn send(&self, url: &Url, max_bytes: usize) -> Result<Fetched, FetchError> {
        self.is_allowed(url)?;
        let proxied = self.proxied.as_ref().filter(|proxied| proxied.proxy.applies_to(url));
        if proxied.is_some() {
            self.guard.check_before_proxy(url).await.map_err(|error| unreachable(&error, None, url))?;
        }
        let client = proxied.map_or(&self.direct, |proxied| &proxied.client);
        let proxy = proxied.map(|proxied| &proxied.proxy);
        let unreachable = |error: reqwest::Error| unreachable(&error.without_url(), proxy, url);
        let request = client.get(url.clone()).header(ACCEPT, "application/json");
        let mut response = request.send().await.map_err(unreachable)?;
        let status = response.status();
        check_status(status)?;
        if !is_json(response.headers()) {
            return Err(FetchError::OtherResponse("the response is not JSON".into()));
        }
        let lifetime = lifetime::of(response.headers(), self.clock.now());
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
            if body.len() + chunk.len() > max_bytes {
                return Err(FetchError::Unexpected(format!("the document is longer than {max_bytes} bytes")));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Fetched { body, lifetime })
    }

    /// Checks scheme and host of a URL. Addresses are checked here, because the resolver only sees names.
    fn is_allowed(&self, url: &Url) -> Result<(), FetchError> {
        let host_allowed = match url.host() {
            Some(Host::Domain(_)) => true,
            Some(Host::Ipv4(address)) => self.guard.allows(address.into()),
            Some(Host::Ipv6(address)) => self.guard.allows(address.into()),
            None => false,
        };
        if host_allowed && url.scheme() == "https" {
            return Ok(());
        }
        Err(FetchError::Unreachable("it is not on the public internet".into()))
    }
}

/// Checks that the response has a document. Only 404 and 410 say that there is none: other errors, such as the 403 of a bot
/// protection, say nothing about it.
fn check_status(status: StatusCode) -> Result<(), FetchError> {
    match status {
        StatusCode::OK => Ok(()),
        StatusCode::NOT_FOUND | StatusCode::GONE => Err(FetchError::NotFound),
        _ if status.is_client_error() || status.is_server_error() => {
            Err(FetchError::Unreachable(format!("HTTP status {status}")))
        }
        _ => Err(FetchError::OtherResponse(format!("HTTP status {status}"))),
    }
}

/// Returns `true` for `application/json` and media types with the suffix `+json` (RFC 6839 §3.1).
fn is_json(headers: &HeaderMap) -> bool {
    let value = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json"))
}

/// Returns a builder of HTTP clients for fetches.
fn builder(tls: &ClientConfig) -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        .https_only(true)
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .referer(false)
        .tls_backend_preconfigured(tls.clone())
        .timeout(FETCH_TIMEOUT)
        // No connection is reused: the address of every fetch is resolved and checked.
        .pool_max_idle_per_host(0)
        .user_agent(concat!("securemcp-okta-gateway/", env!("CARGO_PKG_VERSION")))
}

/// Converts an error with all its causes into one line.
fn unreachable(
    error: &(dyn std::error::Error + 'static),
    proxy: Option<&EgressProxy>,
    url: &Url,
) -> FetchError {
    let causes = ErrorChain(error).to_string();
    FetchError::Unreachable(match proxy {
        Some(proxy) => proxy.describe(&causes, url.host_str().unwrap_or_default()),
        None => causes,
    })
}

#[cfg(test)]
mod tests;
