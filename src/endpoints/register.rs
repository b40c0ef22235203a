//! `POST /auth/register`: dynamic client registration (RFC 7591). Nothing is stored.

use crate::app::audit::Audit;
use crate::app::rate_limit::Kind;
use crate::app::reply::{self, Failure};
use crate::app::request::RequestHead;
use crate::app::state::Gateway;
use crate::base::encoding;
use crate::base::secret::Secret;
use crate::oauth::error::{ErrorCode, OAuthError};
use crate::oauth::{registration, registration_policy};
use bytes::Bytes;
use http::{Response, StatusCode};
use std::sync::Arc;

/// The longest registration that is read, in bytes.
pub const MAX_BODY_BYTES: usize = 64 * 1024;

/// Registers a client.
pub async fn post(gateway: Arc<Gateway>, head: RequestHead, body: Bytes) -> Response<Bytes> {
    if let Err(too_many) = gateway.admit(Kind::Registration, &head, None).await {
        return reply::refused(too_many.into());
    }
    match register(&gateway, &head, &body) {
        Ok(response) => response,
        Err(refused) => {
            head.refused("registration", &refused.to_string()).record();
            reply::refused(Failure::OAuth(refused))
        }
    }
}

fn register(gateway: &Gateway, head: &RequestHead, body: &[u8]) -> Result<Response<Bytes>, OAuthError> {
    let credentials = &gateway.credentials;
    let nonce = encoding::encode(credentials.random::<8>());
    let client = registration::accept(body, gateway.site.redirect_schemes, credentials.now(), nonce)?;
    registration_policy::admits_all(&gateway.site.registration, &client)?;
    let client_id = credentials.seal_client(&client).ok_or_else(|| {
        OAuthError::new(
            ErrorCode::InvalidClientMetadata,
            "the metadata is too long: register fewer or shorter redirect_uris, and a jwks_uri instead of jwks",
        )
    })?;
    let secret = client.auth_method.has_secret().then(|| credentials.client_secret(&client_id));
    let answer = registration::response(&client, &client_id, secret.as_ref().map(Secret::expose));
    Audit { client: &client.name, client_id: &client_id, ..head.allowed("registration") }.record();
    Ok(reply::json(StatusCode::CREATED, &answer))
}
