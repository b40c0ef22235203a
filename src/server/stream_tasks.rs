//! Tasks of the streams of one HTTP/2 connection, so that they can be woken at the end of a shutdown.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Waker;

/// Wakers of the tasks that run, by number.
#[derive(Default)]
pub(super) struct StreamTasks {
    wakers: RefCell<BTreeMap<u32, Waker>>,
    last_number: Cell<u32>,
}

/// Entry of a task; removed when it is dropped.
struct Registered<'a> {
    tasks: &'a StreamTasks,
    number: u32,
}

impl StreamTasks {
    /// Runs the task of a stream, registered until it completes.
    pub(super) async fn run(&self, task: impl Future<Output = ()>) {
        let mut task = pin!(task);
        let mut registered = None;
        poll_fn(|context| {
            registered.get_or_insert_with(|| self.register(context.waker().clone()));
            task.as_mut().poll(context)
        })
        .await;
    }

    /// Wakes all tasks.
    pub(super) fn wake_all(&self) {
        self.wakers.borrow().values().for_each(Waker::wake_by_ref);
    }

    fn register(&self, waker: Waker) -> Registered<'_> {
        let number = self.last_number.get().wrapping_add(1);
        self.last_number.set(number);
        self.wakers.borrow_mut().insert(number, waker);
        Registered { tasks: self, number }
    }
}

impl Drop for Registered<'_> {
    fn drop(&mut self) {
        self.tasks.wakers.borrow_mut().remove(&self.number);
    }
}
