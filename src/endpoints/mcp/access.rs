//! Who may call which MCP server: from the head of a request to a decision.

use crate::app::audit::Audit;
use crate::app::rate_limit::Sender;
use crate::app::reply;
use crate::app::request::{AuthorizedRequest, Decision, RequestHead};
use crate::app::state::Gateway;
use crate::credential::{AccessToken, Tag, TokenError};
use crate::grants::{ActiveGrant, Grant, GrantStatus};
use crate::oauth::bearer::{self, Presented, Reason, Several};
use crate::oauth::{metadata, resource, scope};
use crate::proxy::{self, Forward, Identity};
use crate::store::{GrantId, Unavailable};
use bytes::Bytes;
use gateway_routes::{Found, Route};
use http::header::{CACHE_CONTROL, ORIGIN, RETRY_AFTER, VARY, WWW_AUTHENTICATE};
use http::request::Parts;
use http::{HeaderName, HeaderValue, Response, StatusCode};
use serde_json::json;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

/// How long a store may take to say again what it said within the last minute.
const STORE_WAIT: Duration = Duration::from_millis(100);

const UNDEFINED_CONTENT: &str = "requests of this method have no content: send it without a body";

/// Decides on a request below a route: at once, unless the store must be asked about its grant.
pub fn decide(gateway: &Arc<Gateway>, head: Box<RequestHead>, found: Found) -> Decision {
    let origin = head.parts.headers.get(ORIGIN).cloned();
    let token = match check_shape(&head.parts).and_then(|()| token(gateway, &head, found.route)) {
        Ok(token) => token,
        Err(refusal) => return Decision::Respond(with_cors(refusal, origin.as_ref())),
    };
    if let Some(grant) = gateway.grants.cached_status(token.grant) {
        return decided(admit(gateway, head, found, (&token, &grant)), origin);
    }
    let gateway = Arc::clone(gateway);
    Decision::Later(Box::pin(async move {
        let admitted = match living_grant(&gateway, &head, found.route, &token).await {
            Ok(grant) => admit(&gateway, head, found, (&token, &grant)),
            Err(refusal) => Err(refusal),
        };
        decided(admitted, origin)
    }))
}

fn decided(admitted: Result<Box<Forward>, Response<Bytes>>, origin: Option<HeaderValue>) -> Decision {
    match admitted {
        Ok(forward) => Decision::Forward(AuthorizedRequest { forward, origin }),
        Err(refusal) => Decision::Respond(with_cors(refusal, origin.as_ref())),
    }
}

/// Whether scripts of this origin may call MCP endpoints: our own, loopback, and those of the site.
pub fn is_allowed_origin(gateway: &Gateway, origin: &HeaderValue) -> bool {
    let Ok(origin) = origin.to_str() else { return false };
    let loopback = || {
        let host = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"))?;
        let name =
            host.rsplit_once(':').map_or(host, |(name, port)| if port.ends_with(']') { host } else { name });
        Some(["localhost", "127.0.0.1", "[::1]"].contains(&name))
    };
    origin == gateway.base_url.as_str()
        || gateway.site.allowed_origins.contains(&origin)
        || loopback() == Some(true)
}

/// Lets a script of the asking origin, which was checked before, read the answer.
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

fn admit(
    gateway: &Gateway,
    head: Box<RequestHead>,
    found: Found,
    (token, grant): (&AccessToken, &ActiveGrant),
) -> Result<Box<Forward>, Response<Bytes>> {
    let route = found.route;
    check_policy(gateway, &head, route, (token, grant))?;
    let cancel = gateway.grants.streams.open(token.grant);
    Audit {
        user: &token.subject,
        client: &grant.client_name,
        client_id: &token.client_id,
        route: route.pattern,
        ..head.allowed("call")
    }
    .record();
    Ok(Box::new(Forward {
        route,
        rest: found.rest,
        forwarded_for: head.from.into_value(),
        head: head.parts,
        identity: identity(route, grant),
        cancel,
    }))
}

