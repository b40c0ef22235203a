//! Client metadata documents and key sets, fetched from client-supplied URLs within the rate limits.

use super::{Freshness, KnownClient};
use crate::app::failure::{Failure, Outage};
use crate::app::rate_limit::{Kind, TooMany};
use crate::app::request::Request;
use crate::app::state::Gateway;
use crate::base::subnets::Subnets;
use crate::crypto::jose::KeySet;
use crate::fetch::{Documents, FetchError, FetchStart};
use crate::oauth::client::Client;
use crate::oauth::client::keys::{ClientKeys, KeySource};
use crate::oauth::client::metadata_document::{self, DocumentError};
use crate::oauth::client::registration_policy;
use crate::oauth::client::{self, DocumentUrl};
use crate::oauth::error::OAuthError;
use gateway_routes::ClientMetadataMode;
use std::sync::Arc;
use std::time::Duration;

/// The one error for a missing document and for JSON that is no metadata document, so that nobody can use the gateway to
/// read other servers' documents.
const NOT_A_DOCUMENT: &str = "what is at client_id is not its metadata document: JSON of at most 5120 bytes, with that very \
                           URL as its client_id";
/// Error for a URL where the site supports no metadata documents. Clients register at `invalid_client`.
const NOT_SUPPORTED: &str =
    "this gateway supports no client metadata documents: read its metadata again, and register";
/// `Retry-After` while too many fetches are in flight.
const FETCH_RETRY_AFTER: Duration = Duration::from_secs(5);

/// Returns the client whose `client_id` is the URL of its metadata document.
///
/// # Errors
/// `invalid_client` for a URL that the site does not accept, and, where freshness is required, for a missing or invalid
/// document, also one whose keys may not be fetched. Any other failure is temporary: 429 or 503.
pub(super) async fn client(
    request: Request<'_>,
    client_id: &str,
    freshness: Freshness,
) -> Result<Arc<Client>, Failure> {
    let client = find(request, client_id, freshness).await?;
    // Before the person signs in: the token endpoint would refuse the client afterwards.
    if freshness == Freshness::Required {
        check_keys(request.gateway, &client)?;
    }
    Ok(client)
}

/// Checks that the keys of a client may be fetched.
fn check_keys(gateway: &Gateway, client: &Client) -> Result<(), OAuthError> {
    let (own, hosts) = (gateway.base_url.authority(), gateway.site.client_metadata.hosts);
    let checked =
        registration_policy::check_key_location(client, own, hosts, |host| gateway.is_backend_host(host));
    checked.map_err(|why| {
        OAuthError::invalid_client(format!(
            "the document at client_id is no good here: jwks_uri: {why}: an administrator may list that host in \
             client_metadata.hosts, or the client publish jwks instead"
        ))
    })
}

/// Returns the compiled, cached or fetched client.
async fn find(request: Request<'_>, client_id: &str, freshness: Freshness) -> Result<Arc<Client>, Failure> {
    let documents = &request.gateway.client_documents;
    match request.gateway.site.client_metadata.mode {
        ClientMetadataMode::Off => return Err(OAuthError::invalid_client(NOT_SUPPORTED).into()),
        ClientMetadataMode::Pinned => {
            return documents.compiled(client_id).ok_or_else(|| unlisted(client_id).into());
        }
        ClientMetadataMode::Fetch => {}
    }
    let url = &DocumentUrl::parse(client_id).map_err(|why| {
        OAuthError::invalid_client(format!("client_id is not the URL of a document: {why}"))
    })?;
    let fetch = DocumentFetch { request, client_id, url, freshness, kind: DocumentKind::Metadata };
    if let Err(error) = fetch.check_url() {
        // `hosts` limits what is fetched; the site has chosen its compiled documents one by one.
        return documents.compiled(client_id).ok_or_else(|| error.into());
    }
    fetch.cached_or_fetch(documents, || metadata_parser(request.gateway, url.clone())).await
}

