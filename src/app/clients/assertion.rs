//! `private_key_jwt`: a client proves that it has the key that it registered or publishes (RFC 7523 §3).

use super::{Known, documents};
use crate::app::rate_limit::Kind;
use crate::app::reply::Failure;
use crate::app::request::RequestHead;
use crate::app::state::Gateway;
use crate::base::secret::Secret;
use crate::crypto::jose::{JoseError, KeySet};
use crate::oauth::assertion::{self, Expected, Rejected, Verified};
use crate::oauth::client_keys::{ClientKeys, KeySource};
use crate::oauth::client_metadata::DocumentUrl;
use crate::oauth::error::OAuthError;

/// Checks an assertion, and that it is used for the first time, on every replica. An endpoint's own URL counts at the
/// token endpoint alone: another server's metadata may name our other endpoints as its own, and so have a client make an
/// assertion that counts there.
pub(super) async fn check(
    gateway: &Gateway,
    (head, kind): (&RequestHead, Kind),
    (known, jwt): (&Known, &Secret),
) -> Result<(), Failure> {
    let Some(ClientKeys { source, algorithm }) = &known.client.keys else {
        return Err(Failure::Internal("a client of private_key_jwt has no keys".into()));
    };
    let token_endpoint = format!("{}/auth/token", gateway.base_url);
    let audiences = [gateway.base_url.as_str(), &token_endpoint];
    let expected = Expected {
        client_id: &known.id,
        audiences: if kind == Kind::Token { &audiences } else { &audiences[..1] },
        algorithm: *algorithm,
        now: gateway.clock.now(),
    };
    let verified = match source {
        KeySource::Inline(keys) => assertion::verify(jwt.expose(), &KeySet::read(keys), &expected),
        KeySource::At(url) => with_keys_at(gateway, head, (known, url), (jwt, &expected)).await?,
    };
    let refuse = |why: &dyn std::fmt::Display| OAuthError::invalid_client(format!("client_assertion: {why}"));
    let Verified { id, ends_at } = verified.map_err(|rejected| refuse(&rejected))?;
    if !gateway.grants.first_use(&["assertion", &known.id, &id], ends_at).await? {
        return Err(refuse(&"it was used before").into());
    }
    Ok(())
}

/// A client that has just changed its keys signs with one that we have not seen.
async fn with_keys_at(
    gateway: &Gateway,
    head: &RequestHead,
    (known, url): (&Known, &DocumentUrl),
    (jwt, expected): (&Secret, &Expected<'_>),
) -> Result<Result<Verified, Rejected>, Failure> {
    let keys = documents::keys(gateway, head, (known, url)).await?;
    let verified = assertion::verify(jwt.expose(), &keys, expected);
    if !verified.as_ref().is_err_and(|rejected| rejected.may_need_a_newer_key()) {
        return Ok(verified);
    }
    match documents::newer_keys(gateway, head, (known, url)).await? {
        Some(keys) => Ok(assertion::verify(jwt.expose(), &keys, expected)),
        // It may be there by now; at `invalid_client` a client would drop its registration.
        None if verified == Err(JoseError::UnknownKey.into()) => Err(Failure::Unavailable(format!(
            "{url}: its keys were looked for a moment ago",
            url = url.as_str()
        ))),
        None => Ok(verified),
    }
}
