//! Authorization of MCP requests, from the request head alone: token, grant, scopes and groups.

pub use crate::app::reply::json_rpc_error as error;

use crate::app::audit::Audit;
use crate::app::rate_limit::Sender;
use crate::app::reply;
use crate::app::request::{AuthorizedRequest, Decision, Request, RequestHead};
use crate::app::state::Gateway;
use crate::credential::{AccessToken, Tag, TokenError};
use crate::grants::{ActiveGrant, Grant, GrantStatus};
use crate::oauth::bearer::{self, Presented, Reason, Several};
use crate::oauth::{metadata, resource, scope};
use crate::proxy::{self, Forward, Identity};
use crate::store::{GrantId, Unavailable};
use bytes::Bytes;
use gateway_routes::{Found, Route};
use http::header::{ORIGIN, RETRY_AFTER, VARY, WWW_AUTHENTICATE};
use http::request::Parts;
use http::{HeaderValue, Response, StatusCode};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

/// Maximum wait for the store while a cached status of the grant, at most a minute old, is available.
const STORE_WAIT: Duration = Duration::from_millis(100);

/// Error message for content that the request method does not define.
const UNDEFINED_CONTENT: &str = "requests of this method have no content: send it without a body";

/// Authorizes a request to an MCP server: synchronously while the status of its grant is cached.
pub fn decide(gateway: &Arc<Gateway>, head: Box<RequestHead>, found: Found) -> Decision {
    let origin = head.parts.headers.get(ORIGIN).cloned();
    let request = Request { gateway, head: &head };
    let token = match check_syntax(&head.parts).and_then(|()| verified_token(request, found.route)) {
        Ok(token) => token,
        Err(refusal) => return Decision::Respond(with_cors(refusal, origin.as_ref())),
    };
    if let Some(grant) = gateway.grants.cached_status(token.grant) {
        return into_decision(authorize(gateway, head, found, &token, &grant), origin);
    }
    let gateway = Arc::clone(gateway);
    Decision::Deferred(Box::pin(async move {
        let request = Request { gateway: &gateway, head: &head };
        let authorized = match active_grant(request, found.route, &token).await {
            Ok(grant) => authorize(&gateway, head, found, &token, &grant),
            Err(refusal) => Err(refusal),
        };
        into_decision(authorized, origin)
    }))
}

fn into_decision(authorized: Result<Box<Forward>, Response<Bytes>>, origin: Option<HeaderValue>) -> Decision {
    match authorized {
        Ok(forward) => Decision::Forward(AuthorizedRequest { forward, origin }),
        Err(refusal) => Decision::Respond(with_cors(refusal, origin.as_ref())),
    }
}

/// Returns `true` if scripts of this origin may call MCP servers: the gateway's own origin, loopback, and those that
/// the site allows.
pub fn is_allowed_origin(gateway: &Gateway, origin: &HeaderValue) -> bool {
    let Ok(origin) = origin.to_str() else { return false };
    let loopback = || {
        let host = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"))?;
        Some(gateway_routes::is_loopback_authority(host))
    };
    origin == gateway.base_url.as_str()
        || gateway.site.allowed_origins.contains(&origin)
        || loopback() == Some(true)
}

