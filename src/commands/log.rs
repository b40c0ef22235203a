//! The log on its way to stderr: written by a thread of its own, through a queue of bounded length. Whoever reads
//! stderr may stop to read (a full pipe, a hung collector): that costs lines, which are counted, and never holds
//! a request up.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

/// Lines that may wait.
const LONGEST_QUEUE: usize = 8192;
/// How long the last lines may take at the end.
const LAST_LINES: Duration = Duration::from_secs(2);
/// How often, and how long apart, the end looks for room in a full queue.
const TRIES: usize = 200;
const BETWEEN_TRIES: Duration = Duration::from_millis(10);

/// The queue's near end: what is written goes into it, or is dropped.
#[derive(Clone)]
pub(super) struct Lines {
    queue: SyncSender<Entry>,
    dropped: Arc<AtomicU64>,
}

enum Entry {
    Line(Vec<u8>),
    /// Answered when everything before it is written.
    Mark(SyncSender<()>),
}

impl Lines {
    /// Starts the thread that writes to `out`.
    ///
    /// # Errors
    /// The system gives no thread.
    pub(super) fn to(out: impl Write + Send + 'static) -> io::Result<Self> {
        let (queue, entries) = sync_channel(LONGEST_QUEUE);
        let dropped = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&dropped);
        std::thread::Builder::new().name("log".to_owned()).spawn(move || write(&entries, out, &counted))?;
        Ok(Self { queue, dropped })
    }

    /// Waits until what was logged is written, but not for ever.
    pub(super) fn finish(&self) {
        let (mark, written) = sync_channel(1);
        for _ in 0..TRIES {
            if self.queue.try_send(Entry::Mark(mark.clone())).is_ok() {
                break;
            }
            std::thread::sleep(BETWEEN_TRIES);
        }
        // Whoever does not read by now has lost the last lines.
        drop(mark);
        let _ = written.recv_timeout(LAST_LINES);
    }
}

impl Write for Lines {
    /// A line, whole: that is how they come from the formatter.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if self.queue.try_send(Entry::Line(line.to_vec())).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn write(entries: &Receiver<Entry>, mut out: impl Write, dropped: &AtomicU64) {
    while let Ok(entry) = entries.recv() {
        match entry {
            // A closed stderr is nothing that could be told to anyone.
            Entry::Line(line) => drop(out.write_all(&line)),
            Entry::Mark(written) => drop(written.try_send(())),
        }
        let lines = dropped.swap(0, Ordering::Relaxed);
        if lines > 0 {
            tracing::warn!(lines, "log lines were dropped: stderr was not read fast enough");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::Sender;

    /// Takes nothing before it is told to.
    struct Stuck(Receiver<()>, Sender<Vec<u8>>);

    impl Write for Stuck {
        fn write(&mut self, line: &[u8]) -> io::Result<usize> {
            // The test has let everything go when the other end is gone.
            let _ = self.0.recv();
            self.1.send(line.to_vec()).map_err(io::Error::other)?;
            Ok(line.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_stuck_reader_costs_lines_which_are_counted_and_no_time() {
        let (let_go, stuck) = std::sync::mpsc::channel();
        let (written, lines) = std::sync::mpsc::channel();
        let mut log = Lines::to(Stuck(stuck, written)).unwrap();
        let sent = LONGEST_QUEUE + 100;
        for number in 0..sent {
            log.write_all(format!("{number}\n").as_bytes()).unwrap();
        }
        let dropped = usize::try_from(log.dropped.load(Ordering::Relaxed)).unwrap();
        assert!((99..=100).contains(&dropped), "one line may be in the writer's hands: {dropped}");
        drop(let_go);
        log.finish();
        let lines: Vec<Vec<u8>> = lines.try_iter().collect();
        assert_eq!((lines.len(), &*lines[0]), (sent - dropped, &b"0\n"[..]));
    }
}
