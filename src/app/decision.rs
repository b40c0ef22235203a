//! The decision that is made from the head of a request alone. The body does not pass through the endpoints' filters: the
//! server forwards, reads or discards it according to the decision.

use crate::app::call::Call;
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
    /// Await a decision that needs the store.
    Deferred(DeferredDecision),
}

/// A future decision.
pub type DeferredDecision = Pin<Box<dyn Future<Output = Decision> + Send>>;

/// A request that may be forwarded to its MCP server.
pub struct AuthorizedRequest {
    /// The request to forward.
    pub forward: Box<Forward>,
    /// Its audit events and CORS headers.
    pub call: Call,
}

/// A request whose handler needs the body.
pub struct ReadBody {
    /// Maximum length of the body in bytes; a longer one gets 413.
    pub limit: usize,
    /// The handler of the body.
    pub then: Then,
}

/// A handler that responds to a request body.
pub type Then = Box<dyn FnOnce(Bytes) -> Pin<Box<dyn Future<Output = Response<Bytes>> + Send>> + Send>;

impl ReadBody {
    /// Returns the decision to read at most `limit` bytes and call `then`.
    pub fn first<F>(limit: usize, then: impl FnOnce(Bytes) -> F + Send + 'static) -> Decision
    where
        F: Future<Output = Response<Bytes>> + Send + 'static,
    {
        Decision::ReadBody(Self { limit, then: Box::new(move |body| Box::pin(then(body))) })
    }
}
