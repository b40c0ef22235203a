//! Log lines of the writer thread: one when the file begins to fail, and one when it works again.

use super::*;
use crate::base::captured_log::CapturedLog;
use crate::base::clock::Timestamp;
use crate::store::Key;
use crate::store::embedded::disk::Disk;
use crate::store::embedded::tables::{Kind, negotiate_format};
use std::io::ErrorKind;

const NOW: Timestamp = Timestamp::from_seconds(1_784_000_000);

fn writer(disk: &Disk) -> WriterThread {
    let database = Arc::new(disk.database());
    database.with(|database| negotiate_format(database, Format::default())).unwrap();
    WriterThread::new(database, Clock::manual(NOW), Format::default(), Arc::new(OutageLog::new(MESSAGES)))
}

impl WriterThread {
    /// Attempts to write a record, without waiting for [`RETRY_DELAY`]; then removes expired records.
    fn attempt(&mut self, number: u8) -> bool {
        self.retry_at = self.retry_at.map(|_| Instant::now());
        let work: Work = Box::new(move |tables| {
            tables.put(Kind::Code, &Key([number; 32]).0, NOW.after(Duration::from_hours(1)), &[7; 9000])?;
            Ok(Box::new(|_| {}))
        });
        self.is_ready() && self.commit(vec![Job { durable: Durable::Yes, work }]) && !self.sweep()
    }
}

#[test]
fn a_full_disk_leaves_one_warning_with_its_cause_and_one_when_writes_work_again() {
    let (log, _guard) = CapturedLog::start();
    let disk = Disk::default();
    let mut writer = writer(&disk);
    assert!(writer.attempt(1));
    assert_eq!(log.take(), Vec::<String>::new());
    disk.limit_space(0);
    let failed = (2..100).filter(|number| !writer.attempt(*number)).count();
    assert!(failed > 20, "{failed}");
    // Reads work, and end no outage of writes.
    writer.sweep();
    let lines = log.take();
    assert!(lines.len() == 1 && lines[0].contains("WARN"), "{lines:?}");
    assert!(lines[0].contains("the store is unavailable") && lines[0].contains("storage"), "{lines:?}");
    assert!(writer.outages.is_ongoing());
    disk.remove_limit();
    assert!(writer.attempt(1) && writer.attempt(2));
    let lines = log.take();
    assert!(lines.len() == 1 && lines[0].contains("the store is available again"), "{lines:?}");
}

#[test]
fn a_failing_disk_leaves_one_warning_with_its_cause_and_one_when_it_works_again() {
    let (log, _guard) = CapturedLog::start();
    let disk = Disk::default();
    let mut writer = writer(&disk);
    assert!(writer.attempt(1));
    disk.set_error(Some(ErrorKind::TimedOut));
    for _ in 0..20 {
        assert!(!writer.attempt(2));
    }
    let lines = log.take();
    assert!(lines.len() == 1 && lines[0].contains("timed out"), "{lines:?}");
    disk.set_error(None);
    assert!(writer.attempt(2));
    let lines = log.take();
    assert!(lines.len() == 1 && lines[0].contains("the store is available again"), "{lines:?}");
}

#[test]
fn a_failed_read_is_over_when_a_read_succeeds() {
    let (log, _guard) = CapturedLog::start();
    let mut writer = writer(&Disk::default());
    assert!(writer.attempt(1));
    writer.recover(&redb::Error::PreviousIo);
    writer.recover(&redb::Error::PreviousIo);
    let lines = log.take();
    assert!(lines.len() == 1 && lines[0].contains("the store is unavailable"), "{lines:?}");
    assert!(!writer.sweep(), "nothing has expired");
    let lines = log.take();
    assert!(lines.len() == 1 && lines[0].contains("the store is available again"), "{lines:?}");
}

#[tokio::test]
async fn a_full_queue_and_an_ended_thread_are_different_errors() {
    let (sender, jobs) = sync_channel(1);
    let job = Job { durable: Durable::No, work: Box::new(|_| Ok(Box::new(|_| {}))) };
    sender.try_send(job).unwrap();
    let outages = Arc::new(OutageLog::new(MESSAGES));
    let writer = Writer { jobs: Some(sender), thread: None, outages };
    let full = writer.write(Durable::No, |_| Ok(())).await;
    assert!(matches!(full, Err(Unavailable::WriteQueueFull)), "{full:?}");
    drop(jobs);
    let ended = writer.write(Durable::No, |_| Ok(())).await;
    assert!(matches!(ended, Err(Unavailable::WriterEnded)), "{ended:?}");
}
