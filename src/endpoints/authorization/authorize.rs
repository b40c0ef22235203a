//! `GET /auth/authorize`: the authorization endpoint (step 1 of `login`). It is idempotent.

use crate::app::audit_subject::AuditSubject;
use crate::app::clients::{self, Freshness, KnownClient};
use crate::app::failure::{Failure, ProblemText};
use crate::app::rate_limit::Kind;
use crate::app::request::{Request, RequestHead};
use crate::app::state::Gateway;
use crate::endpoints::authorization::login;
use crate::oauth::authorization::{AuthorizationRequest, ReturnAddress};
use crate::oauth::client;
use crate::oauth::client::registration_policy;
use crate::oauth::error::OAuthError;
use crate::oauth::parameters::Parameters;
use crate::oauth::redirect::RedirectUri;
use crate::oauth::resource::{self, RequestedResource};
use crate::pages::Guidance;
use bytes::Bytes;
use gateway_routes::ClientMetadataMode;
use http::Response;
use std::sync::Arc;

/// Validates an authorization request and shows the consent page.
pub async fn get(gateway: Arc<Gateway>, head: Arc<RequestHead>) -> Response<Bytes> {
    let request = Request { gateway: &gateway, head: &head };
    let parameters = request.query();
    let client_id = parameters.get("client_id");
    let mut subject = subject(&gateway, &parameters);
    let known = match resolve_client(request, client_id).await {
        Ok(known) => known,
        Err(failure) => {
            let text = unknown_client(&gateway, client_id, &failure);
            let reported = failure.report(request, Kind::Authorization, &subject);
            return text.map_or_else(|| reported.too_many(), |text| reported.page_or_json(&text));
        }
    };
    known.identify(&mut subject);
    let redirect_uri = match redirect_uri(&gateway, &known, parameters.get("redirect_uri")) {
        Ok(redirect_uri) => redirect_uri,
        Err(error) => {
            let reported = Failure::from(error).report(request, Kind::Authorization, &subject);
            return reported.page_or_json(&invalid_redirect_uri(&gateway, &known));
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
        Err(error) => Failure::from(error)
            .report(request, Kind::Authorization, &subject)
            .redirect_before_consent(&return_address),
    }
}

/// Returns what the parameters claim: the client, and the route of the requested resource.
pub fn subject(gateway: &Gateway, parameters: &Parameters) -> AuditSubject {
    let mut subject = AuditSubject::default();
    if let Some(client_id) = parameters.get("client_id") {
        subject.claim_client(client_id);
    }
    let (base_url, table) = (gateway.base_url.as_str(), &gateway.site.table);
    if let Ok(RequestedResource::Route(route)) = resource::requested(parameters.resources(), base_url, table)
    {
        route.pattern.clone_into(&mut subject.route);
    }
    subject
}

async fn resolve_client(request: Request<'_>, client_id: Option<&str>) -> Result<KnownClient, Failure> {
    request.rate_limit(Kind::Authorization, client_id).await?;
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

/// Selects the page text for a `client_id` that cannot be resolved; `None` for an exceeded rate limit. A client with a
/// metadata document cannot register, unless the site supports no documents: the user can only retry or contact its
/// vendor.
fn unknown_client(gateway: &Gateway, client_id: Option<&str>, failure: &Failure) -> Option<ProblemText> {
    Some(match failure {
        Failure::TooMany(_) => return None,
        Failure::OAuth(_) | Failure::ClientDocument { .. } if client_id.is_some_and(client::is_url) => {
            match gateway.site.client_metadata.mode {
                ClientMetadataMode::Fetch => INVALID_DOCUMENT,
                ClientMetadataMode::Pinned => UNLISTED_DOCUMENT,
                ClientMetadataMode::Off if gateway.site.registration.enabled => UNSUPPORTED_DOCUMENT,
                ClientMetadataMode::Off => UNKNOWN_CLIENT,
            }
        }
        Failure::OAuth(_) if gateway.site.registration.enabled => UNKNOWN_REGISTRATION,
        Failure::OAuth(_) => UNKNOWN_CLIENT,
        _ => DOCUMENT_UNAVAILABLE,
    })
}

/// Selects the page text for an invalid redirect URI: only some clients can register again.
fn invalid_redirect_uri(gateway: &Gateway, known: &KnownClient) -> ProblemText {
    if gateway.site.registration.enabled && !client::is_url(&known.id) {
        INVALID_REDIRECT_URI
    } else {
        INVALID_REDIRECT_URI_OF_FIXED_CLIENT
    }
}

const UNKNOWN_REGISTRATION: ProblemText = ProblemText {
    title: "This app has to connect again",
    what_happened: "It still uses a registration that this gateway does not know, or that does not count any more.",
    what_to_do: Guidance::RegisterAgain,
};
const UNKNOWN_CLIENT: ProblemText = ProblemText {
    title: "This app is not known here",
    what_happened: "This gateway does not know the app, and does not let apps register themselves.",
    what_to_do: Guidance::Text("Ask your administrator which apps you can use with it."),
};
const INVALID_DOCUMENT: ProblemText = ProblemText {
    title: "This app cannot connect here",
    what_happened: "What the app publishes about itself is not what this gateway accepts.",
    what_to_do: Guidance::Text(
        "The people who make the app can correct this. If your company chooses which apps may connect, ask there.",
    ),
};
const UNLISTED_DOCUMENT: ProblemText = ProblemText {
    title: "This app is not known here",
    what_happened: "This gateway accepts the apps that its administrator has listed, and this is another one.",
    what_to_do: Guidance::Text("Ask your administrator to add the app: the address below is its id."),
};
const UNSUPPORTED_DOCUMENT: ProblemText = ProblemText {
    title: "This app has to connect again",
    what_happened: "It uses the address of a document as its id, and this gateway lets apps register instead.",
    what_to_do: Guidance::RegisterAgain,
};
const DOCUMENT_UNAVAILABLE: ProblemText = ProblemText {
    title: "This app cannot be looked up now",
    what_happened: "What the app publishes about itself could not be fetched.",
    what_to_do: Guidance::Text(
        "Wait a minute, then connect again from the app. If that does not help, tell your administrator: the gateway may \
         have no access to the app's site.",
    ),
};
const INVALID_REDIRECT_URI: ProblemText = ProblemText {
    title: "This app names another address than it registered",
    what_happened: "It asked for your approval to be sent to an address that it has not registered, or that this \
                    gateway does not allow. Nothing was sent.",
    what_to_do: Guidance::RegisterAgain,
};
const INVALID_REDIRECT_URI_OF_FIXED_CLIENT: ProblemText = ProblemText {
    what_to_do: Guidance::Text("The people who make the app, or your administrator, can correct this."),
    ..INVALID_REDIRECT_URI
};
