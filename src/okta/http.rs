//! HTTP client for Okta, without redirects and with limits on time and size.

use super::OktaError;
use super::refusal;
use crate::base::error_chain::ErrorChain;
use crate::base::tls::https_client_config;
use crate::settings::EgressProxy;
use gateway_routes::is_loopback_host;
use oauth2::{HttpRequest, HttpResponse};
use rustls::RootCertStore;
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;
use url::Url;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);
/// Largest response. ID tokens and userinfo list all groups of a user, and names have up to 255 characters.
pub(super) const MAX_RESPONSE_BYTES: usize = 4 * 1024 * 1024;

/// HTTP client of one issuer.
#[derive(Clone)]
pub(super) struct Http {
    direct: reqwest::Client,
    proxied: Option<Arc<Proxied>>,
    plain_allowed: bool,
}

/// Client of requests through the egress proxy.
struct Proxied {
    client: reqwest::Client,
    proxy: EgressProxy,
}

impl Http {
    /// Creates a client. `plain_allowed` is set only when the issuer itself uses http on loopback.
    pub(super) fn new(
        plain_allowed: bool,
        authorities: RootCertStore,
        proxy: Option<&EgressProxy>,
    ) -> Result<Self, OktaError> {
        let build_failed =
            |error: &dyn Error| OktaError::Unavailable(format!("the HTTP client cannot be built: {error}"));
        let tls = https_client_config(authorities).map_err(|error| build_failed(&error))?;
        let builder = || {
            reqwest::Client::builder()
                .redirect(reqwest::redirect::Policy::none())
                // The variables of other programs, such as ALL_PROXY, do not count.
                .no_proxy()
                .connect_timeout(CONNECT_TIMEOUT)
                .timeout(REQUEST_TIMEOUT)
                .pool_idle_timeout(Duration::from_secs(20))
                .user_agent(concat!("securemcp-okta-gateway/", env!("CARGO_PKG_VERSION")))
                .tls_backend_preconfigured(tls.clone())
        };
        let proxied = |proxy: &EgressProxy| {
            let mut through = reqwest::Proxy::https(proxy.origin())?;
            if let Some(credentials) = proxy.credentials() {
                through = through.basic_auth(credentials.username.expose(), credentials.password.expose());
            }
            let client = builder().proxy(through).build()?;
            Ok(Arc::new(Proxied { client, proxy: proxy.clone() }))
        };
        let proxied = proxy.map(proxied).transpose().map_err(|error: reqwest::Error| build_failed(&error))?;
        let direct = builder().build().map_err(|error| build_failed(&error))?;
        Ok(Self { direct, proxied, plain_allowed })
    }

    /// Returns `true` when the client may send requests to a URL: https, or http on loopback like that of the issuer.
    pub(super) fn allows(&self, url: &Url) -> bool {
        let is_loopback = || url.host_str().is_some_and(is_loopback_host);
        url.scheme() == "https" || (self.plain_allowed && url.scheme() == "http" && is_loopback())
    }

    /// Sends a request, through the egress proxy where it applies. 429 and 5xx are an outage.
    pub(super) async fn send(&self, request: HttpRequest) -> Result<HttpResponse, OktaError> {
        let (parts, body) = request.into_parts();
        let url = Url::parse(&parts.uri.to_string());
        let url = url.map_err(|error| OktaError::Unavailable(format!("the URL is invalid: {error}")))?;
        let proxied = self.proxied.as_deref().filter(|proxied| proxied.proxy.applies_to(&url));
        let client = proxied.map_or(&self.direct, |proxied| &proxied.client);
        let host = url.host_str().unwrap_or_default().to_owned();
        let unavailable = |error| unavailable(error, proxied.map(|proxied| &proxied.proxy), &host);
        let request = client.request(parts.method, url).headers(parts.headers).body(body);
        let mut response = request.send().await.map_err(unavailable)?;
        let status = response.status();
        let mut buffered = http::Response::new(Vec::new());
        *buffered.status_mut() = status;
        std::mem::swap(buffered.headers_mut(), response.headers_mut());
        while let Some(chunk) = response.chunk().await.map_err(unavailable)? {
            if buffered.body().len() + chunk.len() > MAX_RESPONSE_BYTES {
                return Err(OktaError::Unavailable("the response is too long".into()));
            }
            buffered.body_mut().extend_from_slice(&chunk);
        }
        if status.is_server_error() || status == reqwest::StatusCode::TOO_MANY_REQUESTS {
            return Err(OktaError::Unavailable(refusal::describe(status, buffered.body())));
        }
        Ok(buffered)
    }

    /// Fetches a document; any status but 200 is an outage.
    pub(super) async fn get(&self, url: &Url, bearer: Option<&str>) -> Result<Vec<u8>, OktaError> {
        let mut request = http::Request::get(url.as_str()).header("accept", "application/json");
        if let Some(bearer) = bearer {
            request = request.header("authorization", format!("Bearer {bearer}"));
        }
        let request = request.body(Vec::new());
        let request = request.map_err(|error| OktaError::Unavailable(error.to_string()))?;
        let response = self.send(request).await?;
        if response.status() != http::StatusCode::OK {
            return Err(refusal::of_document(url.path(), response.status(), response.body()));
        }
        Ok(response.into_body())
    }
}

/// Converts an error with its causes and without the URL, which may contain an authorization code.
fn unavailable(error: reqwest::Error, proxy: Option<&EgressProxy>, host: &str) -> OktaError {
    let causes = ErrorChain(&error.without_url()).to_string();
    OktaError::Unavailable(match proxy {
        Some(proxy) => proxy.describe(&causes, host),
        None => causes,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn http_is_allowed_only_on_loopback_and_only_to_an_issuer_on_loopback() {
        let http = |plain_allowed| Http::new(plain_allowed, RootCertStore::empty(), None).unwrap();
        let (issuer_on_loopback, issuer_on_https) = (http(true), http(false));
        for (url, loopback, https) in [
            ("https://acme.okta.com/keys", true, true),
            ("http://127.0.0.1:7000/keys", true, false),
            ("http://localhost/keys", true, false),
            ("http://[::1]/keys", true, false),
            ("http://acme.okta.com/keys", false, false),
            ("http://localhost.example.com/keys", false, false),
            ("ftp://localhost/keys", false, false),
        ] {
            let url = Url::parse(url).unwrap();
            assert_eq!(
                (issuer_on_loopback.allows(&url), issuer_on_https.allows(&url)),
                (loopback, https),
                "{url}"
            );
        }
    }
}
