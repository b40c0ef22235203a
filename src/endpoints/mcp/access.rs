//! Authorization of MCP requests, from the request head alone: token, grant, scopes and groups.

use crate::app::call::Call;
use crate::app::decision::{AuthorizedRequest, Decision, GrantCheck};
use crate::app::rate_limit::{Sender, TooMany};
use crate::app::request::{Request, RequestHead};
use crate::app::request_error::{Denial, Denied, RequestError};
use crate::app::state::Gateway;
use crate::credential::{AccessToken, RouteAudience, Tag, TokenError};
use crate::grants::{ActiveGrant, Grant, GrantStatus};
use crate::oauth::bearer::{self, Presented, Repeated};
use crate::oauth::{metadata, resource, scope};
use crate::proxy::{self, CancelReason, Forward, Identity, ProxyError};
use crate::store::GrantId;
use gateway_routes::{Found, Route};
use http::request::Parts;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

/// Maximum wait for the store while a cached status of the grant, at most a minute old, is available.
const STORE_WAIT: Duration = Duration::from_millis(100);

/// Authorizes a request to an MCP server: synchronously while the status of its grant is cached.
pub fn decide(gateway: &Arc<Gateway>, head: Box<RequestHead>, found: Found, mut call: Call) -> Decision {
    let request = Request { gateway, head: &head };
    let token = match check_syntax(&head.parts).and_then(|()| verified_token(request, found.route)) {
        Ok(token) => token,
        Err(error) => return Decision::Respond(call.reject(gateway, error)),
    };
    call.set_token(Arc::clone(&token));
    if let Some(grant) = gateway.grants.cached_status(token.grant) {
        return authorize(gateway, head, found, &token, grant, call);
    }
    let gateway = Arc::clone(gateway);
    Decision::CheckGrant(GrantCheck {
        status: Box::pin(grant_status(Arc::clone(&gateway), token.grant)),
        decide: Box::new(move |status| match status {
            Ok(GrantStatus::Active(grant)) => authorize(&gateway, head, found, &token, grant, call),
            Ok(GrantStatus::Ended) => {
                let request = Request { gateway: &gateway, head: &head };
                let error = denied(request, found.route, Denial::GrantEnded);
                Decision::Respond(call.reject(&gateway, error))
            }
            Err(error) => Decision::Respond(call.reject(&gateway, error)),
        }),
    })
}

/// Checks scopes and groups, and returns the request to forward.
fn authorize(
    gateway: &Arc<Gateway>,
    head: Box<RequestHead>,
    found: Found,
    token: &AccessToken,
    grant: Arc<ActiveGrant>,
    mut call: Call,
) -> Decision {
    let route = found.route;
    let checked = check_policy(Request { gateway, head: &head }, route, token, &grant);
    let identity = identity(route, &grant);
    call.set_grant(grant);
    if let Err(error) = checked {
        return Decision::Respond(call.reject(gateway, error));
    }
    let forward = Box::new(Forward {
        route,
        rest: found.rest,
        forwarded_for: head.address_text.into_value(),
        head: head.parts,
        identity,
        cancel: gateway.grants.streams.open(token.grant),
    });
    Decision::Forward(AuthorizedRequest { forward, call })
}

/// Returns the claims of the request's access token, verified for this route. The token must be in the `Authorization`
/// header, once.
fn verified_token(request: Request<'_>, route: &Route) -> Result<Arc<AccessToken>, RequestError> {
    let Request { gateway, head } = request;
    let deny = |denial| denied(request, route, denial);
    let credentials =
        bearer::credentials(&head.parts.headers).map_err(|Repeated| deny(Denial::SeveralTokens))?;
    if has_token_in_query(&head.parts) {
        return Err(deny(Denial::TokenInQuery));
    }
    let Some(credentials) = credentials else { return Err(deny(Denial::NoToken)) };
    let base_url = gateway.base_url.as_str();
    let (header, last_token) = (credentials.as_bytes(), &head.connection.token);
    let recalled = gateway.credentials.recall(header, last_token);
    if let Some(token) = recalled.filter(|token| resource::identifies(&token.audience, base_url, route)) {
        return Ok(token);
    }
    let token = match bearer::presented(credentials) {
        Presented::Token(token) => token,
        Presented::Nothing => return Err(deny(Denial::OtherScheme)),
        Presented::Malformed => return Err(deny(Denial::Malformed)),
    };
    let resource = &resource::identifier(base_url, route);
    let includes = |aud: &str| resource::is_below(aud, base_url, route, &gateway.site.table);
    let audience = RouteAudience { resource, includes: &includes };
    let may_verify = |tag: Option<&Tag>| gateway.forgeries.check(sender(head, tag)).is_ok();
    let credentials = &gateway.credentials;
    let verified = credentials.verify_on_connection(token, header, audience, last_token, may_verify);
    verified.map_err(|rejection| reject_token(request, route, rejection))
}

