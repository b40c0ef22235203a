//! SIGTERM and SIGINT.

use std::io;
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;

/// Receiver of the signals that end the process; from its creation on they have no other effect.
pub(super) struct Signals {
    runtime: Runtime,
    terminate: Signal,
    interrupt: Signal,
}

/// Outcome of a wait for a shutdown.
pub(super) enum Finished {
    /// The shutdown is complete.
    Shutdown,
    /// Another signal came first.
    Signal,
}

impl Signals {
    /// Starts receiving, on a runtime of its own.
    pub(super) fn new() -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_io().build()?;
        let context = runtime.enter();
        let (terminate, interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        drop(context);
        Ok(Self { runtime, terminate, interrupt })
    }

    /// Waits for a signal.
    pub(super) fn wait(&mut self) {
        self.runtime.block_on(next(&mut self.terminate, &mut self.interrupt));
    }

    /// Waits for a signal or the end of the shutdown.
    pub(super) fn wait_for_either(&mut self, shutdown: oneshot::Receiver<()>) -> Finished {
        self.runtime.block_on(async {
            tokio::select! {
                biased;
                _ = shutdown => Finished::Shutdown,
                () = next(&mut self.terminate, &mut self.interrupt) => Finished::Signal,
            }
        })
    }
}

async fn next(terminate: &mut Signal, interrupt: &mut Signal) {
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}
