//! How long a client may hold a connection without asking for anything.
//!
//! All connections of a thread are looked at every second, so that no request costs a timer: hyper would set one for
//! each head, and none before it knows whether HTTP/1 or HTTP/2 is spoken.

use super::admission::{Peer, Permit};
use std::cell::{Cell, OnceCell, RefCell};
use std::future::Future;
use std::rc::Rc;
use std::task::{Context, Waker};
use std::time::Duration;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{MissedTickBehavior, interval, timeout};

/// The head of a connection's first request comes within this many looks, a second apart.
const MAX_CHECKS_BEFORE_FIRST_REQUEST: u32 = 10;
/// A client that is slower than this to send the next one is attacking us, or gone.
const MAX_CHECKS_BETWEEN_REQUESTS: u32 = 30;
/// Looks that a connection beyond the limits lives for, whatever happens on it.
const REFUSED: u32 = 3;
/// Looks that an HTTP/2 client has to take its `GOAWAY` and close the connection.
const GOODBYE: u32 = 5;
const CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// The connections of one thread.
#[derive(Default)]
pub(super) struct Connections {
    tasks: RefCell<JoinSet<()>>,
    watched: RefCell<Vec<(Rc<ConnectionState>, AbortHandle)>>,
}

impl Connections {
    /// Runs a connection, and ends it when nothing is asked for on it.
    pub(super) fn spawn(
        &self,
        state: Rc<ConnectionState>,
        connection: impl Future<Output = ()> + 'static,
    ) -> AbortHandle {
        let task = self.tasks.borrow_mut().spawn_local(connection);
        self.watched.borrow_mut().push((state, task.clone()));
        task
    }

    /// Tells all of them to stop, and waits until they have; after `limit` they are cut. Says whether that was not
    /// needed.
    pub(super) async fn drain(&self, limit: Duration) -> bool {
        self.watched.borrow().iter().for_each(|(state, _)| state.stop());
        let mut tasks = self.tasks.take();
        timeout(limit, async { while tasks.join_next().await.is_some() {} }).await.is_ok()
    }

    /// Looks at all of them, again and again, and calls `also` each time.
    pub(super) async fn tend(&self, also: impl Fn()) {
        let mut ticks = interval(CHECK_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            self.reap_idle();
            also();
        }
    }

    fn reap_idle(&self) {
        while self.tasks.borrow_mut().try_join_next().is_some() {}
        self.watched.borrow_mut().retain(|(state, task)| {
            if task.is_finished() {
                return false;
            }
            match state.reap_idle() {
                Verdict::Keep => {}
                Verdict::Stop => state.stop(),
                Verdict::BodyError => {
                    tracing::debug!("a connection was cut: nothing was asked for on it");
                    task.abort();
                }
            }
            true
        });
    }
}

/// State of a connection.
#[derive(Default)]
pub(super) struct ConnectionState {
    peer: Peer,
    /// Requests whose response has not been sent.
    open: Cell<u32>,
    /// There was a request.
    heard: Cell<bool>,
    /// HTTP/2 is spoken, which can say goodbye.
    is_http_2: Cell<bool>,
    /// Looks since the last request ended.
    silent: Cell<u32>,
    stopped: Cell<bool>,
    /// Its task, once that has asked whether it is to stop.
    task: OnceCell<Waker>,
}

/// Decision of one look.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Keep,
    /// Ends it in order.
    Stop,
    /// Ends it at once.
    BodyError,
}

impl ConnectionState {
    /// Of a connection on which nothing has happened.
    pub(super) fn new(peer: Peer) -> Self {
        Self { peer, ..Self::default() }
    }

    /// A request has come.
    pub(super) fn request(self: &Rc<Self>) -> InFlight {
        self.heard.set(true);
        let before = self.open.get();
        self.open.set(before + 1);
        InFlight { state: Rc::clone(self), is_only: before == 0, permit: None }
    }

    /// The client speaks HTTP/2.
    pub(super) fn speaks_http_2(&self) {
        self.is_http_2.set(true);
    }

    /// The connection is to end with the last answer that is under way.
    pub(super) fn stop(&self) {
        if !self.stopped.replace(true)
            && let Some(task) = self.task.get()
        {
            task.wake_by_ref();
        }
    }

    /// Whether it is to end; its task, always the same, is woken when it is.
    pub(super) fn is_stopped(&self, context: &Context<'_>) -> bool {
        self.task.get_or_init(|| context.waker().clone());
        self.stopped.get()
    }

    /// Notes one look. HTTP/2 clients that answer pings and ask for nothing are silent too.
    fn reap_idle(&self) -> Verdict {
        let is_refused = matches!(self.peer, Peer::Refused(_));
        if self.open.get() > 0 && !is_refused {
            self.silent.set(0);
            return Verdict::Keep;
        }
        let silent = self.silent.get() + 1;
        self.silent.set(silent);
        let most = match (is_refused, self.heard.get()) {
            (true, _) => REFUSED,
            (false, true) => MAX_CHECKS_BETWEEN_REQUESTS,
            (false, false) => MAX_CHECKS_BEFORE_FIRST_REQUEST,
        };
        if silent <= most {
            Verdict::Keep
        } else if self.is_http_2.get() && silent <= most + GOODBYE {
            Verdict::Stop
        } else {
            Verdict::BodyError
        }
    }
}

