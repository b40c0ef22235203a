//! The one thread that writes: it commits whatever has come in as a group, so that many callers share one fsync,
//! and sweeps what has ended in bites, between the groups and when it is idle.

use super::slot::Slot;
use super::sweep;
use super::tables::Tables;
use crate::base::clock::Clock;
use crate::store::{Format, Unavailable};
use redb::Durability;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// Work that waits; more is refused, so that a slow disk cannot fill memory.
const QUEUE: usize = 1024;
/// Work that shares one commit.
const GROUP: usize = 256;
/// How often it is looked whether something has ended.
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);
/// What need not be durable becomes so after this time: redb frees no page for good before that.
const SYNC_EVERY: Duration = Duration::from_secs(1);
/// A disk that takes longer than this is a failed one.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// After a fault of the disk callers are told at once for this long, then one group tries again.
const RETRY_DELAY: Duration = Duration::from_millis(250);

/// Whether a write must survive a crash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Durable {
    Yes,
    No,
}

/// Tells the caller what came of the work, once the commit is known to be good.
type Reply = Box<dyn FnOnce(Result<(), Unavailable>) + Send>;
type Work = Box<dyn FnOnce(&mut Tables<'_>) -> Result<Reply, redb::Error> + Send>;

struct Job {
    durable: Durable,
    work: Work,
}

/// The handle of the writer thread; it has ended when this is dropped, and the file is free.
pub(super) struct Writer {
    jobs: Option<SyncSender<Job>>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.jobs = None;
        // A panic in it has been printed by its own hook.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

impl Writer {
    /// Starts the thread.
    pub(super) fn start(slot: Arc<Slot>, (clock, format): (Clock, Format)) -> io::Result<Self> {
        let (sender, jobs) = sync_channel(QUEUE);
        let run = Run { slot, clock, format, durable_at: Instant::now(), try_at: None };
        let thread = thread::Builder::new().name("store".into()).spawn(move || run.run(&jobs))?;
        Ok(Self { jobs: Some(sender), thread: Some(thread) })
    }

    /// Runs `work` in a transaction with whatever else waits, and returns when that is committed.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        durable: Durable,
        work: impl FnOnce(&mut Tables<'_>) -> Result<T, redb::Error> + Send + 'static,
    ) -> Result<T, Unavailable> {
        let (answer, answered) = oneshot::channel();
        let work: Work = Box::new(move |tables| {
            let result = work(tables)?;
            // A caller that has gone away needs no answer.
            Ok(Box::new(move |committed| drop(answer.send(committed.map(|()| result)))))
        });
        let refused = |why: &str| Unavailable(why.to_owned());
        let sent = self.jobs.as_ref().map(|jobs| jobs.try_send(Job { durable, work }));
        if !matches!(sent, Some(Ok(()))) {
            return Err(refused("its queue is full, or its thread has ended"));
        }
        match tokio::time::timeout(ANSWER_WITHIN, answered).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(refused("a write failed")),
            Err(_) => Err(refused("the disk is too slow")),
        }
    }
}

/// What the thread knows.
struct Run {
    slot: Arc<Slot>,
    clock: Clock,
    format: Format,
    /// When a commit was durable last.
    durable_at: Instant,
    /// Since the disk failed: when the next group may try.
    try_at: Option<Instant>,
}

impl Run {
    fn run(mut self, jobs: &Receiver<Job>) {
        let mut more = false;
        loop {
            // What has ended is swept at once as long as there is more of it, one bite between two groups.
            let wait = if more { Duration::ZERO } else { SWEEP_INTERVAL };
            let first = match jobs.recv_timeout(wait) {
                Ok(first) => Some(first),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => return,
            };
            let group: Vec<Job> = first.into_iter().chain(jobs.try_iter().take(GROUP - 1)).collect();
            more = self.may_try() && self.commit(group) && self.sweep();
        }
    }

    /// Whether the disk is believed to work; opens the database when it could not be opened before.
    fn may_try(&mut self) -> bool {
        match self.try_at {
            None => true,
            Some(at) if Instant::now() < at => false,
            Some(_) => self.slot.with(|_| Ok(())).is_ok() || self.reopen(),
        }
    }

    /// Commits one group. When any of it fails, none of it is acknowledged: callers are told by their dropped channel.
    fn commit(&mut self, group: Vec<Job>) -> bool {
        if group.is_empty() {
            return true;
        }
        let durable = self.durability(group.iter().any(|job| job.durable == Durable::Yes));
        let committed = self.transaction(durable, |tables| {
            group.into_iter().map(|job| (job.work)(tables)).collect::<Result<Vec<Reply>, _>>()
        });
        let Some(replies) = committed else { return false };
        self.try_at = None;
        for reply in replies {
            reply(Ok(()));
        }
        true
    }

    /// A bounded bite of what has ended; whether there is more.
    fn sweep(&mut self) -> bool {
        let now = self.clock.now();
        match self.slot.with(|database| sweep::has_ended(database, now)) {
            Ok(false) => false,
            Ok(true) => {
                let durable = self.durability(false);
                self.transaction(durable, |tables| tables.sweep(sweep::BITE)).is_some()
            }
            Err(error) => {
                self.failed(&error);
                false
            }
        }
    }

    fn durability(&self, wanted: bool) -> Durability {
        let due = self.durable_at.elapsed() >= SYNC_EVERY;
        if wanted || due { Durability::Immediate } else { Durability::None }
    }

    fn transaction<T>(
        &mut self,
        durability: Durability,
        work: impl FnOnce(&mut Tables<'_>) -> Result<T, redb::Error>,
    ) -> Option<T> {
        let ambient = (self.clock.now(), self.format);
        let done = self.slot.with(|database| {
            let mut transaction = database.begin_write()?;
            transaction.set_durability(durability)?;
            let result = work(&mut Tables::open(&transaction, ambient)?)?;
            transaction.commit()?;
            Ok(result)
        });
        if matches!(durability, Durability::Immediate) {
            self.durable_at = Instant::now();
        }
        done.map_err(|error| self.failed(&error)).ok()
    }

    /// Opens the database again, so that what is in it can be read.
    fn failed(&mut self, error: &redb::Error) {
        tracing::error!(%error, "the embedded store could not write");
        self.reopen();
    }

    /// What takes long is not done often: most of the time the file can be read.
    fn reopen(&mut self) -> bool {
        let started = Instant::now();
        let open = self.slot.reopen();
        self.try_at = Some(Instant::now() + RETRY_DELAY.max(started.elapsed() * 4));
        open
    }
}
