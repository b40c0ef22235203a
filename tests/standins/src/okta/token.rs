//! Token endpoint: codes and refresh tokens.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Json, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::app_auth::{Presented, authenticate};
use super::claims::has;
use super::id_token::{Subject, id_token};
use super::options::RefreshTokens;
use super::org::{Access, Family, Memory, Org, Session};
use super::refresh;
use super::responses::{INVALID_CODE, OAuthError, TOO_MANY_GROUPS};
use super::server::AuthServer;
use crate::params::Params;
use crate::random;

const ACCESS_LIFETIME: u64 = 3600;

pub(super) async fn at_org(org: State<Arc<Org>>, headers: HeaderMap, body: Bytes) -> Response {
    respond(token(&org, &AuthServer::Org, &headers, &body))
}

pub(super) async fn at_custom(
    org: State<Arc<Org>>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    respond(token(&org, &AuthServer::Custom(id), &headers, &body))
}

/// `…/v1/revoke`: RFC 7009; an unknown token is not an error.
pub(super) async fn revoke(org: State<Arc<Org>>, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    with_presented_token(&org, &uri, &headers, &body, |memory, token| {
        memory.access_tokens.take(token);
        if let Some(family) = memory.refresh_tokens.take(token) {
            memory.families.take(&family);
        }
        StatusCode::OK.into_response()
    })
}

/// `…/v1/introspect`: RFC 7662, without the details of active tokens.
pub(super) async fn introspect(org: State<Arc<Org>>, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    with_presented_token(&org, &uri, &headers, &body, |memory, token| {
        let active = memory.access_tokens.get(token).is_some() || memory.refresh_tokens.get(token).is_some();
        Json(json!({ "active": active })).into_response()
    })
}

/// Authenticates the app, then responds to its `token`.
fn with_presented_token(
    org: &Org,
    uri: &Uri,
    headers: &HeaderMap,
    body: &[u8],
    respond: impl FnOnce(&mut Memory, &str) -> Response,
) -> Response {
    let form = Params::parse(body);
    let mut memory = org.memory();
    let presented = Presented { headers, form: &form, endpoint: format!("{}{}", org.origin, uri.path()) };
    match authenticate(org, &mut memory, &presented) {
        Ok(()) => respond(&mut memory, form.get("token").unwrap_or_default()),
        Err(error) => error.into_response(),
    }
}

fn respond(response: Result<Value, OAuthError>) -> Response {
    match response {
        Ok(body) => ([(header::CACHE_CONTROL, "no-cache, no-store")], Json(body)).into_response(),
        Err(error) => error.into_response(),
    }
}

fn token(org: &Org, server: &AuthServer, headers: &HeaderMap, body: &[u8]) -> Result<Value, OAuthError> {
    let form = Params::parse(body);
    let mut memory = org.memory();
    let presented = Presented { headers, form: &form, endpoint: server.token_endpoint(&org.origin) };
    authenticate(org, &mut memory, &presented)?;
    match form.get("grant_type") {
        Some("authorization_code") => by_code(org, &mut memory, server, &form),
        Some("refresh_token") => refresh::by_refresh_token(org, &mut memory, server, &form),
        _ => Err(OAuthError::bad_request(
            "unsupported_grant_type",
            "The authorization grant type is not supported by the authorization server.",
        )),
    }
}

fn by_code(org: &Org, memory: &mut Memory, server: &AuthServer, form: &Params) -> Result<Value, OAuthError> {
    let code = memory.codes.take(form.get("code").unwrap_or_default()).ok_or(INVALID_CODE)?;
    if code.expires_at <= org.now() || code.request.server != *server {
        return Err(INVALID_CODE);
    }
    if form.get("redirect_uri") != Some(&code.request.redirect_uri) {
        let words =
            "The 'redirect_uri' does not match the redirection URI used in the authorization request.";
        return Err(OAuthError::bad_request("invalid_grant", words));
    }
    if let Some(challenge) = &code.request.challenge {
        let verifier = form.get("code_verifier").unwrap_or_default();
        if URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.as_bytes())) != *challenge {
            return Err(OAuthError::bad_request("invalid_grant", "PKCE verification failed."));
        }
    }
    let user = memory.active(&code.session.username).ok_or(INVALID_CODE)?;
    if org.options.max_groups.is_some_and(|max| user.groups.len() > max) {
        return Err(TOO_MANY_GROUPS);
    }
    let scopes = &code.request.scopes;
    let issued = Issued { server, session: &code.session, scopes, nonce: code.request.nonce.as_deref() };
    let mut response = tokens(org, memory, &issued);
    if has(scopes, "offline_access") && org.options.refresh_tokens != RefreshTokens::Withheld {
        response["refresh_token"] = json!(start_family(memory, server, &code.session, scopes));
    }
    Ok(response)
}

/// Properties of the tokens of one response.
pub(super) struct Issued<'a> {
    /// Authorization server that issues them.
    pub server: &'a AuthServer,
    /// Session of their user.
    pub session: &'a Session,
    /// Granted scopes.
    pub scopes: &'a [String],
    /// Nonce of the authorization request.
    pub nonce: Option<&'a str>,
}

/// Issues an access token and, with the scope `openid`, an ID token.
pub(super) fn tokens(org: &Org, memory: &mut Memory, issued: &Issued<'_>) -> Value {
    let access_token = access_token(org, memory, issued);
    let &Issued { server, session, scopes, nonce } = issued;
    let mut response = json!({
        "token_type": "Bearer", "expires_in": ACCESS_LIFETIME,
        "access_token": access_token, "scope": scopes.join(" "),
    });
    if has(scopes, "openid") {
        let subject = Subject { server, session, scopes, nonce, access_token: &access_token };
        if let Some(id_token) = id_token(org, memory, &subject) {
            response["id_token"] = json!(id_token);
        }
    }
    response
}

fn access_token(org: &Org, memory: &mut Memory, issued: &Issued<'_>) -> String {
    let &Issued { server, session, scopes, .. } = issued;
    let expires_at = org.now() + ACCESS_LIFETIME;
    let uid = memory.user(&session.username).map(|user| user.sub.clone());
    let audience = match server {
        AuthServer::Org => org.origin.clone(),
        AuthServer::Custom(id) => format!("api://{id}"),
    };
    let claims = json!({
        "ver": 1, "jti": format!("AT.{}", random::token()), "iss": server.issuer(&org.origin), "aud": audience,
        "iat": org.now(), "exp": expires_at, "cid": org.options.client_id, "uid": uid, "scp": scopes,
        "auth_time": session.auth_time, "sub": session.username,
    });
    let header = json!({ "alg": "RS256", "kid": memory.keys.kid() });
    let token = memory.keys.sign(&header, &claims);
    let access = Access {
        username: session.username.clone(),
        server: server.clone(),
        scopes: scopes.to_vec(),
        expires_at,
    };
    memory.access_tokens.insert(token.clone(), access);
    token
}

fn start_family(memory: &mut Memory, server: &AuthServer, session: &Session, scopes: &[String]) -> String {
    let (id, token) = (random::token(), random::token());
    memory.refresh_tokens.insert(token.clone(), id.clone());
    let family = Family {
        session: session.clone(),
        server: server.clone(),
        scopes: scopes.to_vec(),
        current: token.clone(),
        previous: None,
    };
    memory.families.insert(id, family);
    token
}