/// What the one token of the request says that counts for this route.
fn token(gateway: &Gateway, head: &RequestHead, route: &Route) -> Result<Arc<AccessToken>, Response<Bytes>> {
    let refuse = |reason| challenge(gateway, &head.parts, route, reason);
    let credentials =
        bearer::credentials(&head.parts.headers).map_err(|Several| refuse(Reason::InvalidRequest))?;
    if has_token_in_query(&head.parts) {
        return Err(refuse(Reason::InvalidRequest));
    }
    let Some(credentials) = credentials else { return Err(refuse(Reason::NoToken)) };
    let base_url = gateway.base_url.as_str();
    let last = (credentials.as_bytes(), &head.connection.token);
    let recalled = gateway.credentials.recall(last.0, last.1);
    if let Some(token) = recalled.filter(|token| resource::identifies(&token.audience, base_url, route)) {
        return Ok(token);
    }
    let token = match bearer::presented(credentials) {
        Presented::Token(token) => token,
        Presented::Nothing => return Err(refuse(Reason::NoToken)),
        Presented::Malformed => return Err(refuse(Reason::InvalidToken)),
    };
    let audience = resource::identifier(base_url, route);
    let may_verify = |tag: Option<&Tag>| gateway.forgeries.look(sender(head, tag)).is_ok();
    let verified = gateway.credentials.verify_on_connection(token, last.0, &audience, last.1, may_verify);
    verified.map_err(|why| rejected(gateway, head, route, why))
}

/// Refuses a token. One whose signature was not even looked at may be good: it gets no 401, at which clients throw
/// their tokens away.
fn rejected(gateway: &Gateway, head: &RequestHead, route: &Route, why: TokenError) -> Response<Bytes> {
    audit_refusal(head, route, why.reason());
    match why {
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
    challenge(gateway, &head.parts, route, Reason::InvalidToken)
}

fn sender<'a>(head: &RequestHead, tag: Option<&'a Tag>) -> Sender<'a> {
    Sender { address: head.address, tag: tag.map(|tag| &tag[..]) }
}

/// What no server behind us should have to think about.
fn check_shape(head: &Parts) -> Result<(), Response<Bytes>> {
    let refuse = |what| Err(error(StatusCode::BAD_REQUEST, what));
    if !proxy::is_normal(head.uri.path()) {
        return refuse("the path has a dot segment, an empty segment or an encoded slash");
    }
    if proxy::repeats_mcp_header(&head.headers) {
        return refuse("an Mcp-* header is repeated");
    }
    Ok(())
}

/// URLs end up in logs and histories (OAuth 2.1 §5.1): a client that sends its token there is told at once.
fn has_token_in_query(head: &Parts) -> bool {
    let Some(query) = head.uri.query() else { return false };
    url::form_urlencoded::parse(query.as_bytes()).any(|(name, _)| name == "access_token")
}

async fn living_grant(
    gateway: &Arc<Gateway>,
    head: &RequestHead,
    route: &'static Route,
    token: &AccessToken,
) -> Result<Arc<ActiveGrant>, Response<Bytes>> {
    match ask_store(gateway, token.grant).await {
        Some(Ok(GrantStatus::Active(grant))) => Ok(grant),
        Some(Ok(GrantStatus::Ended)) => {
            audit_refusal(head, route, "the grant is revoked or has ended");
            Err(challenge(gateway, &head.parts, route, Reason::InvalidToken))
        }
        // Not 401: clients throw their tokens away at that.
        Some(Err(_)) | None => {
            let mut response =
                error(StatusCode::SERVICE_UNAVAILABLE, "the gateway cannot check the grant now");
            reply::set(&mut response, RETRY_AFTER, "2");
            Err(response)
        }
    }
}

/// What the store says; or what it said last, when it takes too long to say it again.
async fn ask_store(gateway: &Arc<Gateway>, id: GrantId) -> Option<Result<GrantStatus, Unavailable>> {
    let asked = Arc::clone(gateway);
    let mut answer = pin!(gateway.on_control(async move { asked.grants.status(id).await }));
    if let Ok(answer) = timeout(STORE_WAIT, &mut answer).await {
        return answer;
    }
    // The answer is waited for elsewhere, and counts from when it comes.
    match gateway.grants.stale_status(id) {
        Some(grant) => Some(Ok(GrantStatus::Active(grant))),
        None => answer.await,
    }
}

