//! `POST /auth/revoke`: token revocation (RFC 7009). Either token of a grant ends the whole grant: its other tokens
//! stop to count and its open streams are cut, on every replica.

use crate::app::audit::Audit;
use crate::app::clients::{self, Known};
use crate::app::rate_limit::Kind;
use crate::app::reply::{self, Failure};
use crate::app::request::RequestHead;
use crate::app::state::Gateway;
use crate::base::ids::GrantId;
use crate::base::secret::Secret;
use crate::credential::SignedToken;
use crate::grants::Grant;
use crate::oauth::error::OAuthError;
use crate::oauth::parameters::Parameters;
use bytes::Bytes;
use http::header::CACHE_CONTROL;
use http::{HeaderValue, Response};
use std::sync::Arc;

/// The longest form that is read, in bytes.
pub const MAX_FORM_BYTES: usize = 32 * 1024;

/// Ends what the token was made from.
pub async fn post(gateway: Arc<Gateway>, head: RequestHead, body: Bytes) -> Response<Bytes> {
    match revoke(&gateway, &head, &body).await {
        Ok(()) => {
            let mut response = Response::new(Bytes::new());
            response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
            response
        }
        Err(failure) => {
            if let Failure::OAuth(refused) = &failure {
                head.refused("revocation", &refused.to_string()).record();
            }
            reply::refused(failure)
        }
    }
}

async fn revoke(gateway: &Gateway, head: &RequestHead, body: &Bytes) -> Result<(), Failure> {
    let form = std::str::from_utf8(body).map_err(|_| OAuthError::invalid_request("the body is not UTF-8"))?;
    let form = Parameters::parse(form);
    let client = clients::authenticate(gateway, (head, Kind::Revocation), &form).await?;
    form.check()?;
    let token = form.get("token").ok_or_else(|| OAuthError::invalid_request("token is missing"))?;
    // Both kinds are told apart by themselves: `token_type_hint` may say what it likes (RFC 7009 §2.1).
    let Some(token) = signed_token(gateway, token) else {
        let reason = "the token is none of this gateway's, or too old: nothing was revoked";
        audit(&client, None, head.refused("revocation", reason));
        return Ok(());
    };
    let grant = gateway.grants.read(token.grant).await?;
    let owner = grant.as_ref().map(|grant| &grant.client_id).or(token.client_id.as_ref());
    if owner.is_some_and(|owner| *owner != client.id) {
        return Err(OAuthError::invalid_grant("the token was issued to another client").into());
    }
    // Also where nothing is found: a revocation that was stored and then failed is told to all replicas by its retry.
    gateway.grants.revoke(token.grant).await?;
    let reason =
        if grant.is_some() { "the client asked for it" } else { "the grant of the token had ended before" };
    audit(&client, grant.as_deref(), Audit { reason, ..head.allowed("revocation") });
    Ok(())
}

fn audit(client: &Known, grant: Option<&Grant>, event: Audit<'_>) {
    Audit {
        user: grant.map_or("", |grant| &grant.subject.user().sub),
        client: &client.client.name,
        client_id: &client.id,
        route: grant.map_or("", |grant| &grant.route),
        ..event
    }
    .record();
}

/// A token of ours: its grant, and the client that it was issued to, where the token says that.
struct OwnToken {
    grant: GrantId,
    client_id: Option<String>,
}

/// What a token says that this gateway made; `None` for every other text. Its times do not count: another replica's clock
/// has set them, and an access token that has expired revokes its grant, too.
fn signed_token(gateway: &Gateway, token: &str) -> Option<OwnToken> {
    if let Some(refresh) = gateway.credentials.open_refresh_token(&Secret::new(token)) {
        return Some(OwnToken { grant: refresh.grant, client_id: None });
    }
    let SignedToken { grant, client_id } = gateway.credentials.signed_access_token(token)?;
    Some(OwnToken { grant, client_id: Some(client_id) })
}
