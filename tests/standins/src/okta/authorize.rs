//! Authorization endpoint and login form.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse as _, Response};

use super::claims::has;
use super::login_page::{LoginPage, login_page};
use super::options::RefreshTokens;
use super::org::{AuthorizeRequest, Code, Org, Session};
use super::responses::{NOT_ASSIGNED, OAuthError, page, redirect, redirect_error};
use super::server::AuthServer;
use super::users::PASSWORD;
use crate::params::Params;
use crate::random;

const CODE_LIFETIME: u64 = 60;
const BAD_LOGIN: &str = "Unable to sign in";

pub(super) async fn at_org(org: State<Arc<Org>>, headers: HeaderMap, RawQuery(query): RawQuery) -> Response {
    authorize(&org, AuthServer::Org, &headers, &query.unwrap_or_default())
}

pub(super) async fn at_custom(
    org: State<Arc<Org>>,
    Path(id): Path<String>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Response {
    authorize(&org, AuthServer::Custom(id), &headers, &query.unwrap_or_default())
}

/// `POST /login`: response to the login form.
pub(super) async fn login(State(org): State<Arc<Org>>, body: Bytes) -> Response {
    let form = Params::parse(&body);
    let state_token = form.get("stateToken").unwrap_or_default();
    let mut memory = org.memory();
    let Some(request) = memory.pending.get(state_token).cloned() else {
        return page(
            StatusCode::BAD_REQUEST,
            "This sign-in has expired. Go back to the app and start again.",
        );
    };
    let login = form.get("username").unwrap_or_default();
    let known = memory.users.iter().find(|user| user.is_login_name(login)).map(|user| user.username.clone());
    let allowed =
        known.filter(|name| form.get("password") == Some(PASSWORD) && !memory.suspended.contains(name));
    let Some(username) = allowed else {
        let shown = LoginPage { state_token, username: login, error: Some(BAD_LOGIN), users: &memory.users };
        return (StatusCode::UNAUTHORIZED, Html(login_page(&shown))).into_response();
    };
    memory.pending.take(state_token);
    let session = Session { username, auth_time: org.now() };
    let sid = random::token();
    memory.sessions.insert(sid.clone(), session.clone());
    drop(memory);
    let mut response = grant(&org, request, session);
    let cookie = format!("sid={sid}; Path=/; HttpOnly; SameSite=Lax");
    if let Ok(cookie) = HeaderValue::from_str(&cookie) {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    response
}

fn authorize(org: &Org, server: AuthServer, headers: &HeaderMap, query: &str) -> Response {
    let params = Params::parse(query.as_bytes());
    if params.get("client_id") != Some(&org.options.client_id) {
        return page(StatusCode::BAD_REQUEST, "Invalid value for 'client_id' parameter.");
    }
    let redirect_uri = params.get("redirect_uri").unwrap_or_default();
    if !org.memory().redirect_uris.iter().any(|registered| registered == redirect_uri) {
        let words = "The 'redirect_uri' parameter must be a Login redirect URI in the client app settings.";
        return page(StatusCode::BAD_REQUEST, words);
    }
    let request = read(server, redirect_uri, &params);
    if let Err(error) = check(org, &request, &params) {
        return redirect_error(&request, error);
    }
    match (session(org, headers), request.prompt.as_deref()) {
        (Some(session), Some("none" | "consent") | None) => grant(org, request, session),
        (None, Some("none")) => redirect_error(
            &request,
            OAuthError::bad_request(
                "login_required",
                "The client specified not to prompt, but the user is not logged in.",
            ),
        ),
        _ => ask(org, request),
    }
}

fn read(server: AuthServer, redirect_uri: &str, params: &Params) -> AuthorizeRequest {
    let text = |name| params.get(name).map(str::to_owned);
    AuthorizeRequest {
        server,
        redirect_uri: redirect_uri.to_owned(),
        state: text("state"),
        nonce: text("nonce"),
        scopes: params.get("scope").unwrap_or_default().split_whitespace().map(str::to_owned).collect(),
        challenge: text("code_challenge"),
        login_hint: text("login_hint"),
        prompt: text("prompt"),
    }
}

fn check(org: &Org, request: &AuthorizeRequest, params: &Params) -> Result<(), OAuthError> {
    let invalid_request = |description| Err(OAuthError::bad_request("invalid_request", description));
    if params.get("response_type") != Some("code") {
        let words = "The response type is not supported by the authorization server. Configured response types: [code]";
        return Err(OAuthError::bad_request("unsupported_response_type", words));
    }
    if request.state.is_none() {
        return invalid_request("The authentication request has an invalid 'state' parameter.");
    }
    if request.challenge.is_none() && org.options.require_pkce {
        return invalid_request("PKCE code challenge is required by the application.");
    }
    if request.challenge.is_some() && params.get("code_challenge_method") != Some("S256") {
        return invalid_request("PKCE code challenge method is unsupported. Supported values are 'S256'.");
    }
    if !has(&request.scopes, "openid") {
        let words = "Requests for ID tokens or access tokens with OpenID scopes require the 'openid' scope.";
        return Err(OAuthError::bad_request("invalid_scope", words));
    }
    let defined = request.server.scopes(&org.options);
    if request.scopes.iter().any(|scope| !defined.contains(scope)) {
        let words = "One or more scopes are not configured for the authorization server resource.";
        return Err(OAuthError::bad_request("invalid_scope", words));
    }
    if has(&request.scopes, "offline_access") && org.options.refresh_tokens == RefreshTokens::Refused {
        let words = "The following scopes are not allowed for this request: [offline_access].";
        return Err(OAuthError::bad_request("invalid_scope", words));
    }
    Ok(())
}

/// `GET /login/signout`: ends the session of this browser, so that the next login needs a password.
pub(super) async fn sign_out(State(org): State<Arc<Org>>, headers: HeaderMap) -> Response {
    if let Some(sid) = sid(&headers) {
        org.memory().sessions.take(sid);
    }
    let cookie = [(header::SET_COOKIE, "sid=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax")];
    (cookie, page(StatusCode::OK, "You are signed out.")).into_response()
}

/// Session of this browser, if any.
fn session(org: &Org, headers: &HeaderMap) -> Option<Session> {
    let memory = org.memory();
    let session = memory.sessions.get(sid(headers)?)?;
    (!memory.suspended.contains(&session.username)).then(|| session.clone())
}

fn sid(headers: &HeaderMap) -> Option<&str> {
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    cookies.flat_map(|value| value.split("; ")).find_map(|pair| pair.strip_prefix("sid="))
}

fn ask(org: &Org, request: AuthorizeRequest) -> Response {
    let state_token = random::token();
    let mut memory = org.memory();
    let username = request.login_hint.clone().unwrap_or_default();
    let shown =
        LoginPage { state_token: &state_token, username: &username, error: None, users: &memory.users };
    let html = login_page(&shown);
    memory.pending.insert(state_token, request);
    Html(html).into_response()
}

/// Issues a code if the app is assigned to the user, else Okta's error.
fn grant(org: &Org, request: AuthorizeRequest, session: Session) -> Response {
    let mut memory = org.memory();
    if memory.active(&session.username).is_none() {
        return redirect_error(&request, NOT_ASSIGNED);
    }
    let code = random::token();
    let response = redirect(&request, &[("code", &code)]);
    memory.codes.insert(code, Code { request, session, expires_at: org.now() + CODE_LIFETIME });
    response
}
