//! `private_key_jwt` client authentication (RFC 7523 §3).

use super::{KnownClient, documents};
use crate::app::failure::{Failure, InternalError, Outage};
use crate::app::rate_limit::Kind;
use crate::app::request::Request;
use crate::base::secret::Secret;
use crate::crypto::jose::{JoseError, KeySet};
use crate::oauth::client::DocumentUrl;
use crate::oauth::client::assertion::{self, Expected, Verified};
use crate::oauth::client::keys::{ClientKeys, KeySource};
use crate::oauth::error::OAuthError;
use std::fmt::Display;

/// Verifies a client assertion and that no replica has accepted it before.
///
/// The token endpoint accepts its own URL as the audience; the other endpoints accept the issuer only. Another
/// authorization server's metadata may name our endpoints as its own, and so obtain an assertion that is valid here.
///
/// # Errors
/// `invalid_client` for an invalid or replayed assertion; 429 or 503 when the key set cannot be fetched.
pub(super) async fn verify(
    request: Request<'_>,
    kind: Kind,
    known: &KnownClient,
    jwt: &Secret,
) -> Result<(), Failure> {
    let gateway = request.gateway;
    let Some(ClientKeys { source, algorithm }) = &known.client.keys else {
        return Err(InternalError::MissingClientKeys.into());
    };
    let token_endpoint = format!("{}/auth/token", gateway.base_url);
    let audiences = [gateway.base_url.as_str(), &token_endpoint];
    let expected = Expected {
        client_id: &known.id,
        audiences: if kind == Kind::Token { &audiences } else { &audiences[..1] },
        algorithm: *algorithm,
        now: gateway.clock.now(),
    };
    let Verified { id, expires_at: ends_at } = match source {
        KeySource::Inline(keys) => {
            assertion::verify(jwt.expose(), &KeySet::read(keys), &expected).map_err(refused)?
        }
        KeySource::At(url) => verify_with_jwks_uri(request, known, url, jwt, &expected).await?,
    };
    if !gateway.grants.first_use(&["assertion", &known.id, &id], ends_at).await? {
        return Err(refused("it was used before"));
    }
    Ok(())
}

fn refused(why: impl Display) -> Failure {
    OAuthError::invalid_client(format!("client_assertion: {why}")).into()
}

/// Verifies with the keys at the client's `jwks_uri`. The key set is fetched again when the key is unknown, since the
/// client may have rotated its keys.
async fn verify_with_jwks_uri(
    request: Request<'_>,
    known: &KnownClient,
    url: &DocumentUrl,
    jwt: &Secret,
    expected: &Expected<'_>,
) -> Result<Verified, Failure> {
    let keys = documents::keys(request, known, url).await?;
    let rejected = match assertion::verify(jwt.expose(), &keys, expected) {
        Ok(verified) => return Ok(verified),
        Err(rejected) if rejected.may_need_newer_keys() => rejected,
        Err(rejected) => return Err(refused(rejected)),
    };
    match documents::refetch_keys(request, known, url).await? {
        Some(keys) => assertion::verify(jwt.expose(), &keys, expected).map_err(refused),
        // The key may have been published since the last fetch; `invalid_client` would cost the client its
        // registration.
        None if rejected == JoseError::UnknownKey.into() => {
            Err(Outage::UnknownKey { url: url.as_str().to_owned() }.into())
        }
        None => Err(refused(rejected)),
    }
}
