//! Calls to Okta: no redirects, bounded in time and size.

use super::OktaError;
use oauth2::{AsyncHttpClient, HttpRequest, HttpResponse};
use std::pin::Pin;
use std::time::Duration;
use url::Url;

const CONNECT: Duration = Duration::from_secs(2);
const WHOLE: Duration = Duration::from_secs(5);
const LARGEST: usize = 256 * 1024;

/// An HTTP client for one issuer.
#[derive(Clone)]
pub(super) struct Http {
    client: reqwest::Client,
    plain_allowed: bool,
}

/// An outage, in the form that oauth2 carries errors in.
#[derive(Debug)]
pub(super) struct Outage(pub(super) String);

impl std::fmt::Display for Outage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Outage {}

impl From<Outage> for OktaError {
    fn from(outage: Outage) -> Self {
        Self::Unavailable(outage.0)
    }
}

impl<'c> AsyncHttpClient<'c> for Http {
    type Error = Outage;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, Outage>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(self.send(request))
    }
}

impl Http {
    /// A client; plain http only when the issuer itself is on loopback without TLS.
    pub(super) fn new(plain_allowed: bool) -> Result<Self, OktaError> {
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT)
            .timeout(WHOLE)
            .pool_idle_timeout(Duration::from_secs(20))
            .user_agent(concat!("securemcp-okta-gateway/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| OktaError::Unavailable(format!("the HTTP client cannot be built: {error}")))?;
        Ok(Self { client, plain_allowed })
    }

    /// Whether an endpoint's URL may be called.
    pub(super) fn allows(&self, url: &Url) -> bool {
        url.scheme() == "https" || (self.plain_allowed && url.scheme() == "http")
    }

    /// One call. 429 and 5xx are an outage.
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, Outage> {
        let (parts, body) = request.into_parts();
        let request =
            self.client.request(parts.method, parts.uri.to_string()).headers(parts.headers).body(body);
        let mut response = request.send().await.map_err(|error| Outage(without_url(error)))?;
        let status = response.status();
        if status.is_server_error() || status == reqwest::StatusCode::TOO_MANY_REQUESTS {
            return Err(Outage(format!("it answered {status}")));
        }
        let mut answer = http::Response::new(Vec::new());
        *answer.status_mut() = status;
        std::mem::swap(answer.headers_mut(), response.headers_mut());
        while let Some(chunk) = response.chunk().await.map_err(|error| Outage(without_url(error)))? {
            if answer.body().len() + chunk.len() > LARGEST {
                return Err(Outage("its answer is too long".into()));
            }
            answer.body_mut().extend_from_slice(&chunk);
        }
        Ok(answer)
    }

    /// Gets a document; anything but 200 is an outage.
    pub(super) async fn get(&self, url: &Url, bearer: Option<&str>) -> Result<Vec<u8>, Outage> {
        let mut request = http::Request::get(url.as_str()).header("accept", "application/json");
        if let Some(bearer) = bearer {
            request = request.header("authorization", format!("Bearer {bearer}"));
        }
        let request = request.body(Vec::new()).map_err(|error| Outage(error.to_string()))?;
        let response = self.send(request).await?;
        if response.status() != http::StatusCode::OK {
            return Err(Outage(format!("{} answered {}", url.path(), response.status())));
        }
        Ok(response.into_body())
    }
}

/// A URL in an error may hold a code.
fn without_url(error: reqwest::Error) -> String {
    let error = error.without_url();
    let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}")).unwrap_or_default();
    format!("{error}{cause}")
}
