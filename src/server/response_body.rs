//! Response body on its way to the client.

use super::connection_state::InFlight;
use super::stream_timeout::{chunk_awaited, chunk_sent};
use crate::app::call::AllowedCall;
use crate::app::interruption::Interruption;
use crate::app::state::Gateway;
use crate::proxy::{Body, BodyError};
use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

/// Response body that keeps its request in flight until it has been sent. At the end of a shutdown, an event stream
/// ends between two events.
pub(super) struct ResponseBody {
    body: Body,
    in_flight: InFlight,
    /// Call whose response this is, until the end of the body; `None` unless it is streamed.
    call: Option<Box<OpenCall>>,
}

/// Call with a response that is being streamed.
pub(super) struct OpenCall {
    call: AllowedCall,
    gateway: Arc<Gateway>,
}

impl OpenCall {
    /// Returns the open call of a response with this body, unless the body has arrived completely.
    pub(super) fn of(call: AllowedCall, body: &Body, gateway: &Arc<Gateway>) -> Option<Box<Self>> {
        (!body.is_complete()).then(|| Box::new(Self { call, gateway: Arc::clone(gateway) }))
    }
}

impl ResponseBody {
    pub(super) fn new(body: Body, in_flight: InFlight, call: Option<Box<OpenCall>>) -> Self {
        Self { body, in_flight, call }
    }
}

impl http_body::Body for ResponseBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        if polled.is_ready() {
            chunk_sent();
        } else if self.in_flight.has_ended() && self.body.end_between_events() {
            if let Some(open) = self.call.take() {
                open.call.interrupted(&open.gateway, Interruption::ShutDown);
            }
            return Poll::Ready(None);
        } else {
            chunk_awaited();
        }
        match &polled {
            Poll::Ready(None) => self.call = None,
            Poll::Ready(Some(Err(error))) => {
                if let Some(open) = self.call.take() {
                    open.call.body_failed(&open.gateway, error);
                }
            }
            Poll::Ready(Some(Ok(_))) | Poll::Pending => {}
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for ResponseBody {
    fn drop(&mut self) {
        let Some(open) = self.call.take_if(|_| !self.body.is_end_stream()) else { return };
        let interruption = Interruption::current();
        if interruption == Interruption::Disconnected && self.body.is_event_stream() {
            open.call.closed_by_client();
        } else {
            open.call.interrupted(&open.gateway, interruption);
        }
    }
}
