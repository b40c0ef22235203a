//! Who a client is: from a `client_id` to what it registered, and from a request to a client that proved itself.

use crate::decision::Head;
use crate::gateway::Gateway;
use crate::limits::Kind;
use crate::oauth::client::{AuthMethod, Client};
use crate::oauth::error::Refused;
use crate::oauth::parameters::Parameters;
use crate::oauth::registration_policy;
use crate::oauth::token::ClaimedClient;
use crate::reply::Failure;
use http::header::AUTHORIZATION;

/// A client that this gateway knows.
#[derive(Debug)]
pub struct Known {
    /// Its `client_id`, as it sent it.
    pub id: String,
    /// What it registered.
    pub client: Client,
}

/// The client of this id, not yet believed to be the one that asks.
///
/// # Errors
/// `invalid_client`: clients register anew when they see it.
#[expect(clippy::unused_async, reason = "metadata documents will be fetched here")]
pub async fn resolve(gateway: &Gateway, client_id: &str) -> Result<Known, Failure> {
    let registration = &gateway.site.registration;
    let counts = |client: &Client| registration_policy::counts(registration, (client_id, client));
    let client = gateway.credentials.open_client(client_id).filter(counts).ok_or_else(|| {
        Refused::invalid_client(
            "this gateway does not know the client: remove it in your MCP client and add it again",
        )
    })?;
    Ok(Known { id: client_id.to_owned(), client })
}

/// The client that sent this form, proved (RFC 6749 §2.3). It comes before everything else in the form, because
/// clients drop their registration at `invalid_client` and only their tokens at `invalid_grant`.
///
/// # Errors
/// `invalid_client` when no client is named, it is unknown or does not prove itself.
pub async fn authenticate(
    gateway: &Gateway,
    (head, kind): (&Head, Kind),
    form: &Parameters,
) -> Result<Known, Failure> {
    let header = head.parts.headers.get(AUTHORIZATION);
    let header = header.map(|value| value.to_str().unwrap_or_default());
    let claimed = ClaimedClient::parse(header, form);
    let client_id = claimed.as_ref().ok().map(|claimed| claimed.client_id.as_str());
    gateway.admit(kind, head, client_id).await?;
    let ClaimedClient { client_id, proof } = claimed?;
    let known = resolve(gateway, &client_id).await?;
    let proven = match &proof {
        Some((_, secret)) => gateway.credentials.is_client_secret(&client_id, secret),
        None => known.client.auth_method == AuthMethod::None,
    };
    if !proven {
        return Err(Refused::invalid_client("the client secret is missing or wrong").into());
    }
    Ok(known)
}
