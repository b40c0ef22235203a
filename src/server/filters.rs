//! The warp filters, one for each endpoint, and one for all MCP servers: it looks the path up in the compiled
//! table, so that a thousand routes cost what one costs.

use super::warp_bridge::{self, Filters};
use crate::app::rate_limit::Kind;
use crate::app::reply::{self, cors_any_origin, set};
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

/// All endpoints. The MCP servers come first: they are asked for most, and the compiler of the routes keeps them
/// from shadowing the others.
pub(super) fn service(gateway: &Arc<Gateway>) -> impl Filters + use<> {
    let endpoints = mcp_servers(gateway)
        .or(oauth(gateway))
        .unify()
        .or(well_known(gateway))
        .unify()
        .or(people_and_probes(gateway))
        .unify()
        .recover(|rejection| ready(Ok::<_, Infallible>(word(&rejection))))
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
        within(Kind::Registration, (g, head), |g, head| {
            ReadBody::first(register::MAX_BODY_BYTES, move |body| open(register::post(g, head, body)))
        })
    }));
    // `/token` is where MCP 2025-03-26 had it: the Python SDK looks there first when it refreshes a stored token.
    let token = warp::path!("auth" / "token").or(warp::path!("token")).unify();
    let token = token.and(warp::post()).and(head()).map(with(gateway, |g, head| {
        within(Kind::Token, (g, head), |g, head| {
            ReadBody::first(token::MAX_FORM_BYTES, move |body| open(token::post(g, head, body)))
        })
    }));
    let revoke = warp::path!("auth" / "revoke").and(warp::post()).and(head());
    let revoke = revoke.map(with(gateway, |g, head| {
        within(Kind::Revocation, (g, head), |g, head| {
            ReadBody::first(revoke::MAX_FORM_BYTES, move |body| open(revoke::post(g, head, body)))
        })
    }));
    let consent =
        warp::path!("auth" / "authorize").and(warp::post()).and(head()).map(with(gateway, |g, head| {
            within(Kind::Consent, (g, head), |g, head| {
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

/// The path of registration, where the site has it; else there is nothing, whatever the method.
fn registration(gateway: &Arc<Gateway>) -> BoxedFilter<()> {
    let enabled = gateway.site.registration.enabled;
    let there = move || ready(if enabled { Ok(()) } else { Err(warp::reject::not_found()) });
    warp::path!("auth" / "register").and_then(there).untuple_one().boxed()
}

/// For the endpoints that scripts of any origin may post to.
fn preflight(gateway: &Arc<Gateway>) -> BoxedFilter<(Decision,)> {
    let register = registration(gateway);
    let tokens = warp::path!("auth" / "token").or(warp::path!("auth" / "revoke")).unify();
    register.or(tokens).unify().and(warp::options()).and(without_content()).map(preflight_answer).boxed()
}

fn well_known(gateway: &Arc<Gateway>) -> BoxedFilter<(Decision,)> {
    // "Method not allowed" would outrank the 404 of a path that no document has.
    let preflight = warp::path!(".well-known" / ..)
        .and(warp::options().or_else(|_| ready(Err(warp::reject::not_found()))))
        .and(without_content())
        .map(preflight_answer);
    let server = warp::path!(".well-known" / "oauth-authorization-server")
        .or(warp::path!(".well-known" / "openid-configuration"))
        .unify()
        .and(reading())
        .map(answer(gateway, discovery::authorization_server));
    let jwks = warp::path!(".well-known" / "jwks.json").and(reading()).map(answer(gateway, discovery::jwks));
    let origin = warp::path!(".well-known" / "oauth-protected-resource")
        .and(reading())
        .map(answer(gateway, discovery::origin_resource));
    let of_path = Arc::clone(gateway);
    let resource = warp::path!(".well-known" / "oauth-protected-resource" / ..)
        .and(reading())
        .and(warp::path::full())
        .and_then(move |path: FullPath| {
            let path = path.as_str().trim_start_matches("/.well-known/oauth-protected-resource");
            let document = discovery::protected_resource(&of_path, path);
            ready(document.map(Decision::Respond).ok_or_else(warp::reject::not_found))
        });
    preflight.or(server).unify().or(jwks).unify().or(origin).unify().or(resource).unify().boxed()
}

fn people_and_probes(gateway: &Arc<Gateway>) -> BoxedFilter<(Decision,)> {
    let landing = warp::path::end().and(reading()).map(answer(gateway, landing::get));
    let healthz = warp::path!("healthz").and(reading()).map(answer(gateway, health::healthz));
    let readyz = warp::path!("readyz").and(reading()).map(answer(gateway, health::readyz));
    landing.or(healthz).unify().or(readyz).unify().boxed()
}

/// GET, or HEAD, whose body hyper leaves out.
fn reading() -> impl Filter<Extract = (), Error = Rejection> + Copy {
    warp::get().or(warp::head()).unify().and(without_content())
}

/// Refuses content that the method does not define: no endpoint reads it.
fn without_content() -> impl Filter<Extract = (), Error = Rejection> + Copy {
    warp::any().and_then(undefined_content).untuple_one()
}

fn undefined_content() -> impl Future<Output = Result<(), Rejection>> {
    let refused = warp_bridge::has_undefined_content();
    ready(if refused { Err(warp::reject::custom(UndefinedContent)) } else { Ok(()) })
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

fn with<T, F>(gateway: &Arc<Gateway>, endpoint: F) -> impl Fn(RequestHead) -> T + Clone + use<T, F>
where
    F: Fn(Arc<Gateway>, RequestHead) -> T + Clone,
{
    let gateway = Arc::clone(gateway);
    move |head| endpoint(Arc::clone(&gateway), head)
}

fn answer<F>(gateway: &Arc<Gateway>, endpoint: F) -> impl Fn() -> Decision + Clone + use<F>
where
    F: Fn(&Gateway) -> Response<Bytes> + Clone,
{
    let gateway = Arc::clone(gateway);
    move || Decision::Respond(endpoint(&gateway))
}

/// Goes on, unless the address has used its share up already: then no body is read.
fn within(
    kind: Kind,
    (gateway, head): (Arc<Gateway>, RequestHead),
    go_on: impl FnOnce(Arc<Gateway>, RequestHead) -> Decision,
) -> Decision {
    let request = Request { gateway: &gateway, head: &head };
    match request.check_rate_limit(kind) {
        Ok(()) => go_on(gateway, head),
        Err(too_many) => Decision::Respond(match kind {
            Kind::Consent => consent::too_many(request, too_many),
            _ => cors_any_origin(reply::too_many(&head, too_many)),
        }),
    }
}

async fn on_control(
    gateway: Arc<Gateway>,
    endpoint: impl Future<Output = Response<Bytes>> + Send + 'static,
) -> Decision {
    let answered = gateway.on_control(endpoint).await;
    let failed = || access::error(StatusCode::INTERNAL_SERVER_ERROR, "the gateway failed");
    Decision::Respond(answered.unwrap_or_else(failed))
}

async fn open(endpoint: impl Future<Output = Response<Bytes>>) -> Response<Bytes> {
    cors_any_origin(endpoint.await)
}

fn preflight_answer() -> Decision {
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

/// Words warp's own rejections: endpoints answer, they never reject.
fn word(rejection: &Rejection) -> Decision {
    Decision::Respond(if rejection.find::<UndefinedContent>().is_some() {
        cors_any_origin(access::undefined_content())
    } else if rejection.find::<warp::reject::MethodNotAllowed>().is_some() {
        access::error(StatusCode::METHOD_NOT_ALLOWED, "this endpoint does not have that method")
    } else {
        // Scripts look for documents where there may be none, and go on at a status that they can read.
        cors_any_origin(access::error(
            StatusCode::NOT_FOUND,
            "there is nothing here: see the list of servers at /",
        ))
    })
}
