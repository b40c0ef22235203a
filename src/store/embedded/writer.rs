//! The one thread that writes: it commits whatever has come in as a group, so that many callers share one fsync,
//! and sweeps what has ended when it is idle.

use super::tables::Tables;
use crate::clock::Clock;
use crate::store::Unavailable;
use redb::{Database, Durability};
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;
use tokio::sync::oneshot;

/// Work that waits; more is refused, so that a slow disk cannot fill memory.
const QUEUE: usize = 1024;
/// Work that shares one commit.
const GROUP: usize = 256;
/// How often ended records are swept, and how many in one transaction.
const SWEEP_EVERY: Duration = Duration::from_secs(1);
const SWEEP_AT_ONCE: usize = 200;
/// A disk that takes longer than this is a failed one.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

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
    pub(super) fn start(database: Arc<Database>, clock: Clock) -> io::Result<Self> {
        let (sender, jobs) = sync_channel(QUEUE);
        let thread =
            thread::Builder::new().name("store".into()).spawn(move || run(&database, &clock, &jobs))?;
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

fn run(database: &Database, clock: &Clock, jobs: &Receiver<Job>) {
    loop {
        match jobs.recv_timeout(SWEEP_EVERY) {
            Ok(first) => commit(database, clock, first, jobs),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        sweep(database, clock);
    }
}

/// Commits one group. When any of it fails, none of it has happened: callers are told by their dropped channel.
fn commit(database: &Database, clock: &Clock, first: Job, jobs: &Receiver<Job>) {
    let group: Vec<Job> = std::iter::once(first).chain(jobs.try_iter().take(GROUP - 1)).collect();
    let durable = group.iter().any(|job| job.durable == Durable::Yes);
    let write = || -> Result<Vec<Reply>, redb::Error> {
        let mut transaction = database.begin_write()?;
        transaction.set_durability(if durable { Durability::Immediate } else { Durability::None })?;
        let replies = {
            let mut tables = Tables::open(&transaction, clock.now())?;
            group.into_iter().map(|job| (job.work)(&mut tables)).collect::<Result<Vec<_>, _>>()?
        };
        transaction.commit()?;
        Ok(replies)
    };
    match write() {
        Ok(replies) => replies.into_iter().for_each(|reply| reply(Ok(()))),
        Err(error) => tracing::error!(%error, "the embedded store could not write"),
    }
}

/// A bounded bite of what has ended; the rest waits for the next turn.
fn sweep(database: &Database, clock: &Clock) {
    let sweep = || -> Result<(), redb::Error> {
        if !super::tables::has_ended(database, clock.now())? {
            return Ok(());
        }
        let mut transaction = database.begin_write()?;
        transaction.set_durability(Durability::None)?;
        Tables::open(&transaction, clock.now())?.sweep(SWEEP_AT_ONCE)?;
        transaction.commit()?;
        Ok(())
    };
    if let Err(error) = sweep() {
        tracing::error!(%error, "the embedded store could not be swept");
    }
}
