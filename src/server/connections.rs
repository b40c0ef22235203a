//! Client connections of one thread: their idle timeout and their end.
//!
//! All connections are checked every second, so that requests need no timers of their own: hyper would set one for each
//! head, and none before the protocol is known.

use super::connection_state::{Action, ConnectionState};
use std::cell::RefCell;
use std::future::Future;
use std::rc::Rc;
use std::time::Duration;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, MissedTickBehavior, interval};

/// Interval between two checks.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);
/// Interval between two checks during a shutdown.
const DRAIN_CHECK_INTERVAL: Duration = Duration::from_millis(50);

/// Client connections of one thread.
#[derive(Default)]
pub(super) struct Connections {
    tasks: RefCell<JoinSet<()>>,
    watched: RefCell<Vec<(Rc<ConnectionState>, AbortHandle)>>,
}

/// Deadlines of a shutdown.
#[derive(Debug, Clone, Copy)]
pub(super) struct Deadlines {
    /// End of event streams, and of requests without a response.
    pub(super) end: Instant,
    /// End of all connections.
    pub(super) abort: Instant,
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

    /// Waits for all requests, and closes each connection once it has none. Returns the number of connections that were
    /// open at the last deadline.
    pub(super) async fn drain(&self, deadlines: Deadlines) -> usize {
        let mut ticks = interval(DRAIN_CHECK_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let tick = ticks.tick().await;
            if tick >= deadlines.abort {
                let mut open = self.tasks.take();
                while open.try_join_next().is_some() {}
                return open.len();
            }
            self.apply(ConnectionState::check_drain);
            if tick >= deadlines.end {
                self.watched.borrow().iter().for_each(|(state, _)| state.end());
            }
            if self.tasks.borrow().is_empty() {
                return 0;
            }
        }
    }

    /// Enforces the idle timeout and calls `on_check` in every interval; never returns.
    pub(super) async fn maintain(&self, on_check: impl Fn()) {
        let mut ticks = interval(CHECK_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            self.apply(ConnectionState::check);
            on_check();
        }
    }

    fn apply(&self, check: impl Fn(&ConnectionState) -> Action) {
        while self.tasks.borrow_mut().try_join_next().is_some() {}
        self.watched.borrow_mut().retain(|(state, task)| {
            if task.is_finished() {
                return false;
            }
            match check(state) {
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::{pending, poll_fn};
    use std::task::Poll;
    use tokio::sync::oneshot;

    /// Waits until the connection is stopped.
    async fn stopped(state: Rc<ConnectionState>) {
        poll_fn(|context| if state.is_stopped(context) { Poll::Ready(()) } else { Poll::Pending }).await;
    }

    fn deadlines(after: Duration) -> Deadlines {
        Deadlines { end: Instant::now(), abort: Instant::now() + after }
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
        for _ in 0..12 {
            connections.apply(ConnectionState::check);
        }
        assert!(aborted.await.is_err());
        connections.apply(ConnectionState::check);
        assert_eq!(connections.watched.borrow().len(), 1);
        assert_eq!(connections.tasks.borrow().len(), 1);
    }

    #[tokio::test(flavor = "local")]
    async fn a_drain_stops_quiet_connections_and_aborts_busy_ones_after_its_timeout() {
        let connections = Connections::default();
        let state = Rc::new(ConnectionState::default());
        connections.spawn(Rc::clone(&state), stopped(state));
        assert_eq!(connections.drain(deadlines(Duration::from_mins(1))).await, 0);
        let busy = Rc::new(ConnectionState::default());
        let in_flight = busy.begin_request();
        connections.spawn(Rc::clone(&busy), stopped(busy));
        assert_eq!(connections.drain(deadlines(Duration::ZERO)).await, 1);
        assert!(!in_flight.is_last(), "a request in flight is not interrupted");
        assert!(connections.tasks.borrow().is_empty());
    }

    #[tokio::test(flavor = "local")]
    async fn a_drain_keeps_a_connection_for_a_second_after_its_last_response() {
        let state = Rc::new(ConnectionState::default());
        let checks = |count: u32, expected: Action| {
            (0..count).for_each(|check| assert_eq!(state.check_drain(), expected, "check {check}"));
        };
        let second =
            u32::try_from(Duration::from_secs(1).as_millis() / DRAIN_CHECK_INTERVAL.as_millis()).unwrap();
        checks(second, Action::Keep);
        let in_flight = state.begin_request();
        checks(10 * second, Action::Keep);
        drop(in_flight);
        checks(second, Action::Keep);
        checks(2 * second, Action::Stop);
        checks(1, Action::Abort);
    }

    #[test]
    fn a_drain_stops_a_connection_at_once_that_has_been_idle_for_a_second() {
        let state = ConnectionState::default();
        (0..2).for_each(|_| assert_eq!(state.check(), Action::Keep));
        assert_eq!(state.check_drain(), Action::Stop);
    }
}
