//! How long a client may hold a connection without asking for anything.
//!
//! All connections of a thread are looked at every second, so that no request costs a timer: hyper would set one for
//! each head, and none before it knows whether HTTP/1 or HTTP/2 is spoken.

use std::cell::{Cell, OnceCell, RefCell};
use std::future::Future;
use std::rc::Rc;
use std::task::{Context, Waker};
use std::time::Duration;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{MissedTickBehavior, interval, timeout};

/// The head of a connection's first request comes within this many looks, a second apart.
const FIRST_REQUEST: u32 = 10;
/// A client that is slower than this to send the next one is attacking us, or gone.
const NEXT_REQUEST: u32 = 30;
const BETWEEN_LOOKS: Duration = Duration::from_secs(1);

/// The connections of one thread.
#[derive(Default)]
pub(super) struct Connections {
    tasks: RefCell<JoinSet<()>>,
    watched: RefCell<Vec<(Rc<Activity>, AbortHandle)>>,
}

impl Connections {
    /// Runs a connection, and cuts it when nothing is asked for on it.
    pub(super) fn spawn(&self, activity: Rc<Activity>, connection: impl Future<Output = ()> + 'static) {
        let task = self.tasks.borrow_mut().spawn_local(connection);
        self.watched.borrow_mut().push((activity, task));
    }

    /// Tells all of them to stop, and waits until they have; after `limit` they are cut. Says whether that was not
    /// needed.
    pub(super) async fn drain(&self, limit: Duration) -> bool {
        self.watched.borrow().iter().for_each(|(activity, _)| activity.stop());
        let mut tasks = self.tasks.take();
        timeout(limit, async { while tasks.join_next().await.is_some() {} }).await.is_ok()
    }

    /// Looks at all of them, again and again.
    pub(super) async fn tend(&self) {
        let mut ticks = interval(BETWEEN_LOOKS);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            self.look();
        }
    }

    fn look(&self) {
        while self.tasks.borrow_mut().try_join_next().is_some() {}
        self.watched.borrow_mut().retain(|(activity, task)| {
            if !task.is_finished() && activity.is_silent() {
                tracing::debug!("a connection was cut: nothing was asked for on it");
                task.abort();
            }
            !task.is_finished()
        });
    }
}

/// What happens on a connection.
#[derive(Default)]
pub(super) struct Activity {
    /// Requests whose answer has not been sent.
    open: Cell<u32>,
    /// Whether there ever was one.
    heard: Cell<bool>,
    /// Whether HTTP/2 is spoken, which asks silent clients whether they are there.
    asks: Cell<bool>,
    /// For how many looks there has been nothing.
    silent: Cell<u32>,
    stopped: Cell<bool>,
    /// Its task, once that has asked whether it is to stop.
    task: OnceCell<Waker>,
}

impl Activity {
    /// A request has come.
    pub(super) fn request(self: &Rc<Self>, version: http::Version) -> Open {
        self.heard.set(true);
        self.asks.set(version == http::Version::HTTP_2);
        self.open.set(self.open.get() + 1);
        Open(Rc::clone(self))
    }

    /// The connection is to end with the last answer that is under way.
    fn stop(&self) {
        self.stopped.set(true);
        if let Some(task) = self.task.get() {
            task.wake_by_ref();
        }
    }

    /// Whether it is to end; its task, always the same, is woken when it is.
    pub(super) fn is_stopped(&self, context: &Context<'_>) -> bool {
        self.task.get_or_init(|| context.waker().clone());
        self.stopped.get()
    }

    /// Notes one look, and says whether it was one too many.
    fn is_silent(&self) -> bool {
        if self.open.get() > 0 || self.asks.get() {
            self.silent.set(0);
            return false;
        }
        self.silent.set(self.silent.get() + 1);
        self.silent.get() > if self.heard.get() { NEXT_REQUEST } else { FIRST_REQUEST }
    }
}

/// A request whose answer has not been sent; goes with the answer.
pub(super) struct Open(Rc<Activity>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.set(self.0.open.get() - 1);
        self.0.silent.set(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Version;
    use std::future::{pending, poll_fn};
    use std::task::Poll;
    use tokio::sync::oneshot;

    /// How many looks a connection survives.
    fn looks(activity: &Rc<Activity>) -> Option<u32> {
        (0..100).find(|_| activity.is_silent())
    }

    #[test]
    fn a_connection_on_which_nothing_is_asked_for_is_given_up() {
        assert_eq!(looks(&Rc::default()), Some(FIRST_REQUEST));
    }

    #[test]
    fn a_request_may_take_its_time_and_the_next_one_may_be_a_while_off() {
        let activity = Rc::new(Activity::default());
        let open = activity.request(Version::HTTP_11);
        assert_eq!(looks(&activity), None);
        drop(open);
        assert_eq!(looks(&activity), Some(NEXT_REQUEST));
    }

    #[test]
    fn http_2_asks_by_itself_whether_a_client_is_there() {
        let activity = Rc::new(Activity::default());
        drop(activity.request(Version::HTTP_2));
        assert_eq!(looks(&activity), None);
    }

    #[tokio::test(flavor = "local")]
    async fn what_is_given_up_is_cut_and_forgotten() {
        let connections = Connections::default();
        let (silent, busy) = (Rc::default(), Rc::new(Activity::default()));
        let _open = busy.request(Version::HTTP_11);
        let (cut, was_cut) = oneshot::channel::<()>();
        connections.spawn(silent, async move {
            let _cut = cut;
            pending::<()>().await;
        });
        connections.spawn(busy, pending::<()>());
        for _ in 0..=FIRST_REQUEST {
            connections.look();
        }
        assert!(was_cut.await.is_err());
        connections.look();
        assert_eq!(connections.watched.borrow().len(), 1);
        assert_eq!(connections.tasks.borrow().len(), 1);
    }

    #[tokio::test(flavor = "local")]
    async fn a_drain_wakes_each_connection_waits_for_it_and_cuts_it_when_it_takes_too_long() {
        let connections = Connections::default();
        let activity = Rc::new(Activity::default());
        let asked = Rc::clone(&activity);
        connections.spawn(
            activity,
            poll_fn(move |context| if asked.is_stopped(context) { Poll::Ready(()) } else { Poll::Pending }),
        );
        tokio::task::yield_now().await;
        assert!(connections.drain(Duration::from_mins(1)).await);
        connections.spawn(Rc::default(), pending::<()>());
        assert!(!connections.drain(Duration::ZERO).await);
        assert!(connections.tasks.borrow().is_empty());
    }
}
