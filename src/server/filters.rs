//! Warp filters: one per endpoint, and one for all MCP servers, which looks the path up in the compiled route table, so
//! that its cost does not depend on the number of routes.

use super::warp_bridge::{self, Filters};
use crate::app::audit_subject::AuditSubject;
use crate::app::failure::Failure;
use crate::app::rate_limit::Kind;
use crate::app::reply::{cors_any_origin, set};
use crate::app::request::{Decision, ReadBody, Request, RequestHead};
use crate::app::state::Gateway;
use crate::endpoints::authorization::{authorize, callback, consent};
use crate::endpoints::mcp::access;
use crate::endpoints::{discovery, health, landing, mcp, register, revoke, token};
use bytes::Bytes;
use gateway_routes::Found;
use http::header::{ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_MAX_AGE};
use http::{Response, StatusCode};
use std::convert::Infallible;
use std::future::{Future, ready};
use std::sync::Arc;
use warp::filters::BoxedFilter;
use warp::path::FullPath;
use warp::{Filter, Rejection};

/// Builds the service of all endpoints. MCP servers come first, since they get most requests; the route compiler
/// ensures that they do not shadow other endpoints.
pub(super) fn service(gateway: &Arc<Gateway>) -> impl Filters + use<> {
    let endpoints = mcp_servers(gateway)
        .or(oauth(gateway))
        .unify()
        .or(well_known(gateway))
        .unify()
        .or(landing_and_probes(gateway))
        .unify()
        .recover(|rejection| ready(Ok::<_, Infallible>(render_rejection(&rejection))))
        .unify()
        .boxed();
    warp::service(endpoints)
}

fn mcp_servers(
    gateway: &Arc<Gateway>,
) -> impl Filter<Extract = (Decision,), Error = Rejection> + Clone + use<> {
    let (table, gateway) = (gateway.site.table, Arc::clone(gateway));
    let below_route = move |path: FullPath| {
        let found = table.find(path.as_str()).ok_or_else(warp::reject::not_found);
        ready(found.and_then(|found| Ok((taken_head()?, found))))
    };
    warp::path::full()
        .and_then(below_route)
        .map(move |(head, found): (Box<RequestHead>, Found)| mcp::any(&gateway, head, found))
}

fn oauth(gateway: &Arc<Gateway>) -> BoxedFilter<(Decision,)> {
    let register = registration(gateway).and(warp::post()).and(head()).map(with(gateway, |g, head| {
        rate_limited(Kind::Registration, g, head, |g, head| {
            ReadBody::first(register::MAX_BODY_BYTES, move |body| {
                with_any_origin(register::post(g, head, body))
            })
        })
    }));
    // `/token` is the default path of MCP 2025-03-26: the Python SDK tries it first when it refreshes a stored token.
    let token = warp::path!("auth" / "token").or(warp::path!("token")).unify();
    let token = token.and(warp::post()).and(head()).map(with(gateway, |g, head| {
        rate_limited(Kind::Token, g, head, |g, head| {
            ReadBody::first(token::MAX_FORM_BYTES, move |body| with_any_origin(token::post(g, head, body)))
        })
    }));
    let revoke = warp::path!("auth" / "revoke").and(warp::post()).and(head());
    let revoke = revoke.map(with(gateway, |g, head| {
        rate_limited(Kind::Revocation, g, head, |g, head| {
            ReadBody::first(revoke::MAX_FORM_BYTES, move |body| with_any_origin(revoke::post(g, head, body)))
        })
    }));
    let consent =
        warp::path!("auth" / "authorize").and(warp::post()).and(head()).map(with(gateway, |g, head| {
            rate_limited(Kind::Consent, g, head, |g, head| {
                ReadBody::first(consent::MAX_FORM_BYTES, move |body| consent::post(g, head, body))
            })
        }));
    let authorize = warp::path!("auth" / "authorize")
        .and(warp::get())
        .and(without_content())
        .and(head())
        .then(with(gateway, |g, head| Box::pin(on_control(Arc::clone(&g), authorize::get(g, head)))));
    let callback = warp::path!("auth" / "callback")
        .and(warp::get())
        .and(without_content())
        .and(head())
        .then(with(gateway, |g, head| Box::pin(on_control(Arc::clone(&g), callback::get(g, head)))));
    register
        .or(token)
        .unify()
        .or(revoke)
        .unify()
        .or(consent)
        .unify()
        .or(authorize)
        .unify()
        .or(callback)
        .unify()
        .or(preflight(gateway))
        .unify()
        .boxed()
}