/// Returns the keys at a client's `jwks_uri`.
///
/// # Errors
/// The key set is unavailable: 429 or 503, which costs the client nothing.
pub(super) async fn keys(
    request: Request<'_>,
    known: &KnownClient,
    url: &DocumentUrl,
) -> Result<Arc<KeySet>, Failure> {
    let fetch = DocumentFetch::of_keys(request, known, url);
    fetch.check_url()?;
    fetch.cached_or_fetch(&request.gateway.client_key_sets, || parse_keys).await
}

/// Fetches the keys at a client's `jwks_uri` again, because the cached ones do not verify; `None` when that happened
/// within the last minute.
///
/// # Errors
/// The key set is unavailable: 429 or 503, which costs the client nothing.
pub(super) async fn refetch_keys(
    request: Request<'_>,
    known: &KnownClient,
    url: &DocumentUrl,
) -> Result<Option<Arc<KeySet>>, Failure> {
    let key_sets = &request.gateway.client_key_sets;
    if !key_sets.may_refetch(url.url()) {
        return Ok(None);
    }
    let fetch = DocumentFetch::of_keys(request, known, url);
    let refetched = match fetch.check_host() {
        Ok(()) => key_sets.refetch(url.url(), fetch.start(parse_keys)).await,
        Err(error) => Err(error),
    };
    refetched.map(Some).map_err(|error| fetch.failure(error))
}

/// Keeps the cached documents of this client longer than those of clients that never received tokens.
pub(super) fn trust(gateway: &Gateway, known: &KnownClient) {
    if let Some(url) = DocumentUrl::parse(&known.id).ok().filter(|_| client::is_url(&known.id)) {
        gateway.client_documents.trust(url.url());
    }
    if let Some(ClientKeys { source: KeySource::At(url), .. }) = &known.client.keys {
        gateway.client_key_sets.trust(url.url());
    }
}

/// Returns the parser of the metadata document at this URL.
fn metadata_parser(
    gateway: &Gateway,
    url: DocumentUrl,
) -> impl FnOnce(&[u8]) -> Result<Client, FetchError> + Send + 'static {
    let (schemes, now) = (gateway.site.redirect_schemes, gateway.clock.now());
    move |document| {
        metadata_document::parse(document, &url, schemes, now).map_err(|bad| match bad {
            DocumentError::NotMetadata(what) => FetchError::Unexpected(what.into()),
            DocumentError::Invalid(why) => FetchError::Invalid(why),
        })
    }
}

/// Returns the error for a client whose document is not compiled in, where no other client is accepted.
fn unlisted(client_id: &str) -> OAuthError {
    OAuthError::invalid_client(format!(
        "this gateway accepts the clients that its administrator has listed, and {client_id} is not one of them"
    ))
}

fn parse_keys(document: &[u8]) -> Result<KeySet, FetchError> {
    KeySet::parse(document).map_err(|error| FetchError::Unexpected(error.to_string()))
}

/// Kind of a client's document.
#[derive(Clone, Copy, PartialEq, Eq)]
enum DocumentKind {
    Metadata,
    Keys,
}

/// A lookup of a client's document on behalf of a request.
struct DocumentFetch<'a> {
    request: Request<'a>,
    client_id: &'a str,
    url: &'a DocumentUrl,
    freshness: Freshness,
    kind: DocumentKind,
}

impl<'a> DocumentFetch<'a> {
    fn of_keys(request: Request<'a>, known: &'a KnownClient, url: &'a DocumentUrl) -> Self {
        let freshness = Freshness::StaleAllowed;
        Self { request, client_id: &known.id, url, freshness, kind: DocumentKind::Keys }
    }

