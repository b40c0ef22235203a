//! Idle timeout of client connections.
//!
//! All connections of a thread are checked every second, so that requests need no timers of their own: hyper would set
//! one for each head, and none before the protocol is known.

use super::admission::{Peer, Permit};
use std::cell::{Cell, OnceCell, RefCell};
use std::future::Future;
use std::rc::Rc;
use std::task::{Context, Waker};
use std::time::Duration;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{MissedTickBehavior, interval, timeout};

/// Idle timeout before the first request, in checks.
const MAX_CHECKS_BEFORE_FIRST_REQUEST: u32 = 10;
/// Idle timeout between two requests, in checks.
const MAX_CHECKS_BETWEEN_REQUESTS: u32 = 30;
/// Lifetime of a connection beyond the limits, idle or not, in checks.
const MAX_CHECKS_OF_REFUSED: u32 = 3;
/// Time for an HTTP/2 client to close the connection after `GOAWAY`, in checks.
const GOAWAY_CHECKS: u32 = 5;
/// Interval between two checks.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// Client connections of one thread.
#[derive(Default)]
pub(super) struct Connections {
    tasks: RefCell<JoinSet<()>>,
    watched: RefCell<Vec<(Rc<ConnectionState>, AbortHandle)>>,
}

impl Connections {
    /// Spawns the task of a connection and enforces its idle timeout.
    pub(super) fn spawn(
        &self,
        state: Rc<ConnectionState>,
        connection: impl Future<Output = ()> + 'static,
    ) -> AbortHandle {
        let task = self.tasks.borrow_mut().spawn_local(connection);
        self.watched.borrow_mut().push((state, task.clone()));
        task
    }

    /// Stops all connections gracefully and waits for them; after `limit` they are aborted. Returns false if any was.
    pub(super) async fn drain(&self, limit: Duration) -> bool {
        self.watched.borrow().iter().for_each(|(state, _)| state.stop());
        let mut tasks = self.tasks.take();
        timeout(limit, async { while tasks.join_next().await.is_some() {} }).await.is_ok()
    }

    /// Enforces the idle timeout and calls `on_check` in every interval; never returns.
    pub(super) async fn maintain(&self, on_check: impl Fn()) {
        let mut ticks = interval(CHECK_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            self.reap_idle();
            on_check();
        }
    }

    fn reap_idle(&self) {
        while self.tasks.borrow_mut().try_join_next().is_some() {}
        self.watched.borrow_mut().retain(|(state, task)| {
            if task.is_finished() {
                return false;
            }
            match state.check() {
                Action::Keep => {}
                Action::Stop => state.stop(),
                Action::Abort => {
                    tracing::debug!("client connection closed: idle timeout");
                    task.abort();
                }
            }
            true
        });
    }
}

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
    /// Checks since the last request ended.
    idle_checks: Cell<u32>,
    stopped: Cell<bool>,
    /// Waker of the connection's task, after its first call of `is_stopped`.
    task: OnceCell<Waker>,
}

/// Result of a check.
#[derive(Debug, PartialEq, Eq)]
enum Action {
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
        let before = self.in_flight.get();
        self.in_flight.set(before + 1);
        InFlight { state: Rc::clone(self), is_only: before == 0, permit: None }
    }

    /// Marks the connection as HTTP/2.
    pub(super) fn set_http_2(&self) {
        self.is_http_2.set(true);
    }

    /// Closes the connection after the last response in flight.
    pub(super) fn stop(&self) {
        if !self.stopped.replace(true)
            && let Some(task) = self.task.get()
        {
            task.wake_by_ref();
        }
    }

    /// Returns true once the connection is stopped; otherwise registers the task to be woken. Always called by the same
    /// task.
    pub(super) fn is_stopped(&self, context: &Context<'_>) -> bool {
        self.task.get_or_init(|| context.waker().clone());
        self.stopped.get()
    }

    /// Counts one check and decides. An HTTP/2 connection with pings only is idle, too.
    fn check(&self) -> Action {
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
        if idle_checks <= max_checks {
            Action::Keep
        } else if self.is_http_2.get() && idle_checks <= max_checks + GOAWAY_CHECKS {
            Action::Stop
        } else {
            Action::Abort
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

    /// Returns true for a request over HTTP/2.
    pub(super) fn is_http_2(&self) -> bool {
        self.state.is_http_2.get()
    }

    /// Keeps the permit until the response is sent.
    pub(super) fn hold(&mut self, permit: Option<Box<Permit>>) {
        self.permit = permit;
    }

    /// Closes the connection after this response.
    pub(super) fn close_connection(&self) {
        self.state.stop();
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.state.in_flight.set(self.state.in_flight.get() - 1);
        if !matches!(self.state.peer, Peer::Refused(_)) {
            self.state.idle_checks.set(0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::admission::Refusal;
    use super::*;
    use std::future::{pending, poll_fn};
    use std::task::Poll;
    use tokio::sync::oneshot;

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
        assert_eq!(checks(&Rc::default()), (Some(MAX_CHECKS_BEFORE_FIRST_REQUEST), None));
    }

    #[test]
    fn a_connection_is_not_idle_during_a_request_and_times_out_after_it() {
        let state = Rc::new(ConnectionState::default());
        let in_flight = state.begin_request();
        assert_eq!(checks(&state), (None, None));
        drop(in_flight);
        assert_eq!(checks(&state), (Some(MAX_CHECKS_BETWEEN_REQUESTS), None));
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
        assert_eq!(checks(&state), (Some(MAX_CHECKS_OF_REFUSED), None));
    }

    #[tokio::test(flavor = "local")]
    async fn a_timed_out_connection_is_aborted_and_removed() {
        let connections = Connections::default();
        let (idle, busy) = (Rc::default(), Rc::new(ConnectionState::default()));
        let _in_flight = busy.begin_request();
        let (alive, aborted) = oneshot::channel::<()>();
        connections.spawn(idle, async move {
            let _alive = alive;
            pending::<()>().await;
        });
        connections.spawn(busy, pending::<()>());
        for _ in 0..=MAX_CHECKS_BEFORE_FIRST_REQUEST {
            connections.reap_idle();
        }
        assert!(aborted.await.is_err());
        connections.reap_idle();
        assert_eq!(connections.watched.borrow().len(), 1);
        assert_eq!(connections.tasks.borrow().len(), 1);
    }

    #[tokio::test(flavor = "local")]
    async fn a_drain_stops_connections_and_aborts_them_after_its_timeout() {
        let connections = Connections::default();
        let state = Rc::new(ConnectionState::default());
        let stopping = Rc::clone(&state);
        connections.spawn(
            state,
            poll_fn(
                move |context| if stopping.is_stopped(context) { Poll::Ready(()) } else { Poll::Pending },
            ),
        );
        tokio::task::yield_now().await;
        assert!(connections.drain(Duration::from_mins(1)).await);
        connections.spawn(Rc::default(), pending::<()>());
        assert!(!connections.drain(Duration::ZERO).await);
        assert!(connections.tasks.borrow().is_empty());
    }
}
