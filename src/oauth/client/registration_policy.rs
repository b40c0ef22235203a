//! Registration policy of a site: allowed redirect URIs and validity of registrations.
//!
//! The policy is checked at registration and again at every use, because a registration may be older than the policy.

use super::document_url::FetchNotAllowed;
use super::keys::{ClientKeys, KeySource};
use super::record::Client;
use crate::base::clock::Timestamp;
use crate::oauth::error::{ErrorCode, OAuthError};
use crate::oauth::redirect::{Destination, RedirectUri};
use gateway_routes::Registration;
use thiserror::Error;

/// Reason why a self-registered client may not use a redirect URI.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum PolicyError {
    /// The site lists the hosts of redirect URIs, and this one is not among them.
    #[error("this gateway does not let apps of that host register themselves")]
    UnlistedHost,
    /// The site does not allow clients on loopback or private-use schemes.
    #[error("this gateway does not let programs on people's own computers register themselves")]
    LocalClient,
}

/// Checks whether a self-registered client may use a redirect URI.
///
/// # Errors
/// The rule that forbids it.
pub fn check_redirect_uri(policy: &Registration, uri: &RedirectUri) -> Result<(), PolicyError> {
    match uri.destination() {
        Destination::Web(host) if !is_listed(policy.redirect_hosts, &host) => Err(PolicyError::UnlistedHost),
        Destination::Loopback(_) | Destination::PrivateScheme(_) if !policy.local_clients => {
            Err(PolicyError::LocalClient)
        }
        _ => Ok(()),
    }
}

/// Checks all redirect URIs of a client.
///
/// # Errors
/// `invalid_redirect_uri`, naming the first URI that is not allowed.
pub fn check_client(policy: &Registration, client: &Client) -> Result<(), OAuthError> {
    client.redirect_uris.iter().enumerate().try_for_each(|(index, uri)| {
        let refuse = |why: PolicyError| {
            OAuthError::new(ErrorCode::InvalidRedirectUri, format!("redirect_uris[{index}]: {why}"))
        };
        check_redirect_uri(policy, uri).map_err(refuse)
    })
}

/// Checks that the keys at a client's `jwks_uri` may be fetched, so that the client learns it at registration and not at the
/// token endpoint. The parameters are those of [`check_key_location`].
///
/// # Errors
/// `invalid_client_metadata`, naming `jwks_uri`.
pub fn check_jwks_uri(
    client: &Client,
    own_authority: &str,
    hosts: &[&str],
    is_backend: impl FnOnce(&str) -> bool,
) -> Result<(), OAuthError> {
    check_key_location(client, own_authority, hosts, is_backend).map_err(|why| {
        OAuthError::new(ErrorCode::InvalidClientMetadata, format!("jwks_uri: {why}: register jwks instead"))
    })
}

/// Checks that the keys at a client's `jwks_uri`, if it has one, may be fetched. `hosts` are the site's hosts of client
/// documents; empty allows all. `is_backend` returns true for hosts of MCP servers.
///
/// # Errors
/// The rule that forbids it.
pub fn check_key_location(
    client: &Client,
    own_authority: &str,
    hosts: &[&str],
    is_backend: impl FnOnce(&str) -> bool,
) -> Result<(), FetchNotAllowed> {
    let Some(ClientKeys { source: KeySource::At(url), .. }) = &client.keys else { return Ok(()) };
    url.check_fetch_allowed(own_authority, hosts)?;
    if is_backend(url.host()) {
        return Err(FetchNotAllowed::UnlistedHost(url.host().to_owned()));
    }
    Ok(())
}

/// Returns `true` when a registration is neither on the deny list nor older than `not_before`.
pub fn is_valid(policy: &Registration, client_id: &str, client: &Client) -> bool {
    let denied = policy.denied.iter().any(|prefix| client_id.starts_with(prefix));
    let recent = policy.not_before.is_none_or(|at| Timestamp::from(at) <= client.registered_at);
    !denied && recent
}

fn is_listed(hosts: &[&str], host: &str) -> bool {
    hosts.is_empty() || hosts.contains(&host)
}
