//! State of a client connection: its requests in flight, its idle timeout and its end.

use super::admission::{Peer, Permit};
use super::stream_tasks::StreamTasks;
use std::cell::{Cell, OnceCell};
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

/// Idle timeout before the first request, in checks.
const MAX_CHECKS_BEFORE_FIRST_REQUEST: u32 = 10;
/// Idle timeout between two requests, in checks.
const MAX_CHECKS_BETWEEN_REQUESTS: u32 = 30;
/// Lifetime of a connection beyond the limits, idle or not, in checks.
const MAX_CHECKS_OF_REFUSED: u32 = 3;
/// Time for an HTTP/2 client to close the connection after `GOAWAY`, in checks.
const GOAWAY_CHECKS: u32 = 5;
/// Time for an HTTP/1.1 client to close the connection after the end of the stream, in checks.
const CLOSE_CHECKS: u32 = 1;
/// Minimum number of checks without a request that is at least a second.
const QUIET_CHECKS: u32 = 2;

/// Time without a request after which a connection is closed during a shutdown, in drain checks. A request may be on
/// its way on a connection that was accepted last, or whose last response did not announce the end.
const MAX_QUIET_DRAIN_CHECKS: u32 = 20;
/// That limit for a connection that cannot be closed gracefully: a request head is incomplete, or the client does not
/// close it after `GOAWAY`.
const MAX_STALLED_DRAIN_CHECKS: u32 = 60;

/// State of a client connection.
#[derive(Default)]
pub(super) struct ConnectionState {
    peer: Peer,
    /// Requests whose response has not been sent.
    in_flight: Cell<u32>,
    /// True once a request has arrived.
    had_request: Cell<bool>,
    /// True if the protocol is HTTP/2, which has `GOAWAY`.
    is_http_2: Cell<bool>,
    /// True if bytes have arrived since the last request began or ended: a part of the next one.
    has_received: Cell<bool>,
    /// True while the client does not read the response.
    is_write_pending: Cell<bool>,
    /// Checks since the last request ended.
    idle_checks: Cell<u32>,
    /// Drain checks without a request.
    quiet_drain_checks: Cell<u32>,
    stopped: Cell<bool>,
    ended: Cell<bool>,
    /// Waker of the connection's task, after its first call of `is_stopped`.
    task: OnceCell<Waker>,
    /// Tasks of the streams, for HTTP/2 only.
    pub(super) streams: StreamTasks,
}

/// Result of a check.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Action {
    Keep,
    /// Close the connection gracefully.
    Stop,
    /// Close the connection at once.
    Abort,
}

impl ConnectionState {
    /// State of a new connection.
    pub(super) fn new(peer: Peer) -> Self {
        Self { peer, ..Self::default() }
    }

    /// Counts a request as in flight until the returned value is dropped.
    pub(super) fn begin_request(self: &Rc<Self>) -> InFlight {
        self.had_request.set(true);
        self.has_received.set(false);
        let before = self.in_flight.get();
        self.in_flight.set(before + 1);
        InFlight { state: Rc::clone(self), is_only: before == 0, permit: None }
    }

    /// Marks the connection as HTTP/2.
    pub(super) fn set_http_2(&self) {
        self.is_http_2.set(true);
    }

    /// Notes that bytes have arrived.
    pub(super) fn note_received(&self) {
        self.has_received.set(true);
    }

    /// Notes whether the client keeps a write waiting.
    pub(super) fn set_write_pending(&self, is_pending: bool) {
        self.is_write_pending.set(is_pending);
    }

    /// Closes the connection gracefully: HTTP/2 with `GOAWAY`, HTTP/1.1 once no request is in flight or has arrived.
    pub(super) fn stop(&self) {
        if !self.stopped.replace(true)
            && let Some(task) = self.task.get()
        {
            task.wake_by_ref();
        }
    }

    /// Ends event streams between two events, and requests without a response.
    pub(super) fn end(&self) {
        self.ended.set(true);
        if let Some(task) = self.task.get() {
            task.wake_by_ref();
        }
        self.streams.wake_all();
    }

    /// Returns `true` once the connection is stopped; otherwise registers the task to be woken. Always called by the same
    /// task.
    pub(super) fn is_stopped(&self, context: &Context<'_>) -> bool {
        self.task.get_or_init(|| context.waker().clone());
        self.stopped.get()
    }

    /// Returns `true` once the connection is stopped and every byte must be looked for before it is closed.
    pub(super) fn is_closing(&self) -> bool {
        self.stopped.get()
    }

    /// Returns `true` if closing the connection now loses no request. HTTP/2 tells the client which requests are served.
    pub(super) fn may_close(&self) -> bool {
        self.is_http_2.get()
            || self.in_flight.get() == 0 && !self.has_received.get() && !self.is_write_pending.get()
    }

    /// Counts one check of the idle timeout and decides. An HTTP/2 connection with pings only is idle, too.
    pub(super) fn check(&self) -> Action {
        let is_refused = matches!(self.peer, Peer::Refused(_));
        if self.in_flight.get() > 0 && !is_refused {
            self.idle_checks.set(0);
            return Action::Keep;
        }
        let idle_checks = self.idle_checks.get() + 1;
        self.idle_checks.set(idle_checks);
        let max_checks = match (is_refused, self.had_request.get()) {
            (true, _) => MAX_CHECKS_OF_REFUSED,
            (false, true) => MAX_CHECKS_BETWEEN_REQUESTS,
            (false, false) => MAX_CHECKS_BEFORE_FIRST_REQUEST,
        };
        let close_checks = match self.is_http_2.get() {
            true => GOAWAY_CHECKS,
            // A request that has just arrived on an idle connection is served.
            false if self.may_close() => CLOSE_CHECKS,
            false => 0,
        };
        if idle_checks <= max_checks {
            Action::Keep
        } else if idle_checks <= max_checks + close_checks {
            Action::Stop
        } else {
            Action::Abort
        }
    }

