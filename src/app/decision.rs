//! The decision that is made from the head of a request alone. The body does not pass through the endpoints' filters: the
//! server forwards, reads or discards it according to the decision.

use crate::app::call::Call;
use crate::app::request_error::RequestError;
use crate::grants::GrantStatus;
use crate::proxy::Forward;
use bytes::Bytes;
use http::Response;
use std::future::Future;
use std::pin::Pin;

/// The decision about a request.
pub enum Decision {
    /// Respond at once; the body is not read.
    Respond(Response<Bytes>),
    /// Forward the request with its body to the MCP server.
    Forward(AuthorizedRequest),
    /// Read the body, then call a handler.
    ReadBody(ReadBody),
    /// Await the status of a call's grant, then decide.
    CheckGrant(GrantCheck),
}

/// A request that may be forwarded to its MCP server.
pub struct AuthorizedRequest {
    /// The request to forward.
    pub forward: Box<Forward>,
    /// Its audit events and CORS headers.
    pub call: Call,
}

/// A call whose grant is read from the store.
pub struct GrantCheck {
    /// The status of the grant.
    pub status: Pin<Box<dyn Future<Output = Result<GrantStatus, RequestError>> + Send>>,
    /// Decides with the status, or with the error that ends the wait for it.
    pub decide: Box<dyn FnOnce(Result<GrantStatus, RequestError>) -> Decision + Send>,
}

/// A request whose handler runs on the control runtime, with the body. A page has none.
pub struct ReadBody {
    /// Maximum length of the body in bytes; a longer one gets 413.
    pub limit: usize,
    /// The handler of the body.
    pub then: Then,
    /// The error response of a request whose body cannot be read, or whose handler does not respond.
    pub fail: Fail,
}

/// A handler that responds to a request body.
pub type Then = Box<dyn FnOnce(Bytes) -> Pin<Box<dyn Future<Output = Response<Bytes>> + Send>> + Send>;

/// A handler that responds to an error.
pub type Fail = Box<dyn FnOnce(RequestError) -> Response<Bytes> + Send>;

impl ReadBody {
    /// Returns the decision to read at most `limit` bytes and call `then`, or `fail`.
    pub fn first<F>(
        limit: usize,
        then: impl FnOnce(Bytes) -> F + Send + 'static,
        fail: impl FnOnce(RequestError) -> Response<Bytes> + Send + 'static,
    ) -> Decision
    where
        F: Future<Output = Response<Bytes>> + Send + 'static,
    {
        Decision::ReadBody(Self {
            limit,
            then: Box::new(move |body| Box::pin(then(body))),
            fail: Box::new(fail),
        })
    }
}
