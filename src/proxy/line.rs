//! A connection to a server. It has no task of its own: the request that uses it polls it, so that nothing has to be
//! handed from one task to another on the way.

use super::deadline::Deadline;
use super::upload::Upload;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::TrySendError;
use hyper::client::conn::http1::SendRequest;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

/// What comes of a request that was sent.
pub(super) type Answer = Result<Response<Incoming>, TrySendError<Request<Upload>>>;

/// A connection with at most one request on it.
pub(super) struct Line {
    sender: SendRequest<Upload>,
    /// hyper's side, which reads and writes; gone once it has a task of its own.
    connection: Option<Pin<Box<dyn Future<Output = ()>>>>,
    wakes: Arc<Wakes>,
    waker: Waker,
    /// How long the server may take for the head of its answer.
    pub(super) patience: Deadline,
}

impl Line {
    pub(super) fn new(
        sender: SendRequest<Upload>,
        connection: impl Future<Output = ()> + 'static,
        patience: Duration,
    ) -> Self {
        let wakes = Arc::new(Wakes::default());
        Self {
            sender,
            connection: Some(Box::pin(connection)),
            waker: Waker::from(Arc::clone(&wakes)),
            wakes,
            patience: Deadline::after(patience),
        }
    }

    /// Takes a request; its answer comes while the line is polled.
    pub(super) fn send(&mut self, request: Request<Upload>) -> impl Future<Output = Answer> + use<> {
        self.sender.try_send_request(request)
    }

    /// Polls `work`, and the connection as long as `work` waits for it.
    pub(super) fn poll<T>(
        &mut self,
        context: &mut Context<'_>,
        mut work: impl FnMut(&mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        let Some(connection) = &mut self.connection else { return work(context) };
        let mut inner = Context::from_waker(&self.waker);
        self.wakes.ignore();
        let mut done = work(&mut inner);
        if done.is_pending() {
            self.wakes.ignore();
            if connection.as_mut().poll(&mut inner).is_ready() {
                self.connection = None;
            }
            done = work(&mut inner);
        }
        if done.is_pending() && !self.wakes.reach(context.waker()) {
            // Woken while it was polled: more can be done, but others come first.
            context.waker().wake_by_ref();
        }
        done
    }

    /// Lets the connection go on by itself: the server has answered before it has read the whole request.
    pub(super) fn detach(&mut self) {
        if let Some(connection) = self.connection.take() {
            tokio::task::spawn_local(connection);
        }
    }

    /// Whether it can take another request.
    pub(super) fn is_free(&self) -> bool {
        self.connection.is_some() && self.sender.is_ready()
    }

    /// From here on nobody uses the line: what happens to it is only noted.
    pub(super) fn rest(&self) {
        self.wakes.ignore();
    }

    /// Whether it can still take a request after a rest; the server may have closed it.
    pub(super) fn is_alive(&mut self) -> bool {
        if self.wakes.happened()
            && let Some(connection) = &mut self.connection
        {
            let _ = connection.as_mut().poll(&mut Context::from_waker(&self.waker));
        }
        self.is_free()
    }
}

/// Wakes the task that waits for a line, and nobody while the line is polled anyway: hyper's two ends of a body wake
/// each other, and every request would be polled once more for nothing.
#[derive(Default)]
struct Wakes(Mutex<Noted>);

#[derive(Default)]
struct Noted {
    happened: bool,
    waiting: Option<Waker>,
}

impl Wakes {
    /// Forgets what happened, and who waits.
    fn ignore(&self) {
        *self.noted() = Noted::default();
    }

    fn happened(&self) -> bool {
        self.noted().happened
    }

    /// From here on it wakes this task; `false` when there was something already.
    fn reach(&self, task: &Waker) -> bool {
        let mut noted = self.noted();
        if noted.happened {
            return false;
        }
        noted.waiting = Some(task.clone());
        true
    }

    fn noted(&self) -> MutexGuard<'_, Noted> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let mut noted = self.noted();
        noted.happened = true;
        let waiting = noted.waiting.take();
        drop(noted);
        if let Some(task) = waiting {
            task.wake();
        }
    }
}
