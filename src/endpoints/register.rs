//! `POST /auth/register`: dynamic client registration (RFC 7591). Nothing is stored: the `client_id` contains the
//! sealed metadata.

use crate::app::audit_subject::AuditSubject;
use crate::app::failure::Failure;
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
pub async fn post(gateway: Arc<Gateway>, head: Arc<RequestHead>, body: Bytes) -> Response<Bytes> {
    let request = Request { gateway: &gateway, head: &head };
    let mut subject = AuditSubject::default();
    match register(request, &body, &mut subject).await {
        Ok(response) => response,
        Err(failure) => failure.report(request, Kind::Registration, &subject).json(),
    }
}

async fn register(
    request: Request<'_>,
    body: &[u8],
    subject: &mut AuditSubject,
) -> Result<Response<Bytes>, Failure> {
    request.rate_limit(Kind::Registration, None).await?;
    let gateway = request.gateway;
    let credentials = &gateway.credentials;
    let nonce = encoding::encode(credentials.random::<8>());
    let client = registration::parse(body, gateway.site.redirect_schemes, credentials.now(), nonce)?;
    subject.client.clone_from(&client.name);
    registration_policy::check_client(&gateway.site.registration, &client)?;
    let (own, hosts) = (gateway.base_url.authority(), gateway.site.client_metadata.hosts);
    registration_policy::check_jwks_uri(&client, own, hosts, |host| gateway.is_backend_host(host))?;
    let client_id = credentials
        .seal_client(&client)
        .map_err(|error| OAuthError::new(ErrorCode::InvalidClientMetadata, error.to_string()))?;
    let secret = client.auth_method.has_secret().then(|| credentials.client_secret(&client_id));
    let response = registration::response(&client, &client_id, secret.as_ref().map(Secret::expose));
    subject.client_id = client_id;
    subject.record(request.allowed("registration"));
    Ok(reply::json(StatusCode::CREATED, &response))
}
