//! What clients publish: their metadata documents and key sets, fetched under guard.

use super::{Freshness, Known};
use crate::app::rate_limit::{Kind, TooMany};
use crate::app::reply::Failure;
use crate::app::request::RequestHead;
use crate::app::state::Gateway;
use crate::base::subnets::Subnets;
use crate::crypto::jose::KeySet;
use crate::fetch::{Documents, FetchError};
use crate::oauth::client::Client;
use crate::oauth::client_keys::{ClientKeys, KeySource};
use crate::oauth::client_metadata::{self, BadDocument, DocumentUrl};
use crate::oauth::error::OAuthError;
use std::sync::Arc;
use std::time::Duration;

/// What is said of every answer that is not meant as a document, so that nobody can have us look at others for him.
const NO_DOCUMENT: &str = "what is at client_id is not its metadata document: JSON that is called JSON, of at most \
                           5120 bytes, with that very URL as its client_id";
const UNTIL_A_FETCH_ENDS: Duration = Duration::from_secs(5);

/// The client whose document is at the URL that is its id.
///
/// # Errors
/// `invalid_client` for a URL that no document is fetched from. For a document that is no good as well where it is
/// wanted anew; else that passes.
pub(super) async fn client(
    gateway: &Gateway,
    head: &RequestHead,
    (client_id, freshness): (&str, Freshness),
) -> Result<Arc<Client>, Failure> {
    let url = &DocumentUrl::parse(client_id).map_err(|why| {
        OAuthError::invalid_client(format!("client_id is not the URL of a document: {why}"))
    })?;
    let rules = (gateway.site.redirect_schemes, gateway.clock.now());
    let ask = Ask { gateway, head, client_id, url, freshness };
    ask.get(&gateway.client_documents, |document| {
        client_metadata::read(document, url, rules).map_err(|bad| match bad {
            BadDocument::Foreign(what) => FetchError::Foreign(what.into()),
            BadDocument::Wrong(why) => FetchError::Unusable(why),
        })
    })
    .await
}

/// The keys at a client's `jwks_uri`.
///
/// # Errors
/// They cannot be had now: that says nothing about the client.
pub(super) async fn keys(
    gateway: &Gateway,
    head: &RequestHead,
    (known, url): (&Known, &DocumentUrl),
) -> Result<Arc<KeySet>, Failure> {
    let ask = Ask { gateway, head, client_id: &known.id, url, freshness: Freshness::StaleAllowed };
    ask.get(&gateway.client_key_sets, read_keys).await
}

/// The keys at a client's `jwks_uri` as they are now, since those that were there do not do; `None` when they were
/// asked for within the last minute.
///
/// # Errors
/// They cannot be had now: that says nothing about the client.
pub(super) async fn newer_keys(
    gateway: &Gateway,
    head: &RequestHead,
    (known, url): (&Known, &DocumentUrl),
) -> Result<Option<Arc<KeySet>>, Failure> {
    if !gateway.client_key_sets.may_search(url.url()) {
        return Ok(None);
    }
    let ask = Ask { gateway, head, client_id: &known.id, url, freshness: Freshness::StaleAllowed };
    ask.fetch(&gateway.client_key_sets, read_keys).await.map(Some)
}

/// Keeps what this client publishes for longer than what strangers do: it has just got tokens for somebody.
pub(super) fn trust(gateway: &Gateway, known: &Known) {
    if let Some(url) = DocumentUrl::parse(&known.id).ok().filter(|_| client_metadata::is_url(&known.id)) {
        gateway.client_documents.trust(url.url());
    }
    if let Some(ClientKeys { source: KeySource::At(url), .. }) = &known.client.keys {
        gateway.client_key_sets.trust(url.url());
    }
}

fn read_keys(document: &[u8]) -> Result<KeySet, FetchError> {
    KeySet::parse(document).map_err(|error| FetchError::Foreign(error.to_string()))
}

/// Who asks for a document of which client.
struct Ask<'a> {
    gateway: &'a Gateway,
    head: &'a RequestHead,
    client_id: &'a str,
    url: &'a DocumentUrl,
    freshness: Freshness,
}

impl Ask<'_> {
    /// The document: as it was fetched not long ago, or as it is now, or, where that does, as it was last.
    async fn get<T>(
        &self,
        documents: &Documents<T>,
        read: impl FnOnce(&[u8]) -> Result<T, FetchError>,
    ) -> Result<Arc<T>, Failure> {
        self.is_allowed()?;
        let url = self.url.url();
        let does = |kept: Option<Arc<T>>| kept.filter(|_| self.freshness == Freshness::StaleAllowed);
        if let Some(kept) = documents.fresh(url).or_else(|| does(documents.stale_after_failure(url))) {
            return Ok(kept);
        }
        match self.fetch(documents, read).await {
            // Whoever asks too often must not choose by that what counts.
            Err(failure @ Failure::Unavailable(_)) => does(documents.last_good(url)).ok_or(failure),
            fetched => fetched,
        }
    }

    /// The document as it is now.
    async fn fetch<T>(
        &self,
        documents: &Documents<T>,
        read: impl FnOnce(&[u8]) -> Result<T, FetchError>,
    ) -> Result<Arc<T>, Failure> {
        self.gateway.admit(Kind::Metadata, self.head, Some(self.client_id)).await?;
        let fetched = if self.gateway.calls(self.url.host()) {
            Err(FetchError::Unreachable("it may trust the address that this gateway calls it from".into()))
        } else {
            documents.fetch(self.url.url(), Subnets::of(self.head.address), read).await
        };
        fetched.map_err(|error| self.failed(error))
    }

    fn failed(&self, error: FetchError) -> Failure {
        let url = self.url.as_str();
        tracing::info!(url, %error, "what a client publishes could not be fetched");
        match error {
            FetchError::TooMany => TooMany { retry_after: UNTIL_A_FETCH_ENDS }.into(),
            FetchError::Unusable(why) if self.freshness == Freshness::Required => {
                OAuthError::invalid_client(format!("the document at client_id is no good: {why}")).into()
            }
            FetchError::Gone | FetchError::Foreign(_) if self.freshness == Freshness::Required => {
                OAuthError::invalid_client(NO_DOCUMENT).into()
            }
            error => Failure::Unavailable(format!("what a client publishes at {url}: {error}")),
        }
    }

    fn is_allowed(&self) -> Result<(), OAuthError> {
        let (own, hosts) = (self.gateway.base_url.authority(), self.gateway.site.client_metadata_hosts);
        self.url.may_be_fetched(own, hosts).map_err(OAuthError::invalid_client)
    }
}
