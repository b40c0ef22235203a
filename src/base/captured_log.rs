//! Log lines of a unit test.

use parking_lot::Mutex;
use std::io;
use std::sync::Arc;
use tracing::subscriber::DefaultGuard;

/// Log lines of this thread.
#[derive(Clone, Default)]
pub(crate) struct CapturedLog(Arc<Mutex<Vec<u8>>>);

impl CapturedLog {
    /// Captures the lines of this thread while the guard exists.
    pub(crate) fn start() -> (Self, DefaultGuard) {
        let (log, builder) = (Self::default(), tracing_subscriber::fmt().with_ansi(false).without_time());
        let out = log.clone();
        let guard = tracing::subscriber::set_default(builder.with_writer(move || out.clone()).finish());
        (log, guard)
    }

    /// Takes the lines since the last call.
    pub(crate) fn take(&self) -> Vec<String> {
        let lines = String::from_utf8(std::mem::take(&mut *self.0.lock())).unwrap();
        lines.lines().map(str::to_owned).collect()
    }
}

impl io::Write for CapturedLog {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.lock().write(line)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
