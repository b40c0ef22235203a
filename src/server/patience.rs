//! How long a client may hold a connection without asking for anything.
//!
//! All connections of a thread are looked at every second, so that no request costs a timer: hyper would set one for
//! each head, and none before it knows whether HTTP/1 or HTTP/2 is spoken.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;
use tokio::task::AbortHandle;
use tokio::time::{MissedTickBehavior, interval};

/// The head of a connection's first request comes within this many looks, a second apart.
const FIRST_REQUEST: u32 = 10;
/// A client that is slower than this to send the next one is attacking us, or gone.
const NEXT_REQUEST: u32 = 30;
const BETWEEN_LOOKS: Duration = Duration::from_secs(1);

/// The connections of one thread.
#[derive(Default)]
pub(super) struct Connections(RefCell<Vec<(Rc<Activity>, AbortHandle)>>);

impl Connections {
    /// Cuts this connection's task when nothing is asked for.
    pub(super) fn watch(&self, activity: Rc<Activity>, task: AbortHandle) {
        self.0.borrow_mut().push((activity, task));
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
        self.0.borrow_mut().retain(|(activity, task)| {
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
}

impl Activity {
    /// A request has come.
    pub(super) fn request(self: &Rc<Self>, version: http::Version) -> Open {
        self.heard.set(true);
        self.asks.set(version == http::Version::HTTP_2);
        self.open.set(self.open.get() + 1);
        Open(Rc::clone(self))
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
    use std::future::pending;

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

    #[tokio::test]
    async fn what_is_given_up_is_cut_and_forgotten() {
        let connections = Connections::default();
        let (silent, busy) = (Rc::default(), Rc::new(Activity::default()));
        let _open = busy.request(Version::HTTP_11);
        let task = tokio::spawn(pending::<()>());
        connections.watch(silent, task.abort_handle());
        connections.watch(busy, tokio::spawn(pending::<()>()).abort_handle());
        for _ in 0..=FIRST_REQUEST {
            connections.look();
        }
        assert!(task.await.unwrap_err().is_cancelled());
        connections.look();
        assert_eq!(connections.0.borrow().len(), 1);
    }
}
