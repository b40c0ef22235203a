//! Who a client is: from a `client_id` to what it registered or publishes, and from a request to a client that proved
//! itself.

mod assertion;
mod documents;

use crate::app::rate_limit::Kind;
use crate::app::reply::Failure;
use crate::app::request::RequestHead;
use crate::app::state::Gateway;
use crate::oauth::client::{AuthMethod, Client};
use crate::oauth::client_metadata;
use crate::oauth::client_proof::{ClaimedClient, Proof};
use crate::oauth::error::OAuthError;
use crate::oauth::parameters::Parameters;
use crate::oauth::registration_policy;
use http::header::AUTHORIZATION;
use std::sync::Arc;

/// A client that this gateway knows.
#[derive(Debug)]
pub struct Known {
    /// Its `client_id`, as it sent it.
    pub id: String,
    /// What it registered or publishes.
    pub client: Arc<Client>,
}

/// What is wanted of a client that publishes what it is, when its document cannot be had now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Freshness {
    /// What it says today: a person is about to be shown it.
    Required,
    /// What it said last: somebody is logged in with it, and must not lose that.
    StaleAllowed,
}

/// The client of this id, not yet believed to be the one that asks.
///
/// # Errors
/// `invalid_client`: clients register anew when they see it. Of one that publishes what it is, also that its document
/// cannot be had.
pub async fn resolve(
    gateway: &Gateway,
    head: &RequestHead,
    (client_id, freshness): (&str, Freshness),
) -> Result<Known, Failure> {
    let client = if client_metadata::is_url(client_id) {
        documents::client(gateway, head, (client_id, freshness)).await?
    } else {
        Arc::new(registered(gateway, client_id)?)
    };
    Ok(Known { id: client_id.to_owned(), client })
}

fn registered(gateway: &Gateway, client_id: &str) -> Result<Client, OAuthError> {
    let registration = &gateway.site.registration;
    let is_valid = |client: &Client| registration_policy::is_valid(registration, (client_id, client));
    gateway.credentials.open_client(client_id).filter(is_valid).ok_or_else(|| {
        OAuthError::invalid_client(
            "this gateway does not know the client: remove it in your MCP client and add it again",
        )
    })
}

/// The client that sent this form, proved (RFC 6749 §2.3). It comes before everything else in the form, because
/// clients drop their registration at `invalid_client` and only their tokens at `invalid_grant`.
///
/// # Errors
/// `invalid_client` when no client is named, it is unknown or does not prove itself.
pub async fn authenticate(
    gateway: &Gateway,
    (head, kind): (&RequestHead, Kind),
    form: &Parameters,
) -> Result<Known, Failure> {
    let header = head.parts.headers.get(AUTHORIZATION);
    let header = header.map(|value| value.to_str().unwrap_or_default());
    let claimed = ClaimedClient::parse(header, form);
    let client_id = claimed.as_ref().ok().map(|claimed| claimed.client_id.as_str());
    gateway.admit(kind, head, client_id).await?;
    let ClaimedClient { client_id, proof } = claimed?;
    let known = resolve(gateway, head, (&client_id, Freshness::StaleAllowed)).await?;
    prove(gateway, (head, kind), (&known, proof.as_ref())).await?;
    Ok(known)
}

/// Remembers that this client has got tokens for somebody, and is no stranger who has us fetch what he likes.
pub fn got_tokens(gateway: &Gateway, known: &Known) {
    documents::trust(gateway, known);
}

/// A client proves itself by the method that it registered, and by no other: a weaker one would be a way around it.
/// A secret may stand in the header or in the body, whichever was registered.
async fn prove(
    gateway: &Gateway,
    (head, kind): (&RequestHead, Kind),
    (known, proof): (&Known, Option<&Proof>),
) -> Result<(), Failure> {
    let method = known.client.auth_method;
    match proof {
        None if method == AuthMethod::None => Ok(()),
        Some(Proof::Secret(_, secret))
            if method.has_secret() && gateway.credentials.is_client_secret(&known.id, secret) =>
        {
            Ok(())
        }
        Some(Proof::Assertion(jwt)) if method == AuthMethod::PrivateKeyJwt => {
            assertion::check(gateway, (head, kind), (known, jwt)).await
        }
        _ => Err(OAuthError::invalid_client(match method {
            AuthMethod::None => "the client has no secret and no key: it must send its client_id alone",
            AuthMethod::SecretPost | AuthMethod::SecretBasic => "the client secret is missing or wrong",
            AuthMethod::PrivateKeyJwt => "a client_assertion is missing: the client uses private_key_jwt",
        })
        .into()),
    }
}
