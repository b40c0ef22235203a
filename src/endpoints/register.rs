//! `POST /auth/register`: dynamic client registration (RFC 7591). Nothing is stored: the `client_id` contains the
//! sealed metadata.

use crate::app::audit::Audit;
use crate::app::failure::{self, Failure};
use crate::app::rate_limit::Kind;
use crate::app::reply;
use crate::app::request::{Request, RequestHead};
use crate::app::state::Gateway;
use crate::base::encoding;
use crate::base::secret::Secret;
use crate::oauth::client::{registration, registration_policy};
use crate::oauth::error::{ErrorCode, OAuthError};
use bytes::Bytes;
use http::{Response, StatusCode};
use std::sync::Arc;

/// Maximum length of a registration request.
pub const MAX_BODY_BYTES: usize = 64 * 1024;

/// Registers a client.
pub async fn post(gateway: Arc<Gateway>, head: RequestHead, body: Bytes) -> Response<Bytes> {
    let request = Request { gateway: &gateway, head: &head };
    if let Err(too_many) = request.rate_limit(Kind::Registration, None).await {
        return failure::oauth_error(too_many.into());
    }
    match register(request, &body) {
        Ok(response) => response,
        Err(error) => {
            request.refused("registration", &error.to_string()).record();
            failure::oauth_error(Failure::OAuth(error))
        }
    }
}

fn register(request: Request<'_>, body: &[u8]) -> Result<Response<Bytes>, OAuthError> {
    let gateway = request.gateway;
    let credentials = &gateway.credentials;
    let nonce = encoding::encode(credentials.random::<8>());
    let client = registration::parse(body, gateway.site.redirect_schemes, credentials.now(), nonce)?;
    registration_policy::check_client(&gateway.site.registration, &client)?;
    let client_id = credentials.seal_client(&client).ok_or_else(|| {
        OAuthError::new(
            ErrorCode::InvalidClientMetadata,
            "the metadata is too long: register fewer or shorter redirect_uris, and a jwks_uri instead of jwks",
        )
    })?;
    let secret = client.auth_method.has_secret().then(|| credentials.client_secret(&client_id));
    let response = registration::response(&client, &client_id, secret.as_ref().map(Secret::expose));
    Audit { client: &client.name, client_id: &client_id, ..request.allowed("registration") }.record();
    Ok(reply::json(StatusCode::CREATED, &response))
}