/// Returns the error of an invalid token, and counts a forged one. A token whose signature was not verified may be
/// valid: it gets 429, since clients discard their tokens at 401.
fn reject_token(request: Request<'_>, route: &Route, rejection: TokenError) -> RequestError {
    let Request { gateway, head } = request;
    match rejection {
        TokenError::RateLimited => {
            return RequestError::ForgeryLimit(TooMany { retry_after: gateway.forgeries.retry_after() });
        }
        TokenError::Forged(tag) => gateway.forgeries.count(sender(head, tag.as_ref())),
        TokenError::Unrecognized | TokenError::InvalidClaims => {}
    }
    denied(request, route, Denial::InvalidToken(rejection))
}

fn sender<'a>(head: &RequestHead, tag: Option<&'a Tag>) -> Sender<'a> {
    Sender { address: head.address, tag: tag.map(|tag| &tag[..]) }
}

/// Refuses ambiguous paths and headers that MCP servers may interpret differently.
fn check_syntax(head: &Parts) -> Result<(), RequestError> {
    if !proxy::is_normal(head.uri.path()) {
        return Err(RequestError::AmbiguousPath);
    }
    if proxy::is_ambiguous(&head.headers) {
        return Err(RequestError::RepeatedHeader);
    }
    Ok(())
}

/// Returns `true` if the query contains an access token, which OAuth 2.1 §5.1 forbids: URLs are logged.
fn has_token_in_query(head: &Parts) -> bool {
    let Some(query) = head.uri.query() else { return false };
    url::form_urlencoded::parse(query.as_bytes()).any(|(name, _)| name == "access_token")
}

/// Reads the status of a grant from the store, or from the cache when the store takes longer than [`STORE_WAIT`].
async fn grant_status(gateway: Arc<Gateway>, id: GrantId) -> Result<GrantStatus, RequestError> {
    let owned = Arc::clone(&gateway);
    let mut status = pin!(gateway.on_control(async move { owned.grants.status(id).await }));
    let status = match timeout(STORE_WAIT, &mut status).await {
        Ok(status) => status,
        // The read continues on the control runtime and updates the cache.
        Err(_) => match gateway.grants.stale_status(id) {
            Some(grant) => return Ok(GrantStatus::Active(grant)),
            None => status.await,
        },
    };
    status.ok_or(RequestError::CheckAborted)?.map_err(RequestError::StoreUnavailable)
}

/// Checks the grant's route, the token's scopes and the user's groups.
fn check_policy(
    request: Request<'_>,
    route: &'static Route,
    token: &AccessToken,
    grant: &Grant,
) -> Result<(), RequestError> {
    // The site may have got a route with a longer pattern since: nobody has approved that one.
    if grant.route != route.pattern {
        return Err(denied(request, route, Denial::InvalidToken(TokenError::InvalidClaims)));
    }
    if !scope::missing(&token.scopes, route).is_empty() {
        return Err(denied(request, route, Denial::MissingScope));
    }
    if is_member(route, grant) {
        return Ok(());
    }
    let needed = route.groups.join(", ");
    let user = grant.subject.user().email.as_deref().unwrap_or("this user");
    Err(RequestError::NotInGroup(format!(
        "{user} may not use {}: ask your Okta administrator for one of these groups: {needed}",
        route.name
    )))
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

/// Returns the error of a denied request, with the challenge that points to the resource metadata (RFC 9728 §5.1).
fn denied(request: Request<'_>, route: &Route, denial: Denial) -> RequestError {
    denied_at(request.gateway, request.head.parts.uri.path(), route, denial)
}

/// Returns the error of a request that could not be forwarded: a grant that ended meanwhile denies access as one that
/// ended before.
pub fn not_forwarded(gateway: &Gateway, route: &Route, error: ProxyError) -> RequestError {
    match error {
        ProxyError::Cancelled { reason: CancelReason::GrantEnded, path } => {
            denied_at(gateway, &path, route, Denial::GrantEnded)
        }
        error => error.into(),
    }
}

fn denied_at(gateway: &Gateway, path: &str, route: &Route, denial: Denial) -> RequestError {
    let path = if proxy::is_normal(path) { path } else { route.path() };
    let metadata_url = metadata::protected_resource_url(gateway.base_url.as_str(), path);
    let challenge = bearer::challenge(denial.challenge_reason(), &metadata_url, route.scopes);
    RequestError::Denied(Box::new(Denied { denial, challenge }))
}
