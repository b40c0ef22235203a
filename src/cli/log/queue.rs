//! The queue of log lines: a dedicated thread writes them to standard error in batches. If standard error blocks (full
//! pipe, hung log collector), lines are dropped and counted; requests never wait.
//!
//! The queue of tracing-appender is bounded by lines instead of bytes and allocates for each line.

use parking_lot::{Condvar, Mutex};
use std::io::{self, Write};
use std::mem;
use std::sync::Arc;
use std::time::Duration;

/// Maximum size of the queue.
const MAX_QUEUED_BYTES: usize = 4 * 1024 * 1024;
/// Delay between two writes: under load, many lines are written at once and the thread is seldom woken.
const WRITE_INTERVAL: Duration = Duration::from_millis(5);
/// Maximum time to flush the queue at exit.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(2);

/// The sending end of the queue: a line is enqueued or dropped.
#[derive(Clone, Default)]
pub(crate) struct Queue(Arc<Shared>);

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    not_empty: Condvar,
    flushed: Condvar,
}

#[derive(Default)]
struct State {
    lines: Vec<u8>,
    dropped: u64,
    writer: Writer,
}

/// The state of the writer thread.
#[derive(Default, PartialEq, Eq)]
enum Writer {
    /// Writing, or pausing between two writes.
    #[default]
    Busy,
    /// Waiting to be woken.
    Idle,
}

impl Queue {
    /// Starts the thread that writes to `out` until the process exits.
    ///
    /// # Errors
    /// The thread cannot be created.
    pub(crate) fn start(out: impl Write + Send + 'static) -> io::Result<Self> {
        let queue = Self::default();
        let receiver = queue.clone();
        std::thread::Builder::new().name("log".to_owned()).spawn(move || receiver.write_to(out))?;
        Ok(queue)
    }

    /// Waits until the queue is written, at most [`FLUSH_TIMEOUT`].
    pub(crate) fn flush_all(&self) {
        let is_busy = |state: &mut State| state.writer == Writer::Busy || !state.lines.is_empty();
        // After the timeout the remaining lines are lost.
        let _ = self.0.flushed.wait_while_for(&mut self.0.state.lock(), is_busy, FLUSH_TIMEOUT);
    }

    fn write_to(&self, mut out: impl Write) {
        let mut lines = Vec::new();
        loop {
            let dropped = self.take(&mut lines);
            // A closed standard error cannot be reported anywhere.
            let _ = out.write_all(&lines);
            lines.clear();
            if dropped > 0 {
                tracing::warn!(lines = dropped, "log lines were dropped: stderr was not read fast enough");
            }
            std::thread::sleep(WRITE_INTERVAL);
        }
    }

    /// Waits for lines, takes them and returns the number of dropped lines.
    fn take(&self, lines: &mut Vec<u8>) -> u64 {
        let mut state = self.0.state.lock();
        while state.lines.is_empty() && state.dropped == 0 {
            state.writer = Writer::Idle;
            self.0.flushed.notify_all();
            self.0.not_empty.wait(&mut state);
        }
        state.writer = Writer::Busy;
        mem::swap(lines, &mut state.lines);
        mem::take(&mut state.dropped)
    }
}

impl Write for Queue {
    /// Enqueues or drops a whole line, as the formatter writes it.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut state = self.0.state.lock();
        if state.lines.len() + line.len() > MAX_QUEUED_BYTES {
            state.dropped += 1;
        } else {
            state.lines.extend_from_slice(line);
        }
        if state.writer == Writer::Idle {
            state.writer = Writer::Busy;
            drop(state);
            self.0.not_empty.notify_one();
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

    /// A writer that reports each write and blocks until it is released.
    struct BlockedWriter {
        started: Sender<()>,
        release: Receiver<()>,
        written: Sender<Vec<u8>>,
    }

    impl Write for BlockedWriter {
        fn write(&mut self, lines: &[u8]) -> io::Result<usize> {
            // The test receives the first report only; dropping its sender releases all writes.
            let _ = self.started.send(());
            let _ = self.release.recv();
            self.written.send(lines.to_vec()).map_err(io::Error::other)?;
            Ok(lines.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_blocked_stderr_drops_and_counts_lines_without_blocking() {
        let ((started, has_started), (releaser, release)) = (channel(), channel());
        let (written, lines) = channel();
        let mut log = Queue::start(BlockedWriter { started, release, written }).unwrap();
        let line = [[b'x'; 1023].as_slice(), b"\n"].concat();
        log.write_all(&line).unwrap();
        has_started.recv().unwrap();
        let capacity = MAX_QUEUED_BYTES / line.len();
        for _ in 0..3 * capacity {
            log.write_all(&line).unwrap();
        }
        assert_eq!(log.0.state.lock().dropped, 2 * capacity as u64, "all lines over the capacity");
        drop(releaser);
        log.flush_all();
        let written: usize = lines.try_iter().map(|lines| lines.len()).sum();
        assert_eq!(written, (1 + capacity) * line.len(), "the queued lines and the one being written");
    }
}
