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

/// How long a client may pause in the middle of its body.
const PAUSE: Duration = Duration::from_secs(30);

/// How far a body has come; shared between what sends it and what waits for the answer. Nothing when there is none.
#[derive(Clone)]
pub(super) struct Progress(Option<Rc<Cell<Stage>>>);

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
        self.stage() == Stage::Sent
    }

    /// Why sending it was given up, if that was the client's fault.
    pub(super) fn fault(&self) -> Option<Failed> {
        match self.stage() {
            Stage::TooSlow => Some(Failed::TooSlow),
            Stage::TooLong => Some(Failed::TooLong),
            Stage::WithServer | Stage::WithClient | Stage::Sent => None,
        }
    }

    /// Who is to blame when the time is up.
    pub(super) fn overdue(&self) -> Failed {
        let waits_for_client = self.stage() == Stage::WithClient;
        if waits_for_client { Failed::TooSlow } else { Failed::TimedOut }
    }

    fn stage(&self) -> Stage {
        self.0.as_ref().map_or(Stage::Sent, |stage| stage.get())
    }
}

/// The client's body, no longer than the route takes. Small, since hyper moves it on many times; nothing when there
/// is none.
pub(super) struct Upload(Option<Box<Sending>>);

struct Sending {
    body: ClientBody,
    left: u64,
    waiting: Option<Pin<Box<Sleep>>>,
    stage: Rc<Cell<Stage>>,
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
    /// At most `longest` bytes of this body.
    pub(super) fn new(body: ClientBody, longest: u64) -> Self {
        let stage = || Rc::new(Cell::new(Stage::WithServer));
        let is_empty = body.is_end_stream();
        Self((!is_empty).then(|| Box::new(Sending { body, left: longest, waiting: None, stage: stage() })))
    }

    /// How far it has come, also after it was handed on.
    pub(super) fn progress(&self) -> Progress {
        Progress(self.0.as_ref().map(|sending| Rc::clone(&sending.stage)))
    }
}

type Polled = Poll<Option<Result<Frame<Bytes>, Unsendable>>>;

impl Sending {
    fn poll(&mut self, context: &mut Context<'_>) -> Polled {
        loop {
            let Poll::Ready(polled) = Pin::new(&mut self.body).poll_frame(context) else {
                return self.wait(context);
            };
            self.waiting = None;
            let data = match polled {
                None => {
                    self.stage.set(Stage::Sent);
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
            self.stage.set(if self.body.is_end_stream() { Stage::Sent } else { Stage::WithServer });
            return Poll::Ready(Some(Ok(Frame::data(data))));
        }
    }

    fn wait(&mut self, context: &mut Context<'_>) -> Polled {
        self.stage.set(Stage::WithClient);
        ready!(self.waiting.get_or_insert_with(|| Box::pin(sleep(PAUSE))).as_mut().poll(context));
        self.give_up(Stage::TooSlow, Unsendable::TooSlow)
    }

    fn give_up(&self, stage: Stage, why: Unsendable) -> Polled {
        self.stage.set(stage);
        Poll::Ready(Some(Err(why)))
    }
}

impl Body for Upload {
    type Data = Bytes;
    type Error = Unsendable;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Polled {
        self.0.as_mut().map_or(Poll::Ready(None), |sending| sending.poll(context))
    }

    fn is_end_stream(&self) -> bool {
        self.0.as_ref().is_none_or(|sending| sending.body.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        self.0.as_ref().map_or(SizeHint::with_exact(0), |sending| sending.body.size_hint())
    }
}
