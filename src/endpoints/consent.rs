//! `POST /auth/authorize`: the person's answer to the consent page (step 2 of `login`).

use crate::cookies::{Cookie, Kind};
use crate::credential;
use crate::decision::Head;
use crate::events::Audit;
use crate::gateway::Gateway;
use crate::grants::Consented;
use crate::limits;
use crate::login::{self, Asking};
use crate::oauth::authorization::AuthorizationRequest;
use crate::oauth::error::{Code, Refused};
use crate::oauth::parameters::Parameters;
use crate::pages::Outcome;
use crate::reply::{self, Failure};
use bytes::Bytes;
use http::header::ORIGIN;
use http::{Response, StatusCode};
use std::sync::Arc;
use subtle::ConstantTimeEq;

/// The longest form that is read, in bytes: it holds the sealed request.
pub const LONGEST: usize = 64 * 1024;

/// Approves or denies.
pub async fn post(gateway: Arc<Gateway>, head: Head, body: Bytes) -> Response<Bytes> {
    if let Err(too_many) = gateway.admit(limits::Kind::Authorization, &head, None).await {
        return reply::too_many(&head, too_many);
    }
    let form = Parameters::parse(&String::from_utf8_lossy(&body));
    let asking: Option<Asking> =
        form.get("request").and_then(|sealed| gateway.credentials.open_request(sealed));
    let Some(asking) = asking else {
        return login::start_again(
            &head,
            StatusCode::BAD_REQUEST,
            "The page was open for too long, or is not ours.",
        );
    };
    if !is_same_browser(&gateway, &head, &asking) {
        return login::start_again(
            &head,
            StatusCode::FORBIDDEN,
            "The answer did not come from the page that asked.",
        );
    }
    match form.get("decision") {
        Some("approve") => approve(&gateway, &head, asking, form.get("route")).await,
        _ => deny(&gateway, &head, &asking),
    }
}

/// The cookie of this very page is there (another site cannot set or send it), and the browser does not say that
/// another site posted the form.
fn is_same_browser(gateway: &Gateway, head: &Head, asking: &Asking) -> bool {
    let headers = &head.parts.headers;
    let foreign = headers.get(ORIGIN).is_some_and(|origin| origin != gateway.base_url.as_str());
    let cookie = Cookie::new(Kind::Consent, &asking.id, gateway.base_url.is_https());
    let digest = cookie.read(headers).map(credential::digest);
    !foreign && digest.is_some_and(|digest| digest.ct_eq(&asking.browser).into())
}

async fn approve(
    gateway: &Gateway,
    head: &Head,
    mut asking: Asking,
    picked: Option<&str>,
) -> Response<Bytes> {
    let table = &gateway.site.table;
    if asking.request.route.is_none() {
        let picked = table.routes().iter().find(|route| Some(route.pattern) == picked);
        asking.request.route = picked.map(|route| route.pattern.to_owned());
    }
    if asking.request.route(table).is_none() {
        return login::ask(gateway, asking.request, asking.waiting, Some("Choose the server to connect to."));
    }
    audit(&asking.request, head.allowed("consent"));
    let return_address = asking.request.return_address();
    let response = match asking.waiting {
        Some(key) => after_login(gateway, head, asking.request, key).await,
        None => login::start(gateway, asking.request, Consented::Now).await.map(|(url, cookie)| {
            let okta = url::Url::parse(&url).ok().and_then(|url| url.host_str().map(str::to_owned));
            let page = login::leave(&url, okta.as_deref().unwrap_or("Okta"), Outcome::ToSignIn);
            reply::with_cookie(page, &cookie)
        }),
    };
    response.unwrap_or_else(|failure| login::send_back_by_page(gateway, head, (&return_address, failure)))
}

/// The person had signed in before they were asked.
async fn after_login(
    gateway: &Gateway,
    head: &Head,
    request: AuthorizationRequest,
    key: [u8; 32],
) -> Result<Response<Bytes>, Failure> {
    let waiting = gateway.grants.take_login(key).await?;
    let waiting =
        waiting.ok_or_else(|| Refused::new(Code::AccessDenied, "the login has expired: start again"))?;
    Ok(login::finish(gateway, head, request, waiting).await?.by_page())
}

fn deny(gateway: &Gateway, head: &Head, asking: &Asking) -> Response<Bytes> {
    let to = asking.request.return_address();
    audit(&asking.request, head.refused("consent", "the person denied the request"));
    let refused = Refused::new(Code::AccessDenied, "the person denied the request");
    let url = to.refusal(&refused, gateway.iss());
    login::leave(&url, to.redirect_uri.destination().label(), Outcome::Denied)
}

fn audit(request: &AuthorizationRequest, event: Audit<'_>) {
    let route = request.route.as_deref().unwrap_or_default();
    Audit { client: &request.client_name, client_id: &request.client_id, route, ..event }.record();
}