    /// Counts one check during a shutdown and decides. Requests in flight are waited for.
    pub(super) fn check_drain(&self) -> Action {
        if self.is_http_2.get() {
            self.stop();
        }
        if self.in_flight.get() > 0 || self.is_write_pending.get() {
            self.quiet_drain_checks.set(0);
            return Action::Keep;
        }
        let quiet = self.quiet_drain_checks.get() + 1;
        self.quiet_drain_checks.set(quiet);
        if quiet > MAX_STALLED_DRAIN_CHECKS {
            Action::Abort
        } else if quiet > MAX_QUIET_DRAIN_CHECKS || self.idle_checks.get() >= QUIET_CHECKS {
            Action::Stop
        } else {
            Action::Keep
        }
    }
}

/// Request in flight; held by the response body until that has been sent.
pub(super) struct InFlight {
    state: Rc<ConnectionState>,
    /// True if no other request was in flight on the connection when it arrived.
    pub(super) is_only: bool,
    permit: Option<Box<Permit>>,
}

impl InFlight {
    /// Returns the admission class of the connection.
    pub(super) fn peer(&self) -> Peer {
        self.state.peer
    }

    /// Returns `true` for a request over HTTP/2.
    pub(super) fn is_http_2(&self) -> bool {
        self.state.is_http_2.get()
    }

    /// Returns `true` if the connection is closed after this response.
    pub(super) fn is_last(&self) -> bool {
        self.state.stopped.get() || matches!(self.state.peer, Peer::Refused(_))
    }

    /// Returns `true` once event streams end between two events.
    pub(super) fn has_ended(&self) -> bool {
        self.state.ended.get()
    }

    /// Keeps the permit until the response is sent.
    pub(super) fn hold(&mut self, permit: Option<Box<Permit>>) {
        self.permit = permit;
    }

    /// Closes the connection after this response.
    pub(super) fn close_connection(&self) {
        self.state.stop();
    }

    /// Waits for a response; there is none once a shutdown is over.
    pub(super) async fn until_end<F: Future + ?Sized>(&self, mut response: Pin<&mut F>) -> Option<F::Output> {
        poll_fn(|context| {
            if self.state.ended.get() { Poll::Ready(None) } else { response.as_mut().poll(context).map(Some) }
        })
        .await
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.state.in_flight.set(self.state.in_flight.get() - 1);
        self.state.has_received.set(false);
        if !matches!(self.state.peer, Peer::Refused(_)) {
            self.state.idle_checks.set(0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::admission::Refusal;
    use super::*;

    /// Returns the number of checks until the connection is aborted, and until it is stopped.
    fn checks(state: &Rc<ConnectionState>) -> (Option<u32>, Option<u32>) {
        let actions: Vec<Action> = (0..100).map(|_| state.check()).collect();
        let first = |expected| {
            let index = actions.iter().position(|action| *action == expected);
            index.map(|index| u32::try_from(index).unwrap())
        };
        (first(Action::Abort), first(Action::Stop))
    }

    #[test]
    fn a_connection_without_a_request_times_out() {
        let stopped = MAX_CHECKS_BEFORE_FIRST_REQUEST;
        assert_eq!(checks(&Rc::default()), (Some(stopped + CLOSE_CHECKS), Some(stopped)));
        let slow = Rc::new(ConnectionState::default());
        slow.note_received();
        assert_eq!(checks(&slow), (Some(stopped), None), "a part of a request has arrived");
    }

    #[test]
    fn a_connection_is_not_idle_during_a_request_and_times_out_after_it() {
        let state = Rc::new(ConnectionState::default());
        let in_flight = state.begin_request();
        assert_eq!(checks(&state), (None, None));
        drop(in_flight);
        let stopped = MAX_CHECKS_BETWEEN_REQUESTS;
        assert_eq!(checks(&state), (Some(stopped + CLOSE_CHECKS), Some(stopped)));
    }

    #[test]
    fn an_idle_http_2_connection_is_stopped_and_then_aborted() {
        let state = Rc::new(ConnectionState::default());
        state.set_http_2();
        assert_eq!(
            checks(&state),
            (Some(MAX_CHECKS_BEFORE_FIRST_REQUEST + GOAWAY_CHECKS), Some(MAX_CHECKS_BEFORE_FIRST_REQUEST))
        );
        let in_flight = state.begin_request();
        assert_eq!(checks(&state), (None, None));
        drop(in_flight);
        assert_eq!(
            checks(&state),
            (Some(MAX_CHECKS_BETWEEN_REQUESTS + GOAWAY_CHECKS), Some(MAX_CHECKS_BETWEEN_REQUESTS))
        );
    }

    #[test]
    fn a_connection_beyond_the_limits_is_aborted_even_during_a_request() {
        let state = Rc::new(ConnectionState::new(Peer::Refused(Refusal::Full)));
        let _in_flight = state.begin_request();
        assert_eq!(checks(&state).0, Some(MAX_CHECKS_OF_REFUSED));
    }
}
