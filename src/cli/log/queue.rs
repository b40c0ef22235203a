//! What is logged on its way to stderr: written by a thread of its own, which takes whatever has come meanwhile.
//! Whoever reads stderr may stop to read (a full pipe, a hung collector): that costs lines, which are counted, and
//! never holds a request up.

use std::io::{self, Write};
use std::mem;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Bytes that may wait.
const MAX_QUEUED_BYTES: usize = 4 * 1024 * 1024;
/// Between two writes: a busy gateway then writes many lines at once, and seldom has to wake the thread.
const BREATH: Duration = Duration::from_millis(5);
/// How long the last lines may take at the end.
const LAST_LINES: Duration = Duration::from_secs(2);

/// The queue's near end: what is written goes into it, or is dropped.
#[derive(Clone, Default)]
pub(crate) struct Queue(Arc<Shared>);

#[derive(Default)]
struct Shared {
    waiting: Mutex<Waiting>,
    more: Condvar,
    written: Condvar,
}

#[derive(Default)]
struct Waiting {
    lines: Vec<u8>,
    dropped: u64,
    writer: Writer,
}

/// What the thread does.
#[derive(Default, PartialEq, Eq)]
enum Writer {
    /// It writes, or pauses before it looks again.
    #[default]
    Busy,
    /// It wants to be told when there is something.
    Idle,
}

impl Queue {
    /// Starts the thread that writes to `out`, for as long as the process lives.
    ///
    /// # Errors
    /// The system gives no thread.
    pub(crate) fn to(out: impl Write + Send + 'static) -> io::Result<Self> {
        let queue = Self::default();
        let far_end = queue.clone();
        std::thread::Builder::new().name("log".to_owned()).spawn(move || far_end.write_to(out))?;
        Ok(queue)
    }

    /// Waits until what was logged is written, but not for ever.
    pub(crate) fn finish(&self) {
        let busy = |waiting: &mut Waiting| waiting.writer == Writer::Busy || !waiting.lines.is_empty();
        // Whoever does not read by now has lost the last lines.
        let _ = self.0.written.wait_timeout_while(self.waiting(), LAST_LINES, busy);
    }

    fn write_to(&self, mut out: impl Write) {
        let mut lines = Vec::new();
        loop {
            let dropped = self.take(&mut lines);
            // A closed stderr is nothing that could be told to anyone.
            let _ = out.write_all(&lines);
            lines.clear();
            if dropped > 0 {
                tracing::warn!(lines = dropped, "log lines were dropped: stderr was not read fast enough");
            }
            std::thread::sleep(BREATH);
        }
    }

    /// Waits for lines, takes them, and returns how many were dropped.
    fn take(&self, lines: &mut Vec<u8>) -> u64 {
        let mut waiting = self.waiting();
        while waiting.lines.is_empty() && waiting.dropped == 0 {
            waiting.writer = Writer::Idle;
            self.0.written.notify_all();
            waiting = self.0.more.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
        waiting.writer = Writer::Busy;
        mem::swap(lines, &mut waiting.lines);
        mem::take(&mut waiting.dropped)
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Write for Queue {
    /// A line, whole: that is how they come from the formatter.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut waiting = self.waiting();
        if waiting.lines.len() + line.len() > MAX_QUEUED_BYTES {
            waiting.dropped += 1;
        } else {
            waiting.lines.extend_from_slice(line);
        }
        if waiting.writer == Writer::Idle {
            waiting.writer = Writer::Busy;
            drop(waiting);
            self.0.more.notify_one();
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::{Receiver, Sender, channel};

    /// Says that it has something in its hands, and takes nothing before it is told to.
    struct Stuck {
        begun: Sender<()>,
        let_go: Receiver<()>,
        taken: Sender<Vec<u8>>,
    }

    impl Write for Stuck {
        fn write(&mut self, lines: &[u8]) -> io::Result<usize> {
            // The test listens to the first one alone, and has let everything go when its end is gone.
            let _ = self.begun.send(());
            let _ = self.let_go.recv();
            self.taken.send(lines.to_vec()).map_err(io::Error::other)?;
            Ok(lines.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_stuck_reader_costs_lines_which_are_counted_and_no_time() {
        let ((begun, has_begun), (stuck, let_go), (taken, lines)) = (channel(), channel(), channel());
        let mut log = Queue::to(Stuck { begun, let_go, taken }).unwrap();
        let line = [[b'x'; 1023].as_slice(), b"\n"].concat();
        log.write_all(&line).unwrap();
        has_begun.recv().unwrap();
        let room = MAX_QUEUED_BYTES / line.len();
        for _ in 0..3 * room {
            log.write_all(&line).unwrap();
        }
        assert_eq!(log.waiting().dropped, 2 * room as u64, "all but what waits");
        drop(stuck);
        log.finish();
        let written: usize = lines.try_iter().map(|lines| lines.len()).sum();
        assert_eq!(written, (1 + room) * line.len(), "what waits, and what was in the writer's hands");
    }
}