    /// Returns the document from the cache while it is fresh, else fetches it. When it cannot be fetched, or not now
    /// because of the rate limits, a copy is returned: that says nothing about the client. After a missing or invalid
    /// document the last valid one is returned only where stale copies are allowed.
    async fn cached_or_fetch<T, P>(
        &self,
        documents: &Documents<T>,
        parser: impl FnOnce() -> P,
    ) -> Result<Arc<T>, Failure>
    where
        T: Send + Sync + 'static,
        P: FnOnce(&[u8]) -> Result<T, FetchError> + Send + 'static,
    {
        let url = self.url.url();
        let if_stale_allowed =
            |stale: Option<Arc<T>>| stale.filter(|_| self.freshness == Freshness::StaleAllowed);
        let after_failure = || {
            let stale = || if_stale_allowed(documents.stale_after_failure(url));
            documents.copy_after_outage(url).or_else(stale)
        };
        if let Some(cached) = documents.fresh(url).or_else(after_failure) {
            return Ok(cached);
        }
        let fetched = match self.check_host() {
            Ok(()) => documents.fetch(url, self.start(parser())).await,
            Err(error) => Err(error),
        };
        let error = match fetched {
            Ok(fetched) => return Ok(fetched),
            Err(error) => error,
        };
        // An attacker with a key that the client has removed must not get the old keys by exceeding the limits.
        if error.is_limit() && self.kind == DocumentKind::Keys {
            return Err(self.failure(error));
        }
        // Over a limit the last fetch decides: nobody gets a copy in place of a document that is known to be invalid.
        let last = if error.is_limit() { documents.last_error(url) } else { Some(error.clone()) };
        let is_outage = last.is_none_or(|error| error.is_outage());
        let copy = if is_outage { documents.copy(url) } else { if_stale_allowed(documents.last_good(url)) };
        let Some(copy) = copy else { return Err(self.failure(error)) };
        self.outage(error).note(self.request, Kind::Metadata);
        Ok(copy)
    }

    /// Returns the fetch for the document cache. It is counted when it starts: callers that wait for the fetch of another
    /// one are not counted.
    fn start<P>(
        &self,
        parse: P,
    ) -> FetchStart<P, impl Future<Output = Result<(), FetchError>> + Send + 'static + use<P>> {
        let gateway = Arc::clone(self.request.gateway);
        let (address, client_id) = (self.request.head.address, self.client_id.to_owned());
        let admission = async move {
            let counted = gateway.limits.count(Kind::Metadata, address, Some(&client_id)).await;
            counted.map_err(|TooMany { retry_after }| FetchError::RateLimited { retry_after })
        };
        FetchStart { subscriber: Subnets::of(address), admission, parse }
    }

    /// Checks that the host is not that of an MCP server.
    fn check_host(&self) -> Result<(), FetchError> {
        if self.request.gateway.is_backend_host(self.url.host()) {
            let why = "it may trust the address that this gateway calls it from";
            return Err(FetchError::Unreachable(why.into()));
        }
        Ok(())
    }

    /// Converts the error of a fetch without a copy. Only a missing or invalid document is a statement about the client.
    fn failure(&self, error: FetchError) -> Failure {
        match error {
            FetchError::LimitReached => TooMany { retry_after: FETCH_RETRY_AFTER }.into(),
            FetchError::RateLimited { retry_after } => TooMany { retry_after }.into(),
            error if error.is_outage() || self.freshness == Freshness::StaleAllowed => self.outage(error),
            FetchError::Invalid(why) => {
                OAuthError::invalid_client(format!("the document at client_id is no good: {why}")).into()
            }
            error => Failure::ClientDocument { told: OAuthError::invalid_client(NOT_A_DOCUMENT), error },
        }
    }

    fn outage(&self, error: FetchError) -> Failure {
        Outage::Document { url: self.url.as_str().to_owned(), error }.into()
    }

    fn check_url(&self) -> Result<(), OAuthError> {
        let gateway = self.request.gateway;
        let (own, hosts) = (gateway.base_url.authority(), gateway.site.client_metadata.hosts);
        self.url.check_fetch_allowed(own, hosts).map_err(|why| OAuthError::invalid_client(why.to_string()))
    }
}
