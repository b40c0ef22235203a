//! Bridge to warp: a task-local passes the request head in and the decision out. Warp itself would copy the head and
//! box the response body.

use crate::app::decision::Decision;
use crate::app::request::RequestHead;
use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::Empty;
use std::cell::Cell;
use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use tower_service::Service;
use warp::Reply;

/// Warp filters as a tower service.
pub(super) trait Filters:
    Service<Request<Empty<Bytes>>, Response = warp::reply::Response, Error = Infallible> + Clone + 'static
{
}

impl<S> Filters for S where
    S: Service<Request<Empty<Bytes>>, Response = warp::reply::Response, Error = Infallible> + Clone + 'static
{
}

/// Input and output of the filters for one request.
struct Exchange {
    head: Cell<Option<Box<RequestHead>>>,
    decision: Cell<Option<Decision>>,
    undefined_content: bool,
}

tokio::task_local! {
    static EXCHANGE: Rc<Exchange>;
}

/// Runs the filters on a request; returns `None` if they replied without a decision.
pub(super) async fn decide(mut filters: impl Filters, head: Box<RequestHead>) -> Option<Decision> {
    let mut request = Request::new(Empty::<Bytes>::new());
    request.method_mut().clone_from(&head.parts.method);
    request.uri_mut().clone_from(&head.parts.uri);
    let undefined_content = head.undefined_content;
    let exchange = Exchange { head: Cell::new(Some(head)), decision: Cell::new(None), undefined_content };
    let exchange = Rc::new(exchange);
    let mut deciding = pin!(filters.call(request));
    let Ok(_) =
        poll_fn(|context| EXCHANGE.sync_scope(Rc::clone(&exchange), || deciding.as_mut().poll(context)))
            .await;
    exchange.decision.take()
}

/// Takes the head of the current request; returns it once.
pub(super) fn take_head() -> Option<Box<RequestHead>> {
    EXCHANGE.try_with(|exchange| exchange.head.take()).ok().flatten()
}

/// Returns `true` if the current request has content although its method defines none.
pub(super) fn has_undefined_content() -> bool {
    EXCHANGE.try_with(|exchange| exchange.undefined_content).unwrap_or_default()
}

impl Reply for Decision {
    fn into_response(self) -> warp::reply::Response {
        // An error means that no request is being decided on.
        let _ = EXCHANGE.try_with(|exchange| exchange.decision.set(Some(self)));
        StatusCode::OK.into_response()
    }
}