/// Adds CORS headers for an origin that is allowed.
pub fn with_cors<B>(mut response: Response<B>, origin: Option<&HeaderValue>) -> Response<B> {
    let headers = response.headers_mut();
    headers.append(VARY, HeaderValue::from_static("Origin"));
    if let Some(origin) = origin {
        headers.insert(http::header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        let exposed = HeaderValue::from_static("WWW-Authenticate, Mcp-Session-Id, MCP-Protocol-Version");
        headers.insert(http::header::ACCESS_CONTROL_EXPOSE_HEADERS, exposed);
    }
    response
}

/// Checks scopes and groups, records the call in the audit log and returns the request to forward.
fn authorize(
    gateway: &Arc<Gateway>,
    head: Box<RequestHead>,
    found: Found,
    token: &AccessToken,
    grant: &ActiveGrant,
) -> Result<Box<Forward>, Response<Bytes>> {
    let route = found.route;
    let request = Request { gateway, head: &head };
    check_policy(request, route, token, grant)?;
    let cancel = gateway.grants.streams.open(token.grant);
    Audit {
        user: &token.subject,
        client: &grant.client_name,
        client_id: &token.client_id,
        route: route.pattern,
        ..request.allowed("call")
    }
    .record();
    Ok(Box::new(Forward {
        route,
        rest: found.rest,
        request_id: head.request_id.into_value(),
        forwarded_for: head.address_text.into_value(),
        head: head.parts,
        identity: identity(route, grant),
        cancel,
    }))
}

/// Returns the claims of the request's access token, verified for this route. The token must be in the `Authorization`
/// header, once.
fn verified_token(request: Request<'_>, route: &Route) -> Result<Arc<AccessToken>, Response<Bytes>> {
    let Request { gateway, head } = request;
    let refuse = |reason| challenge(request, route, reason);
    let credentials =
        bearer::credentials(&head.parts.headers).map_err(|Several| refuse(Reason::InvalidRequest))?;
    if has_token_in_query(&head.parts) {
        return Err(refuse(Reason::InvalidRequest));
    }
    let Some(credentials) = credentials else { return Err(refuse(Reason::NoToken)) };
    let base_url = gateway.base_url.as_str();
    let (header, last_token) = (credentials.as_bytes(), &head.connection.token);
    let recalled = gateway.credentials.recall(header, last_token);
    if let Some(token) = recalled.filter(|token| resource::identifies(&token.audience, base_url, route)) {
        return Ok(token);
    }
    let token = match bearer::presented(credentials) {
        Presented::Token(token) => token,
        Presented::Nothing => return Err(refuse(Reason::NoToken)),
        Presented::Malformed => return Err(refuse(Reason::InvalidToken)),
    };
    let audience = resource::identifier(base_url, route);
    let may_verify = |tag: Option<&Tag>| gateway.forgeries.check(sender(head, tag)).is_ok();
    let credentials = &gateway.credentials;
    let verified = credentials.verify_on_connection(token, header, &audience, last_token, may_verify);
    verified.map_err(|rejection| reject_token(request, route, rejection))
}

/// Responds to an invalid token. A token whose signature was not verified may be valid: it gets 429, since clients
/// discard their tokens at 401.
fn reject_token(request: Request<'_>, route: &Route, rejection: TokenError) -> Response<Bytes> {
    let Request { gateway, head } = request;
    audit_refusal(request, route, rejection.reason());
    match rejection {
        TokenError::RateLimited => {
            let message =
                "too many tokens of this network have a wrong signature: Retry-After says when to try again";
            let mut response = error(StatusCode::TOO_MANY_REQUESTS, message);
            let seconds = gateway.forgeries.retry_after().as_secs();
            reply::set(&mut response, RETRY_AFTER, &seconds.to_string());
            return response;
        }
        TokenError::Forged(tag) => gateway.forgeries.count(sender(head, tag.as_ref())),
        TokenError::Unrecognized | TokenError::InvalidClaims => {}
    }
    challenge(request, route, Reason::InvalidToken)
}

fn sender<'a>(head: &RequestHead, tag: Option<&'a Tag>) -> Sender<'a> {
    Sender { address: head.address, tag: tag.map(|tag| &tag[..]) }
}

/// Refuses ambiguous paths and headers that MCP servers may interpret differently.
fn check_syntax(head: &Parts) -> Result<(), Response<Bytes>> {
    let refuse = |message| Err(error(StatusCode::BAD_REQUEST, message));
    if !proxy::is_normal(head.uri.path()) {
        return refuse("the path has a dot segment, an empty segment or an encoded slash");
    }
    if proxy::repeats_mcp_header(&head.headers) {
        return refuse("an Mcp-* header is repeated");
    }
    Ok(())
}

/// Returns `true` if the query contains an access token, which OAuth 2.1 §5.1 forbids: URLs are logged.
fn has_token_in_query(head: &Parts) -> bool {
    let Some(query) = head.uri.query() else { return false };
    url::form_urlencoded::parse(query.as_bytes()).any(|(name, _)| name == "access_token")
}

/// Returns the grant of a token from the store, if it is active.
async fn active_grant(
    request: Request<'_>,
    route: &'static Route,
    token: &AccessToken,
) -> Result<Arc<ActiveGrant>, Response<Bytes>> {
    match grant_status(request.gateway, token.grant).await {
        Some(Ok(GrantStatus::Active(grant))) => Ok(grant),
        Some(Ok(GrantStatus::Ended)) => {
            audit_refusal(request, route, "the grant is revoked or has ended");
            Err(challenge(request, route, Reason::InvalidToken))
        }
        // Not 401, at which clients discard their tokens.
        Some(Err(_)) | None => {
            let mut response =
                error(StatusCode::SERVICE_UNAVAILABLE, "the gateway cannot check the grant now");
            reply::set(&mut response, RETRY_AFTER, "2");
            Err(response)
        }
    }
}

