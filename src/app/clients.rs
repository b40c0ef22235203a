//! OAuth client resolution and authentication (RFC 6749 §2.3).

mod admission;
mod assertion;
mod documents;

pub use admission::Admission;

use crate::app::audit_subject::AuditSubject;
use crate::app::failure::Failure;
use crate::app::rate_limit::Kind;
use crate::app::request::Request;
use crate::app::state::Gateway;
use crate::oauth::client;
use crate::oauth::client::authentication::{ClaimedClient, Proof};
use crate::oauth::client::registration_policy;
use crate::oauth::client::{AuthMethod, Client};
use crate::oauth::error::{ErrorCode, OAuthError};
use crate::oauth::parameters::Parameters;
use http::HeaderMap;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use std::sync::Arc;

/// A registered client, or one with a valid metadata document.
#[derive(Debug)]
pub struct KnownClient {
    /// The `client_id` as the client sent it.
    pub id: String,
    /// The client's metadata.
    pub client: Arc<Client>,
}

impl KnownClient {
    /// Records the client in the subject of an audit event.
    pub fn identify(&self, subject: &mut AuditSubject) {
        subject.client.clone_from(&self.client.name);
        subject.client_id.clone_from(&self.id);
    }
}

/// Freshness requirement for a client metadata document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Freshness {
    /// The document must be valid now: the user is about to see its contents.
    Required,
    /// The last valid copy is enough while the document is unavailable: users with this client stay signed in.
    StaleAllowed,
}

/// Resolves a `client_id` to a client, without authenticating it.
///
/// # Errors
/// `invalid_client`, at which clients register again; 429 or 503 when the metadata document cannot be fetched.
pub async fn resolve(
    request: Request<'_>,
    client_id: &str,
    freshness: Freshness,
) -> Result<KnownClient, Failure> {
    let client = if client::is_url(client_id) {
        documents::client(request, client_id, freshness).await?
    } else {
        Arc::new(open_registered(request.gateway, client_id)?)
    };
    Ok(KnownClient { id: client_id.to_owned(), client })
}

fn open_registered(gateway: &Gateway, client_id: &str) -> Result<Client, OAuthError> {
    let registration = &gateway.site.registration;
    let is_valid = |client: &Client| registration_policy::is_valid(registration, client_id, client);
    gateway.credentials.open_client(client_id).filter(is_valid).ok_or_else(|| {
        OAuthError::invalid_client(
            "this gateway does not know the client: remove it in your MCP client and add it again",
        )
    })
}

/// A form of an authenticated client.
pub struct AuthenticatedForm<T> {
    /// The client.
    pub client: KnownClient,
    /// All parameters.
    pub form: Parameters,
    /// The parameters of the endpoint.
    pub parsed: T,
    /// Counter of the request.
    pub admission: Admission,
}

/// Parses the form of a request and authenticates its client (RFC 6749 §2.3). Malformed requests are rejected before the
/// client is known, and other parameters are validated after that: clients drop their registration at `invalid_client`, and
/// only their tokens at `invalid_grant`. The client becomes part of `subject` as it becomes known.
///
/// # Errors
/// `invalid_request` when the body is no form, repeats a parameter, names no client, has contradictory credentials, or
/// `parse` returns it; `invalid_client` when the client is unknown or its authentication fails; then other errors of
/// `parse`; 429 over the rate limit.
pub async fn authenticate<T>(
    request: Request<'_>,
    kind: Kind,
    body: &[u8],
    subject: &mut AuditSubject,
    parse: impl FnOnce(&Parameters) -> Result<T, OAuthError>,
) -> Result<AuthenticatedForm<T>, Failure> {
    let content_type = request.headers().get(CONTENT_TYPE).map(|value| value.to_str().unwrap_or_default());
    let form = Parameters::parse_form(content_type, body);
    let claimed =
        form.and_then(|form| Ok((ClaimedClient::parse(authorization(request.headers())?, &form)?, form)));
    if let Ok((claimed, _)) = &claimed {
        subject.claim_client(&claimed.client_id);
    }
    let sent = claimed.as_ref().ok().map(|(claimed, form)| (claimed, form));
    let admission = Admission::check(request, kind, sent).await?;
    let (claimed, form) = claimed?;
    let parsed = parse(&form);
    if let Err(malformed @ OAuthError { code: ErrorCode::InvalidRequest, .. }) = parsed {
        return Err(malformed.into());
    }
    match verify(request, kind, &claimed, subject).await {
        Ok(client) => Ok(AuthenticatedForm { client, form, parsed: parsed?, admission }),
        Err(failure) => Err(admission.after_failure(request, kind, &claimed.client_id, failure).await),
    }
}

/// Resolves the client that a request claims to be from, and verifies its proof.
async fn verify(
    request: Request<'_>,
    kind: Kind,
    claimed: &ClaimedClient,
    subject: &mut AuditSubject,
) -> Result<KnownClient, Failure> {
    let known = resolve(request, &claimed.client_id, Freshness::StaleAllowed).await?;
    known.identify(subject);
    verify_proof(request, kind, &known, claimed.proof.as_ref()).await?;
    Ok(known)
}

/// Returns the `Authorization` header; one with other characters than ASCII as empty, which no method accepts.
fn authorization(headers: &HeaderMap) -> Result<Option<&str>, OAuthError> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let first = values.next().map(|value| value.to_str().unwrap_or_default());
    if values.next().is_some() {
        return Err(OAuthError::invalid_request("there are several Authorization headers: send one of them"));
    }
    Ok(first)
}

/// Marks the client's cached documents as trusted once it has received tokens: unauthenticated requests for other
/// clients cannot evict them.
pub fn mark_trusted(gateway: &Gateway, known: &KnownClient) {
    documents::trust(gateway, known);
}

/// Verifies the client's proof by its registered authentication method only: accepting a weaker one would bypass it.
/// A secret is accepted in the header or in the body, whichever was registered.
async fn verify_proof(
    request: Request<'_>,
    kind: Kind,
    known: &KnownClient,
    proof: Option<&Proof>,
) -> Result<(), Failure> {
    let method = known.client.auth_method;
    match proof {
        None if method == AuthMethod::None => Ok(()),
        Some(Proof::Secret(_, secret))
            if method.has_secret() && request.gateway.credentials.is_client_secret(&known.id, secret) =>
        {
            Ok(())
        }
        Some(Proof::Assertion(jwt)) if method == AuthMethod::PrivateKeyJwt => {
            assertion::verify(request, kind, known, jwt).await
        }
        _ => Err(OAuthError::invalid_client(match method {
            AuthMethod::None => "the client has no secret and no key: it must send its client_id alone",
            AuthMethod::SecretPost | AuthMethod::SecretBasic => "the client secret is missing or wrong",
            AuthMethod::PrivateKeyJwt => "a client_assertion is missing: the client uses private_key_jwt",
        })
        .into()),
    }
}
