//! `POST /auth/revoke`: token revocation (RFC 7009). Either token of a grant ends the whole grant: its other tokens
//! stop to count and its open streams are cut, on every replica.

use crate::clients;
use crate::credential::RefreshToken;
use crate::decision::Head;
use crate::events::Audit;
use crate::gateway::Gateway;
use crate::limits::Kind;
use crate::oauth::error::Refused;
use crate::oauth::parameters::Parameters;
use crate::reply::{self, Failure};
use crate::secret::Secret;
use bytes::Bytes;
use http::header::CACHE_CONTROL;
use http::{HeaderValue, Response};
use std::sync::Arc;

/// The longest form that is read, in bytes.
pub const LONGEST: usize = 32 * 1024;

/// Ends what the token was made from.
pub async fn post(gateway: Arc<Gateway>, head: Head, body: Bytes) -> Response<Bytes> {
    match revoke(&gateway, &head, &body).await {
        Ok(()) => {
            let mut response = Response::new(Bytes::new());
            response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
            response
        }
        Err(failure) => {
            if let Failure::Refused(refused) = &failure {
                head.refused("revocation", &refused.to_string()).record();
            }
            reply::refused(failure)
        }
    }
}

async fn revoke(gateway: &Gateway, head: &Head, body: &Bytes) -> Result<(), Failure> {
    let form = std::str::from_utf8(body).map_err(|_| Refused::invalid_request("the body is not UTF-8"))?;
    let form = Parameters::parse(form);
    let client = clients::authenticate(gateway, (head, Kind::Revocation), &form).await?;
    form.check()?;
    let token = form.get("token").ok_or_else(|| Refused::invalid_request("token is missing"))?;
    // Both kinds are told apart by themselves: `token_type_hint` may say what it likes (RFC 7009 §2.1).
    let Some(id) = grant_of(gateway, token) else { return Ok(()) };
    let Some(grant) = gateway.grants.read(id).await? else { return Ok(()) };
    if grant.client_id != client.id {
        return Err(Refused::invalid_grant("the token was issued to another client").into());
    }
    gateway.grants.revoke(id).await?;
    Audit {
        user: &grant.subject.user().sub,
        client: &client.client.name,
        client_id: &client.id,
        route: &grant.route,
        reason: "the client asked for it",
        ..head.allowed("revocation")
    }
    .record();
    Ok(())
}

/// The grant of a token that we made; `None` for every other text, which there is nothing to do about.
fn grant_of(gateway: &Gateway, token: &str) -> Option<[u8; 16]> {
    let refresh = gateway.credentials.open_refresh_token(&Secret::new(token));
    let refresh = refresh.map(|RefreshToken { grant, .. }| grant);
    refresh.or_else(|| gateway.credentials.grant_of_access_token(token))
}
