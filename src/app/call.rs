//! Calls: requests to MCP servers, with their audit events.
//!
//! Each call leaves exactly one `call` event: when the response head has arrived (allowed), when it is refused, or when
//! it fails. A call that is dropped before is one whose client has disconnected. A response that is cut leaves a
//! `stream_ended` event besides. A CORS preflight is no call, unless it is refused: the browser then makes no other.

use crate::app::audit::{Audit, Outcome};
use crate::app::cors::Origin;
use crate::app::failure_log::{FailedRequest, FailureKind};
use crate::app::interruption::Interruption;
use crate::app::reply;
use crate::app::request::{HeaderText, RequestHead};
use crate::app::request_error::RequestError;
use crate::app::state::Gateway;
use crate::base::error_chain::ErrorChain;
use crate::credential::AccessToken;
use crate::grants::ActiveGrant;
use crate::proxy::BodyError;
use bytes::Bytes;
use gateway_routes::Route;
use http::{Method, Response};
use std::error::Error;
use std::sync::Arc;

/// A request to an MCP server that has not been decided.
pub struct Call {
    route: &'static Route,
    method: Method,
    request_id: HeaderText,
    address: HeaderText,
    token: Option<Arc<AccessToken>>,
    grant: Option<Arc<ActiveGrant>>,
    origin: Origin,
    is_recorded: bool,
}

/// A call whose response is being sent.
pub struct AllowedCall(Call);

impl Call {
    /// Begins a call with the properties of its head.
    pub fn new(head: &RequestHead, route: &'static Route, origin: Origin) -> Self {
        Self {
            route,
            method: head.parts.method.clone(),
            request_id: head.request_id.clone(),
            address: head.address_text.clone(),
            token: None,
            grant: None,
            origin,
            is_recorded: false,
        }
    }

    /// Sets the verified token, which names the user and the client.
    pub fn set_token(&mut self, token: Arc<AccessToken>) {
        self.token = Some(token);
    }

    /// Sets the grant, which has the name of the client.
    pub fn set_grant(&mut self, grant: Arc<ActiveGrant>) {
        self.grant = Some(grant);
    }

    /// Allows the call: the head of its response has arrived.
    pub fn allow<B>(mut self, response: &mut Response<B>) -> AllowedCall {
        self.record("call", Outcome::Allowed, "");
        std::mem::take(&mut self.origin).add_headers(response);
        AllowedCall(self)
    }

    /// Ends the call with an error, which is recorded and logged here, and returns the error response.
    pub fn reject(mut self, gateway: &Gateway, error: impl Into<RequestError>) -> Response<Bytes> {
        let error = error.into();
        if is_audited() {
            self.record("call", error.outcome(), &ErrorChain(&error).to_string());
        }
        self.is_recorded = true;
        if let Some(kind) = error.failure_kind() {
            gateway.failure_log.write(kind, self.failed(&error));
        }
        let mut response = reply::request_error(&error);
        std::mem::take(&mut self.origin).add_headers(&mut response);
        response
    }

    fn failed<'a>(&'a self, error: &'a (dyn Error + 'static)) -> FailedRequest<'a> {
        let (request_id, route) = (self.request_id.as_str(), self.route.pattern);
        FailedRequest { request_id, event: "", route, cause: ErrorChain(error) }
    }

    fn record(&mut self, event: &'static str, outcome: Outcome, reason: &str) {
        self.is_recorded = true;
        if !is_audited() {
            return;
        }
        Audit {
            event,
            outcome,
            request_id: self.request_id.as_str(),
            address: self.address.as_str(),
            user: self.token.as_ref().map_or("", |token| &token.subject),
            client: self.grant.as_ref().map_or("", |grant| &grant.client_name),
            client_id: self.token.as_ref().map_or("", |token| &token.client_id),
            route: self.route.pattern,
            method: self.method.as_str(),
            reason,
        }
        .record();
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        if !self.is_recorded {
            let reason = format!("before the response: {}", Interruption::current());
            self.record("call", Outcome::Failed, &reason);
        }
    }
}

impl AllowedCall {
    /// Records that the response body ended with an error.
    pub fn body_failed(mut self, gateway: &Gateway, error: &BodyError) {
        let outcome = if error.is_refusal() { Outcome::Refused } else { Outcome::Failed };
        self.0.record("stream_ended", outcome, &ErrorChain(error).to_string());
        gateway.failure_log.write(FailureKind::Stream, self.0.failed(error));
    }

    /// Records that the response was not sent to its end. A client that closes its event stream ends it as intended:
    /// that is no interruption.
    pub fn interrupted(mut self, gateway: &Gateway, interruption: Interruption) {
        self.0.record("stream_ended", Outcome::Failed, &interruption.to_string());
        if interruption != Interruption::Disconnected {
            gateway.failure_log.write(FailureKind::Stream, self.0.failed(&interruption));
        }
    }

    /// Notes that the client closed its event stream.
    pub fn closed_by_client(self) {
        tracing::debug!(
            request_id = self.0.request_id.as_str(),
            route = self.0.route.pattern,
            "event stream closed by the client"
        );
    }
}

/// Logs an error of a request that leaves no event, and returns the error response.
pub fn error_response(gateway: &Gateway, request_id: &str, error: &RequestError) -> Response<Bytes> {
    if let Some(kind) = error.failure_kind() {
        let failed = FailedRequest { request_id, event: "", route: "", cause: ErrorChain(error) };
        gateway.failure_log.write(kind, failed);
    }
    reply::request_error(error)
}

fn is_audited() -> bool {
    tracing::enabled!(target: "audit", tracing::Level::INFO)
}
