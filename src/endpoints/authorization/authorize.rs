//! `GET /auth/authorize`: the authorization endpoint (step 1 of `login`). It is idempotent.

use crate::app::clients::{self, Freshness, KnownClient};
use crate::app::failure::{self, Failure};
use crate::app::rate_limit::Kind;
use crate::app::reply;
use crate::app::request::{Request, RequestHead};
use crate::app::state::Gateway;
use crate::endpoints::authorization::login;
use crate::oauth::authorization::{AuthorizationRequest, ReturnAddress};
use crate::oauth::client;
use crate::oauth::client::registration_policy;
use crate::oauth::error::OAuthError;
use crate::oauth::redirect::RedirectUri;
use crate::pages::{ErrorRedirect, Guidance, Problem};
use bytes::Bytes;
use http::{Response, StatusCode};
use std::sync::Arc;

/// Validates an authorization request and shows the consent page.
pub async fn get(gateway: Arc<Gateway>, head: RequestHead) -> Response<Bytes> {
    let request = Request { gateway: &gateway, head: &head };
    let parameters = request.query();
    let client_id = parameters.get("client_id");
    if let Err(too_many) = request.rate_limit(Kind::Authorization, client_id).await {
        return failure::too_many(&head, too_many);
    }
    let known = match resolve_client(request, client_id).await {
        Ok(known) => known,
        Err(Failure::TooMany(too_many)) => return failure::too_many(&head, too_many),
        Err(failure) => return unknown_client(request, client_id, failure),
    };
    let redirect_uri = match redirect_uri(&gateway, &known, parameters.get("redirect_uri")) {
        Ok(redirect_uri) => redirect_uri,
        Err(error) => {
            return error_without_redirect(request, error, invalid_redirect_uri(&gateway, &known));
        }
    };
    let return_address = ReturnAddress {
        redirect_uri: redirect_uri.clone(),
        state: parameters.get("state").map(str::to_owned),
    };
    let authorization = AuthorizationRequest::parse(
        &parameters,
        &known.id,
        &known.client.name,
        redirect_uri,
        gateway.base_url.as_str(),
        &gateway.site.table,
    );
    match authorization {
        Ok(authorization) => login::show_consent_page(request, authorization, None),
        Err(error) => {
            request.refused("authorization", &error.to_string()).record();
            error_before_consent(&gateway, &return_address, &error)
        }
    }
}

async fn resolve_client(request: Request<'_>, client_id: Option<&str>) -> Result<KnownClient, Failure> {
    let client_id = client_id.ok_or_else(|| OAuthError::invalid_client("client_id is missing"))?;
    clients::resolve(request, client_id, Freshness::Required).await
}

/// Selects the redirect URI and checks it against the current registration policy, which may be stricter than it was
/// when the client registered.
fn redirect_uri(
    gateway: &Gateway,
    known: &KnownClient,
    requested: Option<&str>,
) -> Result<RedirectUri, OAuthError> {
    let redirect_uri = known.client.redirect(requested, gateway.site.redirect_schemes)?;
    if !client::is_url(&known.id) {
        registration_policy::check_redirect_uri(&gateway.site.registration, &redirect_uri)
            .map_err(|why| OAuthError::invalid_request(why.to_string()))?;
    }
    Ok(redirect_uri)
}

/// Sends an error to the redirect URI before the user has consented. The redirect is automatic only to loopback and
/// trusted hosts; for others a page names the host first, else the gateway would be an open redirector
/// (RFC 9700 §4.11).
fn error_before_consent(gateway: &Gateway, to: &ReturnAddress, error: &OAuthError) -> Response<Bytes> {
    let url = to.error_url(error, gateway.iss());
    let destination = to.redirect_uri.destination();
    if login::is_trusted(gateway, &destination) {
        return reply::redirect(&url);
    }
    let page = ErrorRedirect {
        host: destination.label(),
        error: error.code.as_str(),
        description: &error.description,
        to: &url,
    };
    reply::html(StatusCode::BAD_REQUEST, page.page())
}

