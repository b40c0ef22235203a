//! Timeouts that are set for every request and rarely expire.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::{Instant, Sleep, sleep_until};

/// Deadline that is cheap to extend: setting it only reads the clock, and the timer is moved when it fires too early.
pub(super) struct Deadline {
    at: Instant,
    timer: Pin<Box<Sleep>>,
}

impl Deadline {
    /// Creates a deadline this far from now.
    pub(super) fn after(time: Duration) -> Self {
        let at = Instant::now() + time;
        Self { at, timer: Box::pin(sleep_until(at)) }
    }

    /// Moves the deadline to this far from now.
    pub(super) fn set(&mut self, time: Duration) {
        self.set_at(Instant::now() + time);
    }

    /// Moves the deadline to this time.
    pub(super) fn set_at(&mut self, at: Instant) {
        self.at = at;
        if self.at < self.timer.deadline() {
            self.timer.as_mut().reset(self.at);
        }
    }

    /// Becomes ready once the deadline has passed.
    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        loop {
            ready!(self.timer.as_mut().poll(context));
            if self.at <= self.timer.deadline() {
                return Poll::Ready(());
            }
            self.timer.as_mut().reset(self.at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;

    #[tokio::test]
    async fn a_deadline_runs_from_its_last_set() {
        const SHORT: Duration = Duration::from_millis(20);
        let (start, mut deadline) = (Instant::now(), Deadline::after(SHORT));
        deadline.set(SHORT * 3);
        poll_fn(|context| deadline.poll(context)).await;
        assert!(start.elapsed() >= SHORT * 3, "later than before");
        deadline.set(Duration::from_mins(10));
        deadline.set(SHORT);
        poll_fn(|context| deadline.poll(context)).await;
        assert!(start.elapsed() < Duration::from_mins(10), "earlier than before");
    }
}