/// Reads the status of a grant from the store, or from the cache when the store takes longer than [`STORE_WAIT`].
async fn grant_status(gateway: &Arc<Gateway>, id: GrantId) -> Option<Result<GrantStatus, Unavailable>> {
    let owned = Arc::clone(gateway);
    let mut status = pin!(gateway.on_control(async move { owned.grants.status(id).await }));
    if let Ok(status) = timeout(STORE_WAIT, &mut status).await {
        return status;
    }
    // The read continues on the control runtime and updates the cache.
    match gateway.grants.stale_status(id) {
        Some(grant) => Some(Ok(GrantStatus::Active(grant))),
        None => status.await,
    }
}

/// Checks the token's scopes and the user's groups.
fn check_policy(
    request: Request<'_>,
    route: &'static Route,
    token: &AccessToken,
    grant: &Grant,
) -> Result<(), Response<Bytes>> {
    if !scope::missing(&token.scopes, route).is_empty() {
        audit_refusal(request, route, "a scope is missing");
        return Err(challenge(request, route, Reason::InsufficientScope));
    }
    if is_member(route, grant) {
        return Ok(());
    }
    audit_refusal(request, route, "the user is in none of the route's groups");
    let needed = route.groups.join(", ");
    let user = grant.subject.user().email.as_deref().unwrap_or("this user");
    let message = format!(
        "{user} may not use {}: ask your Okta administrator for one of these groups: {needed}",
        route.name
    );
    Err(error(StatusCode::FORBIDDEN, &message))
}

/// Returns `true` if the open streams of a grant are still authorized: its route exists and admits the user's groups.
pub fn is_still_authorized(gateway: &Gateway, grant: &Grant) -> bool {
    gateway.site.table.find(&grant.route).is_some_and(|found| is_member(found.route, grant))
}

fn is_member(route: &Route, grant: &Grant) -> bool {
    let groups = &grant.subject.user().groups;
    route.groups.is_empty()
        || route.groups.iter().any(|group| groups.iter().any(|member_of| member_of == group))
}

fn identity(route: &Route, grant: &ActiveGrant) -> Option<Arc<Identity>> {
    match route.identity {
        gateway_routes::Identity::None => None,
        gateway_routes::Identity::Headers => Some(Arc::clone(&grant.identity)),
    }
}

/// Returns an error response with the `WWW-Authenticate` challenge that points to the resource metadata (RFC 9728
/// §5.1).
fn challenge(request: Request<'_>, route: &Route, reason: Reason) -> Response<Bytes> {
    let (status, message) = match reason {
        Reason::NoToken => (StatusCode::UNAUTHORIZED, "sign in first: WWW-Authenticate says where"),
        Reason::InvalidRequest => {
            (StatusCode::BAD_REQUEST, "send one token, in the Authorization header and nowhere else")
        }
        Reason::InvalidToken => (StatusCode::UNAUTHORIZED, "the access token does not count"),
        Reason::InsufficientScope => (StatusCode::FORBIDDEN, "the access token lacks a scope"),
    };
    let path = request.head.parts.uri.path();
    let path = if proxy::is_normal(path) { path } else { route.path() };
    let metadata_url = metadata::protected_resource_url(request.gateway.base_url.as_str(), path);
    let mut response = error(status, message);
    reply::set(&mut response, WWW_AUTHENTICATE, &bearer::challenge(reason, &metadata_url, route.scopes));
    response
}

/// Returns 400 for content that the request method does not define.
pub fn undefined_content() -> Response<Bytes> {
    error(StatusCode::BAD_REQUEST, UNDEFINED_CONTENT)
}

/// Returns 400 for undefined content in a request to an MCP server, and records it in the audit log.
pub fn refuse_content(request: Request<'_>, route: &Route) -> Response<Bytes> {
    audit_refusal(request, route, UNDEFINED_CONTENT);
    with_cors(undefined_content(), request.headers().get(ORIGIN))
}

fn audit_refusal(request: Request<'_>, route: &Route, reason: &str) {
    Audit { route: route.pattern, ..request.refused("call", reason) }.record();
}