/// Matches the registration path if the site enables registration; otherwise every method gets 404.
fn registration(gateway: &Arc<Gateway>) -> BoxedFilter<()> {
    let enabled = gateway.site.registration.enabled;
    let check = move || ready(if enabled { Ok(()) } else { Err(warp::reject::not_found()) });
    warp::path!("auth" / "register").and_then(check).untuple_one().boxed()
}

/// CORS preflight of the endpoints that accept POST from any origin.
fn preflight(gateway: &Arc<Gateway>) -> BoxedFilter<(Decision,)> {
    let register = registration(gateway);
    let tokens = warp::path!("auth" / "token").or(warp::path!("auth" / "revoke")).unify();
    register.or(tokens).unify().and(warp::options()).and(without_content()).map(preflight_response).boxed()
}

fn well_known(gateway: &Arc<Gateway>) -> BoxedFilter<(Decision,)> {
    // warp prefers 405 over 404: without this, unknown documents would get 405.
    let preflight = warp::path!(".well-known" / ..)
        .and(warp::options().or_else(|_| ready(Err(warp::reject::not_found()))))
        .and(without_content())
        .map(preflight_response);
    let server = warp::path!(".well-known" / "oauth-authorization-server")
        .or(warp::path!(".well-known" / "openid-configuration"))
        .unify()
        .and(get_or_head())
        .map(respond(gateway, discovery::authorization_server));
    let jwks =
        warp::path!(".well-known" / "jwks.json").and(get_or_head()).map(respond(gateway, discovery::jwks));
    let origin = warp::path!(".well-known" / "oauth-protected-resource")
        .and(get_or_head())
        .map(respond(gateway, discovery::origin_resource));
    let of_path = Arc::clone(gateway);
    let resource = warp::path!(".well-known" / "oauth-protected-resource" / ..)
        .and(get_or_head())
        .and(warp::path::full())
        .and_then(move |path: FullPath| {
            let path = path.as_str().trim_start_matches("/.well-known/oauth-protected-resource");
            let document = discovery::protected_resource(&of_path, path);
            ready(document.map(Decision::Respond).ok_or_else(warp::reject::not_found))
        });
    preflight.or(server).unify().or(jwks).unify().or(origin).unify().or(resource).unify().boxed()
}

fn landing_and_probes(gateway: &Arc<Gateway>) -> BoxedFilter<(Decision,)> {
    let landing = warp::path::end().and(get_or_head()).map(respond(gateway, landing::get));
    let healthz = warp::path!("healthz").and(get_or_head()).map(respond(gateway, health::healthz));
    let readyz = warp::path!("readyz").and(get_or_head()).map(respond(gateway, health::readyz));
    landing.or(healthz).unify().or(readyz).unify().boxed()
}

/// Matches GET and HEAD; hyper omits the body of the response to HEAD.
fn get_or_head() -> impl Filter<Extract = (), Error = Rejection> + Copy {
    warp::get().or(warp::head()).unify().and(without_content())
}

/// Rejects content whose method defines none: no endpoint reads it.
fn without_content() -> impl Filter<Extract = (), Error = Rejection> + Copy {
    warp::any().and_then(undefined_content).untuple_one()
}

fn undefined_content() -> impl Future<Output = Result<(), Rejection>> {
    let rejected = warp_bridge::has_undefined_content();
    ready(if rejected { Err(warp::reject::custom(UndefinedContent)) } else { Ok(()) })
}