/// Responds to a `client_id` that cannot be resolved. A client with a metadata document cannot register again: the
/// user can only retry or contact its vendor.
fn unknown_client(request: Request<'_>, client_id: Option<&str>, failure: Failure) -> Response<Bytes> {
    if !client_id.is_some_and(client::is_url) {
        let can_register = request.gateway.site.registration.enabled;
        let text = if can_register { UNKNOWN_REGISTRATION } else { UNKNOWN_CLIENT };
        return error_without_redirect(request, failure.into_oauth_error(), text);
    }
    if matches!(failure, Failure::OAuth(_)) {
        return error_without_redirect(request, failure.into_oauth_error(), INVALID_DOCUMENT);
    }
    let code = failure.into_oauth_error().code;
    let error = OAuthError::new(code, "what the app publishes about itself could not be fetched: try again");
    let mut response = error_without_redirect(request, error, DOCUMENT_UNAVAILABLE);
    *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    response
}

/// Selects the page text for an invalid redirect URI: only some clients can register again.
fn invalid_redirect_uri(gateway: &Gateway, known: &KnownClient) -> PageText {
    if gateway.site.registration.enabled && !client::is_url(&known.id) {
        INVALID_REDIRECT_URI
    } else {
        INVALID_REDIRECT_URI_OF_FIXED_CLIENT
    }
}

/// Text of an error page for the user.
#[derive(Clone, Copy)]
struct PageText {
    title: &'static str,
    what_happened: &'static str,
    what_to_do: Guidance<'static>,
}

const UNKNOWN_REGISTRATION: PageText = PageText {
    title: "This app has to connect again",
    what_happened: "It still uses a registration that this gateway does not know, or that does not count any more.",
    what_to_do: Guidance::RegisterAgain,
};
const UNKNOWN_CLIENT: PageText = PageText {
    title: "This app is not known here",
    what_happened: "This gateway does not know the app, and does not let apps register themselves.",
    what_to_do: Guidance::Text("Ask your administrator which apps you can use with it."),
};
const INVALID_DOCUMENT: PageText = PageText {
    title: "This app cannot connect here",
    what_happened: "What the app publishes about itself is not what this gateway accepts.",
    what_to_do: Guidance::Text(
        "The people who make the app can correct this. If your company chooses which apps may connect, ask there.",
    ),
};
const DOCUMENT_UNAVAILABLE: PageText = PageText {
    title: "This app cannot be looked up now",
    what_happened: "What the app publishes about itself could not be fetched.",
    what_to_do: Guidance::Text("Wait a minute, then connect again from the app."),
};
const INVALID_REDIRECT_URI: PageText = PageText {
    title: "This app wants to be answered at another address",
    what_happened: "It asked for your approval to be sent to an address that it has not registered, or that this \
                    gateway does not allow. Nothing was sent.",
    what_to_do: Guidance::RegisterAgain,
};
const INVALID_REDIRECT_URI_OF_FIXED_CLIENT: PageText = PageText {
    what_to_do: Guidance::Text("The people who make the app, or your administrator, can correct this."),
    ..INVALID_REDIRECT_URI
};

/// Responds with an error that must not be redirected: a page for a browser, JSON for a client that probes the URL.
/// The status is always 400, because `FastMCP` treats any other one except a redirect as a server failure. There are
/// no CORS headers (OAuth 2.1 §3.1).
fn error_without_redirect(request: Request<'_>, error: OAuthError, text: PageText) -> Response<Bytes> {
    let detail = error.to_string();
    request.refused("authorization", &detail).record();
    if !failure::wants_page(request.head) {
        let mut response = failure::oauth_error(Failure::OAuth(error));
        *response.status_mut() = StatusCode::BAD_REQUEST;
        return response;
    }
    let PageText { title, what_happened, what_to_do } = text;
    let page = Problem { title, what_happened, what_to_do, detail: &detail, request_id: request.id() };
    reply::html(StatusCode::BAD_REQUEST, page.page())
}
