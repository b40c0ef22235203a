//! `POST /auth/revoke`: token revocation (RFC 7009). Revoking either token revokes the whole grant: its other tokens
//! become invalid and its open streams are closed, on every replica.

use crate::app::audit::Audit;
use crate::app::audit_subject::AuditSubject;
use crate::app::clients::{self, AuthenticatedForm};
use crate::app::failure::Failure;
use crate::app::rate_limit::Kind;
use crate::app::request::{Request, RequestHead};
use crate::app::state::Gateway;
use crate::base::ids::GrantId;
use crate::base::secret::Secret;
use crate::credential::SignedToken;
use crate::oauth::error::OAuthError;
use crate::oauth::parameters::Parameters;
use bytes::Bytes;
use http::header::CACHE_CONTROL;
use http::{HeaderValue, Response};
use std::sync::Arc;

/// Maximum length of the form.
pub const MAX_FORM_BYTES: usize = 32 * 1024;

/// Revokes the grant of a token.
pub async fn post(gateway: Arc<Gateway>, head: Arc<RequestHead>, body: Bytes) -> Response<Bytes> {
    let request = Request { gateway: &gateway, head: &head };
    let mut subject = AuditSubject::default();
    match revoke(request, &body, &mut subject).await {
        Ok(()) => {
            let mut response = Response::new(Bytes::new());
            response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
            response
        }
        Err(failure) => failure.report(request, Kind::Revocation, &subject).json(),
    }
}

async fn revoke(request: Request<'_>, body: &Bytes, subject: &mut AuditSubject) -> Result<(), Failure> {
    let gateway = request.gateway;
    let token = |form: &Parameters| form.require("token").map(Secret::new);
    let AuthenticatedForm { client, parsed: token, mut admission, .. } =
        clients::authenticate(request, Kind::Revocation, body, subject, token).await?;
    // The token itself shows its type: `token_type_hint` is ignored (RFC 7009 §2.1).
    let Some(token) = own_token(gateway, &token) else {
        let reason = "the token is none of this gateway's, or too old: nothing was revoked";
        subject.record(request.refused("revocation", reason));
        return Ok(());
    };
    let grant = gateway.grants.read(token.grant).await?;
    if let Some(grant) = &grant {
        subject.set_grant(grant);
    }
    let owner = grant.as_ref().map(|grant| &grant.client_id).or(token.client_id.as_ref());
    if owner.is_some_and(|owner| *owner != client.id) {
        let failure = OAuthError::invalid_grant("the token was issued to another client").into();
        return Err(admission.after_failure(request, Kind::Revocation, &client.id, failure).await);
    }
    if grant.is_none() {
        admission.count_by_address(request, Kind::Revocation, &client.id).await?;
    }
    // Also without a grant: the retry of a revocation that failed after deleting the grant notifies all replicas.
    gateway.grants.revoke(token.grant).await?;
    let reason =
        if grant.is_some() { "the client asked for it" } else { "the grant of the token had ended before" };
    subject.record(Audit { reason, ..request.allowed("revocation") });
    Ok(())
}

/// A token issued by this gateway: its grant, and its client if the token contains it.
struct OwnToken {
    grant: GrantId,
    client_id: Option<String>,
}

/// Opens a refresh or access token of this gateway; `None` for any other text. Its times are not checked: an expired
/// access token still revokes its grant, and another replica's clock may have set them.
fn own_token(gateway: &Gateway, token: &Secret) -> Option<OwnToken> {
    if let Some(refresh) = gateway.credentials.open_refresh_token(token) {
        return Some(OwnToken { grant: refresh.grant, client_id: None });
    }
    let SignedToken { grant, client_id } = gateway.credentials.signed_access_token(token.expose())?;
    Some(OwnToken { grant, client_id: Some(client_id) })
}
