//! Warp filters: one per endpoint, and one for all MCP servers, which looks the path up in the compiled route table, so
//! that its cost does not depend on the number of routes.

use super::rejection;
use super::warp_bridge::{self, Filters};
use crate::app::decision::{Decision, ReadBody};
use crate::app::rate_limit::Kind;
use crate::app::request::{Request, RequestHead};
use crate::app::request_error::RequestError;
use crate::app::state::Gateway;
use crate::app::{cors, reply};
use crate::endpoints::authorization::{authorize, callback, consent};
use crate::endpoints::{discovery, health, landing, mcp, register, revoke, token};
use bytes::Bytes;
use gateway_routes::Found;
use http::Response;
use std::convert::Infallible;
use std::future::{Future, ready};
use std::sync::Arc;
use warp::filters::BoxedFilter;
use warp::path::FullPath;
use warp::{Filter, Rejection};

/// Builds the service of all endpoints. MCP servers come first, since they get most requests; the route compiler
/// ensures that they do not shadow other endpoints.
pub(super) fn service(gateway: &Arc<Gateway>) -> impl Filters + use<> {
    let rejecting = Arc::clone(gateway);
    let endpoints = mcp_servers(gateway)
        .or(oauth(gateway))
        .unify()
        .or(well_known(gateway))
        .unify()
        .or(landing_and_probes(gateway))
        .unify()
        .recover(move |rejection| ready(Ok::<_, Infallible>(render_rejection(&rejecting, &rejection))))
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
    let register = Form { kind: Kind::Registration, max_bytes: register::MAX_BODY_BYTES };
    let register = form(gateway, registration(gateway), register, register::post);
    // `/token` is the default path of MCP 2025-03-26: the Python SDK tries it first when it refreshes a stored token.
    let token_path = warp::path!("auth" / "token").or(warp::path!("token")).unify().boxed();
    let token = Form { kind: Kind::Token, max_bytes: token::MAX_FORM_BYTES };
    let token = form(gateway, token_path, token, token::post);
    let revoke = Form { kind: Kind::Revocation, max_bytes: revoke::MAX_FORM_BYTES };
    let revoke = form(gateway, warp::path!("auth" / "revoke").boxed(), revoke, revoke::post);
    let consent = Form { kind: Kind::Consent, max_bytes: consent::MAX_FORM_BYTES };
    let consent = form(gateway, warp::path!("auth" / "authorize").boxed(), consent, consent::post);
    let authorize =
        page(gateway, warp::path!("auth" / "authorize").boxed(), Kind::Authorization, authorize::get);
    let callback = page(gateway, warp::path!("auth" / "callback").boxed(), Kind::Login, callback::get);
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

/// Endpoint with a request body.
#[derive(Clone, Copy)]
struct Form {
    /// Event of the endpoint, and rate limit of the client address. Beyond it, the body is not read unless it may contain
    /// a valid credential, which counts against its grant.
    kind: Kind,
    /// Maximum length of the body.
    max_bytes: usize,
}

/// Wires up an endpoint that takes a request body by POST. Scripts of any origin may read its responses, except those
/// to the consent form, which only the gateway's own page posts.
fn form<F, R>(gateway: &Arc<Gateway>, path: BoxedFilter<()>, form: Form, post: F) -> BoxedFilter<(Decision,)>
where
    F: Fn(Arc<Gateway>, Arc<RequestHead>, Bytes) -> R + Copy + Send + Sync + 'static,
    R: Future<Output = Response<Bytes>> + Send + 'static,
{
    let Form { kind, max_bytes } = form;
    let decide = move |gateway: Arc<Gateway>, head: Arc<RequestHead>| {
        let request = Request { gateway: &gateway, head: &head };
        let checked = match kind {
            Kind::Token | Kind::Revocation => Ok(()),
            kind => request.check_rate_limit(kind, None),
        };
        if let Err(too_many) = checked {
            return Decision::Respond(rejection::fail(request, kind, too_many));
        }
        let fail = fail(&gateway, &head, kind);
        let then = move |body| {
            let response = post(gateway, head, body);
            async move {
                let response = response.await;
                if rejection::is_public(kind) { cors::any_origin(response) } else { response }
            }
        };
        ReadBody::first(max_bytes, then, fail)
    };
    path.and(warp::post()).and(head()).map(with(gateway, decide)).boxed()
}

/// Wires up an endpoint that a browser opens by GET. It runs on the control runtime, where the store and Okta are
/// awaited.
fn page<F, R>(gateway: &Arc<Gateway>, path: BoxedFilter<()>, kind: Kind, get: F) -> BoxedFilter<(Decision,)>
where
    F: Fn(Arc<Gateway>, Arc<RequestHead>) -> R + Copy + Send + Sync + 'static,
    R: Future<Output = Response<Bytes>> + Send + 'static,
{
    let decide = move |gateway: Arc<Gateway>, head: Arc<RequestHead>| {
        let fail = fail(&gateway, &head, kind);
        ReadBody::first(0, move |_| get(gateway, head), fail)
    };
    path.and(warp::get()).and(without_content()).and(head()).map(with(gateway, decide)).boxed()
}

/// Returns the handler of errors at an OAuth endpoint.
fn fail(
    gateway: &Arc<Gateway>,
    head: &Arc<RequestHead>,
    kind: Kind,
) -> impl FnOnce(RequestError) -> Response<Bytes> + Send + use<> {
    let (gateway, head) = (Arc::clone(gateway), Arc::clone(head));
    move |error| rejection::fail(Request { gateway: &gateway, head: &head }, kind, error)
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
    let of_path = Arc::clone(gateway);
    let resource = warp::path!(".well-known" / "oauth-protected-resource" / ..)
        .and(get_or_head())
        .and(warp::path::full())
        .and_then(move |path: FullPath| {
            let path = path.as_str().strip_prefix("/.well-known/oauth-protected-resource");
            let document = path.and_then(|path| discovery::protected_resource(&of_path, path));
            ready(document.map(Decision::Respond).ok_or_else(warp::reject::not_found))
        });
    preflight.or(server).unify().or(jwks).unify().or(resource).unify().boxed()
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

fn head() -> impl Filter<Extract = (Arc<RequestHead>,), Error = Rejection> + Clone {
    warp::any().and_then(|| ready(taken_head().map(Arc::from)))
}

fn taken_head() -> Result<Box<RequestHead>, Rejection> {
    warp_bridge::take_head().ok_or_else(warp::reject::reject)
}

/// Adapts an endpoint that takes the gateway and the request head.
fn with<T, F>(gateway: &Arc<Gateway>, endpoint: F) -> impl Fn(Arc<RequestHead>) -> T + Clone + use<T, F>
where
    F: Fn(Arc<Gateway>, Arc<RequestHead>) -> T + Clone,
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

fn preflight_response() -> Decision {
    Decision::Respond(cors::public_preflight())
}

/// Renders warp's own rejections; endpoints return responses and never reject.
fn render_rejection(gateway: &Arc<Gateway>, rejection: &Rejection) -> Decision {
    let error = if rejection.find::<UndefinedContent>().is_some() {
        RequestError::UndefinedContent
    } else if rejection.find::<warp::reject::MethodNotAllowed>().is_some() {
        RequestError::MethodNotAllowed
    } else {
        RequestError::NotFound
    };
    let Ok(head) = taken_head() else { return Decision::Respond(reply::request_error(&error)) };
    Decision::Respond(rejection::reject(gateway, &head, error))
}
