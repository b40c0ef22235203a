//! Writer thread: commits all queued writes as a group, so that many callers share one fsync, and removes expired records
//! between the groups and when it is idle.

use super::database::DatabaseHandle;
use super::sweep;
use super::tables::Tables;
use crate::base::clock::Clock;
use crate::base::error_chain::ErrorChain;
use crate::base::outage_log::{Messages, OutageLog};
use crate::store::{Format, OpenError, Unavailable};
use redb::Durability;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// Writes that may be queued; further ones fail, so that a slow disk cannot fill the memory.
const MAX_QUEUED_WRITES: usize = 1024;
/// Writes that share one commit.
const MAX_GROUP_WRITES: usize = 256;
/// Interval at which expired records are removed.
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);
/// Interval of durable commits when no write requires one: redb frees no page before that.
const SYNC_INTERVAL: Duration = Duration::from_secs(1);
/// Time after which a write fails.
const WRITE_TIMEOUT: Duration = Duration::from_secs(5);
/// Time after an I/O error for which writes fail at once; then one group tries again.
const RETRY_DELAY: Duration = Duration::from_millis(250);

/// Log lines about failing and working writes.
const MESSAGES: Messages = Messages {
    began: "the store is unavailable: its file cannot be written or read",
    ended: "the store is available again: its file is written and read",
    repeated: "the store was unavailable repeatedly: its file could not be written or read",
};

/// Durability of a write: whether it must survive a crash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Durable {
    Yes,
    No,
}

