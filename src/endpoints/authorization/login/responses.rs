//! Where a login sends the browser, and the pages in between.

use crate::app::reply::{self, Failure};
use crate::app::request::RequestHead;
use crate::app::state::Gateway;
use crate::oauth::authorization::ReturnAddress;
use crate::oauth::error::OAuthError;
use crate::oauth::redirect::Destination;
use crate::pages::{Guidance, Leaving, Outcome, Problem};
use bytes::Bytes;
use http::{Response, StatusCode};

/// Whether an error may take the browser there by itself (RFC 9700 §4.11.2). Any program can claim a private scheme.
pub(in crate::endpoints::authorization) fn is_trusted(gateway: &Gateway, destination: &Destination) -> bool {
    match destination {
        Destination::Loopback(_) => true,
        Destination::Web(host) => gateway.site.trusted_redirect_hosts.contains(&host.as_str()),
        Destination::PrivateScheme(_) => false,
    }
}

/// A same-origin page that goes on by itself: Chromium holds the whole redirect chain of a form against the page's
/// `form-action`, so a form is never answered with a redirect.
pub(in crate::endpoints::authorization) fn leave(
    url: &str,
    destination: &str,
    outcome: Outcome<'_>,
) -> Response<Bytes> {
    reply::html(StatusCode::OK, Leaving { to: url, destination, outcome, by_itself: true }.page())
}

/// A page that tells the client of a refusal: it goes on by itself where that is trusted, else by hand.
pub(in crate::endpoints::authorization) fn leave_refused(
    gateway: &Gateway,
    to: &ReturnAddress,
    refused: &OAuthError,
    outcome: Outcome<'_>,
) -> Response<Bytes> {
    let url = to.refusal(refused, gateway.iss());
    let destination = to.redirect_uri.destination();
    let by_itself = is_trusted(gateway, &destination);
    let page = Leaving { to: &url, destination: destination.label(), outcome, by_itself };
    reply::html(StatusCode::OK, page.page())
}

/// Sends a failure back to the client, to a browser that came by a link or a redirect.
pub(in crate::endpoints::authorization) fn send_back(
    gateway: &Gateway,
    head: &RequestHead,
    (to, failure): (&ReturnAddress, Failure),
) -> Response<Bytes> {
    let refused = failure.public();
    if is_trusted(gateway, &to.redirect_uri.destination()) {
        return reply::redirect(&to.refusal(&refused, gateway.iss()));
    }
    leave_refused(gateway, to, &refused, failed(head, &refused))
}

/// Sends a failure back to the client, to a browser that came by our form.
pub(in crate::endpoints::authorization) fn send_back_by_page(
    gateway: &Gateway,
    head: &RequestHead,
    (to, failure): (&ReturnAddress, Failure),
) -> Response<Bytes> {
    let refused = failure.public();
    leave_refused(gateway, to, &refused, failed(head, &refused))
}

fn failed<'a>(head: &'a RequestHead, refused: &'a OAuthError) -> Outcome<'a> {
    Outcome::Failed { why: &refused.description, request_id: head.request_id.as_str() }
}

/// A dead end that ends well: what happened, and that connecting once more helps.
pub(in crate::endpoints::authorization) fn start_again(
    head: &RequestHead,
    status: StatusCode,
    what_happened: &str,
) -> Response<Bytes> {
    head.refused("login", what_happened).record();
    let page = Problem {
        title: "Please start again",
        what_happened,
        what_to_do: Guidance::StartAgain,
        detail: "",
        request_id: head.request_id.as_str(),
    };
    reply::html(status, page.page())
}
