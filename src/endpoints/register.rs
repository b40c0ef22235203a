//! `POST /auth/register`: dynamic client registration (RFC 7591). Nothing is stored.

use crate::encoding;
use crate::events::Audit;
use crate::gateway::Gateway;
use crate::oauth::client::AuthMethod;
use crate::oauth::error::{Code, Refused};
use crate::oauth::registration;
use crate::reply::{self, Failure};
use crate::secret::Secret;
use bytes::Bytes;
use http::{Response, StatusCode};

/// The longest registration that is read, in bytes.
pub const LONGEST: usize = 64 * 1024;

/// Registers a client.
pub fn post(gateway: &Gateway, request_id: &str, body: &[u8]) -> Response<Bytes> {
    match register(gateway, request_id, body) {
        Ok(response) => response,
        Err(refused) => reply::refused(Failure::Refused(refused)),
    }
}

fn register(gateway: &Gateway, request_id: &str, body: &[u8]) -> Result<Response<Bytes>, Refused> {
    let credentials = &gateway.credentials;
    let nonce = encoding::encode(credentials.random::<8>());
    let client = registration::accept(body, gateway.site.redirect_schemes, credentials.now(), nonce)?;
    let client_id = credentials.seal_client(&client).ok_or_else(|| {
        Refused::new(
            Code::InvalidClientMetadata,
            "the metadata is too long: register fewer or shorter redirect_uris",
        )
    })?;
    let secret = (client.auth_method != AuthMethod::None).then(|| credentials.client_secret(&client_id));
    let answer = registration::response(&client, &client_id, secret.as_ref().map(Secret::expose));
    Audit { event: "registration", request_id, client: &client.name, ..Audit::default() }.record();
    Ok(reply::json(StatusCode::CREATED, &answer))
}