/// Sends the result to the caller after the commit.
type Reply = Box<dyn FnOnce(Result<(), Unavailable>) + Send>;
type Work = Box<dyn FnOnce(&mut Tables<'_>) -> Result<Reply, redb::Error> + Send>;

struct Job {
    durable: Durable,
    work: Work,
}

/// Handle of the writer thread. Dropping it waits for the thread to end, which closes the file.
pub(super) struct Writer {
    jobs: Option<SyncSender<Job>>,
    thread: Option<JoinHandle<()>>,
    outages: Arc<OutageLog>,
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.jobs = None;
        // A panic of the thread has been logged by the panic hook.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

impl Writer {
    /// Starts the thread.
    pub(super) fn start(database: Arc<DatabaseHandle>, clock: Clock, format: Format) -> io::Result<Self> {
        let (sender, jobs) = sync_channel(MAX_QUEUED_WRITES);
        let outages = Arc::new(OutageLog::new(MESSAGES));
        let run = WriterThread::new(database, clock, format, Arc::clone(&outages));
        let thread = thread::Builder::new().name("store".into()).spawn(move || run.run(&jobs))?;
        Ok(Self { jobs: Some(sender), thread: Some(thread), outages })
    }

    /// Returns whether the file fails, which has been logged.
    pub(super) fn is_failing(&self) -> bool {
        self.outages.is_ongoing()
    }

    /// Runs `work` in a transaction with the other queued writes, and returns after the commit.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        durable: Durable,
        work: impl FnOnce(&mut Tables<'_>) -> Result<T, redb::Error> + Send + 'static,
    ) -> Result<T, Unavailable> {
        let (sender, receiver) = oneshot::channel();
        let work: Work = Box::new(move |tables| {
            let result = work(tables)?;
            // The caller may have been cancelled.
            Ok(Box::new(move |committed| drop(sender.send(committed.map(|()| result)))))
        });
        let jobs = self.jobs.as_ref().ok_or(Unavailable::WriterEnded)?;
        jobs.try_send(Job { durable, work }).map_err(|error| match error {
            TrySendError::Full(_) => Unavailable::WriteQueueFull,
            TrySendError::Disconnected(_) => Unavailable::WriterEnded,
        })?;
        match tokio::time::timeout(WRITE_TIMEOUT, receiver).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(Unavailable::WriteFailed),
            Err(_) => Err(Unavailable::WriteTimedOut),
        }
    }
}

/// State of the writer thread.
struct WriterThread {
    database: Arc<DatabaseHandle>,
    clock: Clock,
    format: Format,
    /// Time of the last durable commit.
    durable_at: Instant,
    /// Time of the next attempt after an I/O error.
    retry_at: Option<Instant>,
    /// `true` until a write succeeds: on a full disk, reads go on.
    write_failed: bool,
    outages: Arc<OutageLog>,
}

impl WriterThread {
    fn new(database: Arc<DatabaseHandle>, clock: Clock, format: Format, outages: Arc<OutageLog>) -> Self {
        let durable_at = Instant::now();
        Self { database, clock, format, durable_at, retry_at: None, write_failed: false, outages }
    }

    fn run(mut self, jobs: &Receiver<Job>) {
        let mut has_expired = false;
        loop {
            // Expired records are removed without a pause while there are more, one transaction between two groups.
            let wait = if has_expired { Duration::ZERO } else { SWEEP_INTERVAL };
            let first = match jobs.recv_timeout(wait) {
                Ok(first) => Some(first),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => return,
            };
            let group: Vec<Job> =
                first.into_iter().chain(jobs.try_iter().take(MAX_GROUP_WRITES - 1)).collect();
            has_expired = self.is_ready() && self.commit(group) && self.sweep();
        }
    }

    /// Returns whether a write may be attempted; reopens the database if it is closed.
    fn is_ready(&mut self) -> bool {
        match self.retry_at {
            None => true,
            Some(at) if Instant::now() < at => false,
            Some(_) if self.database.is_open() => true,
            Some(_) => self.reopen().map_err(|error| self.outages.fail(&ErrorChain(&error))).is_ok(),
        }
    }

    /// Commits one group. When one write fails, none is acknowledged: callers see their channel closed.
    fn commit(&mut self, group: Vec<Job>) -> bool {
        if group.is_empty() {
            return true;
        }
        let is_durable = group.iter().any(|job| job.durable == Durable::Yes);
        let durability = self.durability(if is_durable { Durable::Yes } else { Durable::No });
        let committed = self.transaction(durability, |tables| {
            group.into_iter().map(|job| (job.work)(tables)).collect::<Result<Vec<Reply>, _>>()
        });
        let Some(replies) = committed else { return false };
        self.retry_at = None;
        for reply in replies {
            reply(Ok(()));
        }
        true
    }

    /// Removes a bounded number of expired records; returns whether there may be more.
    fn sweep(&mut self) -> bool {
        let now = self.clock.now();
        match self.database.with(|database| sweep::has_expired(database, now)) {
            Ok(false) => {
                if !self.write_failed {
                    self.outages.succeed();
                }
                false
            }
            Ok(true) => {
                let durability = self.durability(Durable::No);
                self.transaction(durability, |tables| tables.sweep(sweep::MAX_SWEPT_RECORDS)).is_some()
            }
            Err(error) => {
                self.recover(&error);
                false
            }
        }
    }

    fn durability(&self, durable: Durable) -> Durability {
        let is_due = self.durable_at.elapsed() >= SYNC_INTERVAL;
        if durable == Durable::Yes || is_due { Durability::Immediate } else { Durability::None }
    }

    fn transaction<T>(
        &mut self,
        durability: Durability,
        work: impl FnOnce(&mut Tables<'_>) -> Result<T, redb::Error>,
    ) -> Option<T> {
        let (now, format) = (self.clock.now(), self.format);
        let done = self.database.with(|database| {
            let mut transaction = database.begin_write()?;
            transaction.set_durability(durability)?;
            let result = work(&mut Tables::open(&transaction, now, format)?)?;
            transaction.commit()?;
            Ok(result)
        });
        if matches!(durability, Durability::Immediate) {
            self.durable_at = Instant::now();
        }
        self.write_failed = done.is_err();
        match done {
            Ok(result) => {
                self.outages.succeed();
                Some(result)
            }
            Err(error) => {
                self.recover(&error);
                None
            }
        }
    }

    /// Reopens the database after an I/O error, and logs the error if it begins an outage.
    fn recover(&mut self, error: &redb::Error) {
        let cause = match self.reopen() {
            Ok(()) => error.to_string(),
            Err(reopening) => format!("{error}; reopening it failed as well: {}", ErrorChain(&reopening)),
        };
        self.outages.fail(&cause);
    }

    /// Reopens the database. The longer it takes, the later the next attempt, so that reads work most of the time.
    fn reopen(&mut self) -> Result<(), OpenError> {
        let started = Instant::now();
        let reopened = self.database.reopen();
        self.retry_at = Some(Instant::now() + RETRY_DELAY.max(started.elapsed() * 4));
        reopened
    }
}

#[cfg(test)]
mod tests;