/// A request whose response has not been sent; goes with the response.
pub(super) struct InFlight {
    state: Rc<ConnectionState>,
    /// No other request was under way on its connection when it came.
    pub(super) is_only: bool,
    permit: Option<Box<Permit>>,
}

impl InFlight {
    /// The standing of its connection.
    pub(super) fn peer(&self) -> Peer {
        self.state.peer
    }

    /// Whether its connection speaks HTTP/2.
    pub(super) fn is_http_2(&self) -> bool {
        self.state.is_http_2.get()
    }

    /// Keeps the permit until the response is sent.
    pub(super) fn hold(&mut self, permit: Option<Box<Permit>>) {
        self.permit = permit;
    }

    /// Ends the connection with this response.
    pub(super) fn is_last(&self) {
        self.state.stop();
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.state.open.set(self.state.open.get() - 1);
        if !matches!(self.state.peer, Peer::Refused(_)) {
            self.state.silent.set(0);
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

    /// Looks that a connection survives, and looks until it is told to stop.
    fn checks(state: &Rc<ConnectionState>) -> (Option<u32>, Option<u32>) {
        let verdicts: Vec<Verdict> = (0..100).map(|_| state.reap_idle()).collect();
        let first = |wanted| {
            let at = verdicts.iter().position(|verdict| *verdict == wanted);
            at.map(|at| u32::try_from(at).unwrap())
        };
        (first(Verdict::BodyError), first(Verdict::Stop))
    }

    #[test]
    fn a_connection_on_which_nothing_is_asked_for_is_given_up() {
        assert_eq!(checks(&Rc::default()), (Some(MAX_CHECKS_BEFORE_FIRST_REQUEST), None));
    }

    #[test]
    fn a_request_may_take_its_time_and_the_next_one_may_be_a_while_off() {
        let state = Rc::new(ConnectionState::default());
        let open = state.request();
        assert_eq!(checks(&state), (None, None));
        drop(open);
        assert_eq!(checks(&state), (Some(MAX_CHECKS_BETWEEN_REQUESTS), None));
    }

    #[test]
    fn an_http_2_client_that_asks_for_nothing_is_told_and_then_cut() {
        let state = Rc::new(ConnectionState::default());
        state.speaks_http_2();
        assert_eq!(
            checks(&state),
            (Some(MAX_CHECKS_BEFORE_FIRST_REQUEST + GOODBYE), Some(MAX_CHECKS_BEFORE_FIRST_REQUEST))
        );
        let open = state.request();
        assert_eq!(checks(&state), (None, None));
        drop(open);
        assert_eq!(
            checks(&state),
            (Some(MAX_CHECKS_BETWEEN_REQUESTS + GOODBYE), Some(MAX_CHECKS_BETWEEN_REQUESTS))
        );
    }

    #[test]
    fn a_connection_beyond_the_limits_is_short_whatever_is_asked_on_it() {
        let state = Rc::new(ConnectionState::new(Peer::Refused(Refusal::Full)));
        let _in_flight = state.request();
        assert_eq!(checks(&state), (Some(REFUSED), None));
    }

    #[tokio::test(flavor = "local")]
    async fn what_is_given_up_is_cut_and_forgotten() {
        let connections = Connections::default();
        let (silent, busy) = (Rc::default(), Rc::new(ConnectionState::default()));
        let _in_flight = busy.request();
        let (cut, was_cut) = oneshot::channel::<()>();
        connections.spawn(silent, async move {
            let _cut = cut;
            pending::<()>().await;
        });
        connections.spawn(busy, pending::<()>());
        for _ in 0..=MAX_CHECKS_BEFORE_FIRST_REQUEST {
            connections.reap_idle();
        }
        assert!(was_cut.await.is_err());
        connections.reap_idle();
        assert_eq!(connections.watched.borrow().len(), 1);
        assert_eq!(connections.tasks.borrow().len(), 1);
    }

    #[tokio::test(flavor = "local")]
    async fn a_drain_wakes_each_connection_waits_for_it_and_cuts_it_when_it_takes_too_long() {
        let connections = Connections::default();
        let state = Rc::new(ConnectionState::default());
        let asked = Rc::clone(&state);
        connections.spawn(
            state,
            poll_fn(move |context| if asked.is_stopped(context) { Poll::Ready(()) } else { Poll::Pending }),
        );
        tokio::task::yield_now().await;
        assert!(connections.drain(Duration::from_mins(1)).await);
        connections.spawn(Rc::default(), pending::<()>());
        assert!(!connections.drain(Duration::ZERO).await);
        assert!(connections.tasks.borrow().is_empty());
    }
}
