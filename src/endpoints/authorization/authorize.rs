//! `GET /auth/authorize`: the authorization endpoint (step 1 of `login`). It changes nothing and may come twice.

use crate::app::clients::{self, Freshness, Known};
use crate::app::rate_limit::Kind;
use crate::app::reply::{self, Failure};
use crate::app::request::RequestHead;
use crate::app::state::Gateway;
use crate::endpoints::authorization::login;
use crate::oauth::authorization::{AuthorizationRequest, ReturnAddress};
use crate::oauth::client_metadata;
use crate::oauth::error::OAuthError;
use crate::oauth::parameters::Parameters;
use crate::oauth::redirect::RedirectUri;
use crate::oauth::registration_policy;
use crate::pages::{ErrorRedirect, Guidance, Problem};
use bytes::Bytes;
use http::{Response, StatusCode};
use std::sync::Arc;

/// Checks a request and asks the person.
pub async fn get(gateway: Arc<Gateway>, head: RequestHead) -> Response<Bytes> {
    let parameters = Parameters::parse(head.parts.uri.query().unwrap_or_default());
    let client_id = parameters.get("client_id");
    if let Err(too_many) = gateway.admit(Kind::Authorization, &head, client_id).await {
        return reply::too_many(&head, too_many);
    }
    let known = match client(&gateway, &head, client_id).await {
        Ok(known) => known,
        Err(Failure::TooMany(too_many)) => return reply::too_many(&head, too_many),
        Err(failure) => return unknown_client(&gateway, &head, (client_id, failure)),
    };
    let redirect_uri = match redirect_uri(&gateway, &known, parameters.get("redirect_uri")) {
        Ok(redirect_uri) => redirect_uri,
        Err(refused) => return never_redirected(&head, refused, elsewhere(&gateway, &known)),
    };
    let return_address = ReturnAddress {
        redirect_uri: redirect_uri.clone(),
        state: parameters.get("state").map(str::to_owned),
    };
    let site = (gateway.base_url.as_str(), &gateway.site.table);
    let client = (known.id.as_str(), known.client.name.as_str());
    let request = AuthorizationRequest::parse(&parameters, client, redirect_uri, site);
    match request {
        Ok(request) => login::ask(&gateway, &head, request, None),
        Err(refused) => {
            head.refused("authorization", &refused.to_string()).record();
            send_back_unasked(&gateway, &return_address, &refused)
        }
    }
}

async fn client(gateway: &Gateway, head: &RequestHead, client_id: Option<&str>) -> Result<Known, Failure> {
    let client_id = client_id.ok_or_else(|| OAuthError::invalid_client("client_id is missing"))?;
    clients::resolve(gateway, head, (client_id, Freshness::Required)).await
}

/// The redirect URI, by the rules of today: a registration may be older than they are.
fn redirect_uri(gateway: &Gateway, known: &Known, asked: Option<&str>) -> Result<RedirectUri, OAuthError> {
    let redirect_uri = known.client.redirect(asked, gateway.site.redirect_schemes)?;
    if !client_metadata::is_url(&known.id) {
        registration_policy::admits(&gateway.site.registration, &redirect_uri)
            .map_err(OAuthError::invalid_request)?;
    }
    Ok(redirect_uri)
}

/// Before the person consented, an error goes only to loopback and to hosts that the site trusts; elsewhere a
/// page names the host first, or anyone could use us to send people to any site (RFC 9700 §4.11).
fn send_back_unasked(gateway: &Gateway, to: &ReturnAddress, refused: &OAuthError) -> Response<Bytes> {
    let url = to.refusal(refused, gateway.iss());
    let destination = to.redirect_uri.destination();
    if login::is_trusted(gateway, &destination) {
        return reply::redirect(&url);
    }
    let page = ErrorRedirect {
        host: destination.label(),
        error: refused.code.as_str(),
        description: &refused.description,
        to: &url,
    };
    reply::html(StatusCode::BAD_REQUEST, page.page())
}

/// A client that publishes what it is cannot register again: there is nothing to do but to try later, or to tell its
/// maker.
fn unknown_client(
    gateway: &Gateway,
    head: &RequestHead,
    (client_id, failure): (Option<&str>, Failure),
) -> Response<Bytes> {
    if !client_id.is_some_and(client_metadata::is_url) {
        let enabled = gateway.site.registration.enabled;
        return never_redirected(head, failure.public(), if enabled { FORGOTTEN } else { NOT_KNOWN });
    }
    if matches!(failure, Failure::OAuth(_)) {
        return never_redirected(head, failure.public(), NOT_ADMITTED);
    }
    let code = failure.public().code;
    let refused =
        OAuthError::new(code, "what the app publishes about itself could not be fetched: try again");
    let mut response = never_redirected(head, refused, NOT_FETCHED);
    *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    response
}

/// To register again helps those alone who can.
fn elsewhere(gateway: &Gateway, known: &Known) -> Words {
    if gateway.site.registration.enabled && !client_metadata::is_url(&known.id) {
        ELSEWHERE
    } else {
        ELSEWHERE_FOR_GOOD
    }
}

/// What a person reads, where a program reads the refusal.
#[derive(Clone, Copy)]
struct Words {
    title: &'static str,
    what_happened: &'static str,
    what_to_do: Guidance<'static>,
}

const FORGOTTEN: Words = Words {
    title: "This app has to connect again",
    what_happened: "It still uses a registration that this gateway does not know, or that does not count any more.",
    what_to_do: Guidance::RegisterAgain,
};
const NOT_KNOWN: Words = Words {
    title: "This app is not known here",
    what_happened: "This gateway does not know the app, and does not let apps register themselves.",
    what_to_do: Guidance::Text("Ask your administrator which apps you can use with it."),
};
const NOT_ADMITTED: Words = Words {
    title: "This app cannot connect here",
    what_happened: "What the app publishes about itself is not what this gateway accepts.",
    what_to_do: Guidance::Text(
        "The people who make the app can correct this. If your company chooses which apps may connect, ask there.",
    ),
};
const NOT_FETCHED: Words = Words {
    title: "This app cannot be looked up now",
    what_happened: "What the app publishes about itself could not be fetched.",
    what_to_do: Guidance::Text("Wait a minute, then connect again from the app."),
};
const ELSEWHERE: Words = Words {
    title: "This app wants to be answered at another address",
    what_happened: "It asked for your approval to be sent to an address that it has not registered, or that this \
                    gateway does not allow. Nothing was sent.",
    what_to_do: Guidance::RegisterAgain,
};
const ELSEWHERE_FOR_GOOD: Words = Words {
    what_to_do: Guidance::Text("The people who make the app, or your administrator, can correct this."),
    ..ELSEWHERE
};

/// 400 for all clients: `FastMCP` takes anything else but a redirect for a broken server. A page for a browser,
/// JSON for a program that looks before it opens one; never for a script (OAuth 2.1 §3.1 forbids CORS here).
fn never_redirected(head: &RequestHead, refused: OAuthError, words: Words) -> Response<Bytes> {
    let detail = refused.to_string();
    head.refused("authorization", &detail).record();
    if !reply::wants_page(head) {
        let mut response = reply::refused(Failure::OAuth(refused));
        *response.status_mut() = StatusCode::BAD_REQUEST;
        return response;
    }
    let Words { title, what_happened, what_to_do } = words;
    let page =
        Problem { title, what_happened, what_to_do, detail: &detail, request_id: head.request_id.as_str() };
    reply::html(StatusCode::BAD_REQUEST, page.page())
}