#[derive(Debug)]
struct UndefinedContent;

impl warp::reject::Reject for UndefinedContent {}

fn head() -> impl Filter<Extract = (RequestHead,), Error = Rejection> + Clone {
    warp::any().and_then(|| ready(taken_head().map(|head| *head)))
}

fn taken_head() -> Result<Box<RequestHead>, Rejection> {
    warp_bridge::take_head().ok_or_else(warp::reject::reject)
}

/// Adapts an endpoint that takes the gateway and the request head.
fn with<T, F>(gateway: &Arc<Gateway>, endpoint: F) -> impl Fn(RequestHead) -> T + Clone + use<T, F>
where
    F: Fn(Arc<Gateway>, RequestHead) -> T + Clone,
{
    let gateway = Arc::clone(gateway);
    move |head| endpoint(Arc::clone(&gateway), head)
}

/// Adapts an endpoint that needs nothing of the request.
fn respond<F>(gateway: &Arc<Gateway>, endpoint: F) -> impl Fn() -> Decision + Clone + use<F>
where
    F: Fn(&Gateway) -> Response<Bytes> + Clone,
{
    let gateway = Arc::clone(gateway);
    move || Decision::Respond(endpoint(&gateway))
}

/// Runs an endpoint within the rate limit of the client address; beyond it, the body is not read.
fn rate_limited(
    kind: Kind,
    gateway: Arc<Gateway>,
    head: RequestHead,
    endpoint: impl FnOnce(Arc<Gateway>, RequestHead) -> Decision,
) -> Decision {
    let request = Request { gateway: &gateway, head: &head };
    match request.check_rate_limit(kind) {
        Ok(()) => endpoint(gateway, head),
        Err(too_many) => Decision::Respond(match kind {
            Kind::Consent => consent::too_many(request, too_many),
            _ => {
                let reported = Failure::from(too_many).report(request, kind, &AuditSubject::default());
                cors_any_origin(reported.too_many())
            }
        }),
    }
}

/// Runs an endpoint on the control runtime, where the store and Okta are awaited.
async fn on_control(
    gateway: Arc<Gateway>,
    endpoint: impl Future<Output = Response<Bytes>> + Send + 'static,
) -> Decision {
    let response = gateway.on_control(endpoint).await;
    let failed = || access::error(StatusCode::INTERNAL_SERVER_ERROR, "the gateway failed");
    Decision::Respond(response.unwrap_or_else(failed))
}

/// Lets scripts of any origin read the response.
async fn with_any_origin(endpoint: impl Future<Output = Response<Bytes>>) -> Response<Bytes> {
    cors_any_origin(endpoint.await)
}

fn preflight_response() -> Decision {
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = StatusCode::NO_CONTENT;
    set(&mut response, ACCESS_CONTROL_ALLOW_METHODS, "GET, POST, OPTIONS");
    set(
        &mut response,
        ACCESS_CONTROL_ALLOW_HEADERS,
        "Authorization, Content-Type, Accept, MCP-Protocol-Version",
    );
    set(&mut response, ACCESS_CONTROL_MAX_AGE, "600");
    Decision::Respond(cors_any_origin(response))
}

/// Renders warp's own rejections; endpoints return responses and never reject.
fn render_rejection(rejection: &Rejection) -> Decision {
    Decision::Respond(if rejection.find::<UndefinedContent>().is_some() {
        cors_any_origin(access::undefined_content())
    } else if rejection.find::<warp::reject::MethodNotAllowed>().is_some() {
        access::error(StatusCode::METHOD_NOT_ALLOWED, "this endpoint does not have that method")
    } else {
        // CORS on 404: scripts probe for metadata documents and must be able to read the status.
        cors_any_origin(access::error(
            StatusCode::NOT_FOUND,
            "there is nothing here: see the list of servers at /",
        ))
    })
}
