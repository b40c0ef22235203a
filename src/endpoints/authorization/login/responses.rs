//! Redirects of the login flow and its intermediate pages.

use crate::app::failure::Failure;
use crate::app::reply;
use crate::app::request::Request;
use crate::app::state::Gateway;
use crate::oauth::authorization::ReturnAddress;
use crate::oauth::error::OAuthError;
use crate::oauth::redirect::Destination;
use crate::pages::{Guidance, Leaving, Outcome, Problem};
use bytes::Bytes;
use http::{Response, StatusCode};

/// Returns `true` if an error may be redirected there automatically (RFC 9700 §4.11.2). A private scheme is never
/// trusted, because any program can register it.
pub(in crate::endpoints::authorization) fn is_trusted(gateway: &Gateway, destination: &Destination) -> bool {
    match destination {
        Destination::Loopback(_) => true,
        Destination::Web(host) => gateway.site.trusted_redirect_hosts.contains(&host.as_str()),
        Destination::PrivateScheme(_) => false,
    }
}

/// Returns a same-origin page that redirects automatically. The response to a form must not be a redirect, because
/// Chromium applies the page's `form-action` to the whole redirect chain.
pub(in crate::endpoints::authorization) fn redirect_page(
    url: &str,
    destination: &str,
    outcome: Outcome<'_>,
) -> Response<Bytes> {
    reply::html(StatusCode::OK, Leaving { to: url, destination, outcome, by_itself: true }.page())
}

/// Returns a page that sends an error to the client: automatically to a trusted destination, else when the user
/// continues.
pub(in crate::endpoints::authorization) fn error_page(
    gateway: &Gateway,
    to: &ReturnAddress,
    error: &OAuthError,
    outcome: Outcome<'_>,
) -> Response<Bytes> {
    let url = to.error_url(error, gateway.iss());
    let destination = to.redirect_uri.destination();
    let by_itself = is_trusted(gateway, &destination);
    let page = Leaving { to: &url, destination: destination.label(), outcome, by_itself };
    reply::html(StatusCode::OK, page.page())
}

/// Sends an error to the client in response to a GET request, by a redirect where the destination is trusted.
pub(in crate::endpoints::authorization) fn error_redirect(
    request: Request<'_>,
    to: &ReturnAddress,
    failure: Failure,
) -> Response<Bytes> {
    let error = failure.into_oauth_error();
    if is_trusted(request.gateway, &to.redirect_uri.destination()) {
        return reply::redirect(&to.error_url(&error, request.gateway.iss()));
    }
    error_page(request.gateway, to, &error, failed(request, &error))
}

/// Sends an error to the client in response to a form, always by a page.
pub(in crate::endpoints::authorization) fn error_page_after_form(
    request: Request<'_>,
    to: &ReturnAddress,
    failure: Failure,
) -> Response<Bytes> {
    let error = failure.into_oauth_error();
    error_page(request.gateway, to, &error, failed(request, &error))
}

fn failed<'a>(request: Request<'a>, error: &'a OAuthError) -> Outcome<'a> {
    Outcome::Failed { why: &error.description, request_id: request.id() }
}

/// Returns a page that explains the failure and asks the user to connect again.
pub(in crate::endpoints::authorization) fn restart_page(
    request: Request<'_>,
    status: StatusCode,
    what_happened: &str,
) -> Response<Bytes> {
    request.refused("login", what_happened).record();
    let page = Problem {
        title: "Please start again",
        what_happened,
        what_to_do: Guidance::StartAgain,
        detail: "",
        request_id: request.id(),
    };
    reply::html(status, page.page())
}