fn check_policy(
    gateway: &Gateway,
    head: &RequestHead,
    route: &'static Route,
    (token, grant): (&AccessToken, &Grant),
) -> Result<(), Response<Bytes>> {
    if !scope::missing(&token.scopes, route).is_empty() {
        audit_refusal(head, route, "a scope is missing");
        return Err(challenge(gateway, &head.parts, route, Reason::InsufficientScope));
    }
    if is_member(route, grant) {
        return Ok(());
    }
    audit_refusal(head, route, "the user is in none of the route's groups");
    let needed = route.groups.join(", ");
    let who = grant.subject.user().email.as_deref().unwrap_or("this user");
    let what = format!(
        "{who} may not use {}: ask your Okta administrator for one of these groups: {needed}",
        route.name
    );
    Err(error(StatusCode::FORBIDDEN, &what))
}

/// Whether policy still lets a grant do what its open streams do.
pub fn may_go_on(gateway: &Gateway, grant: &Grant) -> bool {
    gateway.site.table.find(&grant.route).is_some_and(|found| is_member(found.route, grant))
}

fn is_member(route: &Route, grant: &Grant) -> bool {
    let groups = &grant.subject.user().groups;
    route.groups.is_empty() || route.groups.iter().any(|group| groups.iter().any(|had| had == group))
}

fn identity(route: &Route, grant: &ActiveGrant) -> Option<Arc<Identity>> {
    match route.identity {
        gateway_routes::Identity::None => None,
        gateway_routes::Identity::Headers => Some(Arc::clone(&grant.identity)),
    }
}

/// 401 or 403 with the challenge that clients discover us by (RFC 9728 §5.1).
fn challenge(gateway: &Gateway, head: &Parts, route: &Route, reason: Reason) -> Response<Bytes> {
    let (status, message) = match reason {
        Reason::NoToken => (StatusCode::UNAUTHORIZED, "sign in first: WWW-Authenticate says where"),
        Reason::InvalidRequest => {
            (StatusCode::BAD_REQUEST, "send one token, in the Authorization header and nowhere else")
        }
        Reason::InvalidToken => (StatusCode::UNAUTHORIZED, "the access token does not count"),
        Reason::InsufficientScope => (StatusCode::FORBIDDEN, "the access token lacks a scope"),
    };
    let path = if proxy::is_normal(head.uri.path()) { head.uri.path() } else { route.path() };
    let metadata_url = metadata::protected_resource_url(gateway.base_url.as_str(), path);
    let mut response = error(status, message);
    reply::set(&mut response, WWW_AUTHENTICATE, &bearer::challenge(reason, &metadata_url, route.scopes));
    response
}

/// A refusal in the form that MCP clients read: a JSON-RPC error.
pub fn error(status: StatusCode, message: &str) -> Response<Bytes> {
    let body = json!({ "jsonrpc": "2.0", "id": null, "error": { "code": -32_000, "message": message } });
    let mut response = reply::json(status, &body);
    reply::set(&mut response, CACHE_CONTROL, "no-store");
    reply::set(&mut response, HeaderName::from_static("x-content-type-options"), "nosniff");
    response
}

/// The refusal of content that a method does not define.
pub fn undefined_content() -> Response<Bytes> {
    error(StatusCode::BAD_REQUEST, UNDEFINED_CONTENT)
}

/// The same for a call of an MCP server.
pub fn refuse_content(head: &RequestHead, route: &Route) -> Response<Bytes> {
    audit_refusal(head, route, UNDEFINED_CONTENT);
    with_cors(undefined_content(), head.parts.headers.get(ORIGIN))
}

fn audit_refusal(head: &RequestHead, route: &Route, reason: &str) {
    Audit { route: route.pattern, ..head.refused("call", reason) }.record();
}
