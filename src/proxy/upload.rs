//! A client's body on its way to a server.

use super::Failed;
use super::client_body::ClientBody;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use std::cell::Cell;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::{Sleep, sleep};

/// How far a body has come; shared between what sends it and what waits for the answer.
#[derive(Clone)]
pub(super) struct Progress(Rc<Cell<Stage>>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// It is the server's turn to take.
    WithServer,
    /// It is the client's turn to send.
    WithClient,
    /// The client let too much time pass.
    TooSlow,
    TooLong,
    Sent,
}

impl Progress {
    /// Whether all of the body has been sent: only then can the connection carry another request.
    pub(super) fn is_sent(&self) -> bool {
        self.0.get() == Stage::Sent
    }

    /// Why sending it was given up, if that was the client's fault.
    pub(super) fn fault(&self) -> Option<Failed> {
        match self.0.get() {
            Stage::TooSlow => Some(Failed::TooSlow),
            Stage::TooLong => Some(Failed::TooLong),
            Stage::WithServer | Stage::WithClient | Stage::Sent => None,
        }
    }

    /// Who is to blame when the time is up.
    pub(super) fn overdue(&self) -> Failed {
        let waits_for_client = self.0.get() == Stage::WithClient;
        if waits_for_client { Failed::TooSlow } else { Failed::TimedOut }
    }
}

/// The client's body, no longer than the route takes.
pub(super) struct Upload {
    body: ClientBody,
    left: u64,
    patience: Duration,
    waiting: Option<Pin<Box<Sleep>>>,
    progress: Progress,
}

/// Why sending a body was given up.
#[derive(Debug)]
pub(super) enum Unsendable {
    Client(hyper::Error),
    TooSlow,
    TooLong,
}

impl fmt::Display for Unsendable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Client(error) => write!(f, "the client broke off: {error}"),
            Self::TooSlow => f.write_str("the client stopped in the middle of its body"),
            Self::TooLong => f.write_str("the body is longer than the route takes"),
        }
    }
}

impl std::error::Error for Unsendable {}

impl Upload {
    /// At most `longest` bytes of this body, with no longer pauses than `patience`.
    pub(super) fn new(body: ClientBody, longest: u64, patience: Duration) -> Self {
        let stage = if body.is_end_stream() { Stage::Sent } else { Stage::WithServer };
        let progress = Progress(Rc::new(Cell::new(stage)));
        Self { body, left: longest, patience, waiting: None, progress }
    }

    /// How far it has come, also after it was handed on.
    pub(super) fn progress(&self) -> Progress {
        self.progress.clone()
    }

    fn give_up(&self, stage: Stage, why: Unsendable) -> Poll<Option<Result<Frame<Bytes>, Unsendable>>> {
        self.progress.0.set(stage);
        Poll::Ready(Some(Err(why)))
    }

    fn wait(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Unsendable>>> {
        self.progress.0.set(Stage::WithClient);
        let patience = self.patience;
        ready!(self.waiting.get_or_insert_with(|| Box::pin(sleep(patience))).as_mut().poll(context));
        self.give_up(Stage::TooSlow, Unsendable::TooSlow)
    }
}

impl Body for Upload {
    type Data = Bytes;
    type Error = Unsendable;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Unsendable>>> {
        loop {
            let Poll::Ready(polled) = Pin::new(&mut self.body).poll_frame(context) else {
                return self.wait(context);
            };
            self.waiting = None;
            let data = match polled {
                None => {
                    self.progress.0.set(Stage::Sent);
                    return Poll::Ready(None);
                }
                Some(Err(error)) => return self.give_up(Stage::WithServer, Unsendable::Client(error)),
                // A client's trailers could repeat headers that were looked at and removed.
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => data,
                    Err(_) => continue,
                },
            };
            let Some(left) = self.left.checked_sub(data.len() as u64) else {
                return self.give_up(Stage::TooLong, Unsendable::TooLong);
            };
            self.left = left;
            let stage = if self.body.is_end_stream() { Stage::Sent } else { Stage::WithServer };
            self.progress.0.set(stage);
            return Poll::Ready(Some(Ok(Frame::data(data))));
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
