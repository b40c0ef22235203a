//! Log lines of outages: one at each end, and a count a minute while outages follow each other.

use super::*;
use crate::base::captured_log::CapturedLog;

#[test]
fn the_beginning_and_the_end_of_an_outage_are_logged_once_each() {
    let start = Instant::now();
    let mut outage = Outage::new(start);
    assert_eq!(outage.fail(start), Some(Notice::Began { unlogged: 0 }));
    for quarter in 1..2400 {
        assert_eq!(outage.fail(start + Duration::from_millis(250 * quarter)), None);
    }
    let duration = Duration::from_mins(10);
    assert_eq!(outage.succeed(start + duration), Some(Notice::Ended(duration)));
    assert_eq!(outage.succeed(start + duration), None);
}

#[test]
fn outages_that_follow_each_other_are_logged_as_a_count_a_minute() {
    let start = Instant::now();
    let mut outage = Outage::new(start);
    let mut lines = 0;
    for half_second in 0..240 {
        let now = start + Duration::from_millis(500 * half_second);
        lines += usize::from(outage.fail(now).is_some());
        lines += usize::from(outage.succeed(now + Duration::from_millis(100)).is_some());
    }
    assert!((3..=5).contains(&lines), "{lines} lines in two minutes");
}

#[test]
fn an_outage_after_a_series_of_short_ones_is_logged_within_a_minute() {
    let start = Instant::now();
    let mut outage = Outage::new(start);
    outage.fail(start);
    outage.succeed(start + Duration::from_secs(1));
    let at = |second| start + Duration::from_secs(second);
    assert_eq!(outage.fail(at(2)), None);
    assert_eq!(outage.fail(at(59)), None);
    assert_eq!(outage.fail(at(60)), Some(Notice::Began { unlogged: 1 }));
    assert_eq!(outage.succeed(at(90)), Some(Notice::Ended(Duration::from_secs(88))));
}

#[test]
fn a_service_that_may_fail_now_and_then_is_logged_after_failures_in_a_row() {
    const MESSAGES: Messages = Messages { began: "down", ended: "up", repeated: "down repeatedly" };
    let (lines, _guard) = CapturedLog::start();
    let log = OutageLog::of_repeated_failures(MESSAGES, 3);
    for _ in 0..100 {
        log.fail(&"closed");
        log.fail(&"closed");
        log.succeed();
    }
    assert_eq!(lines.take(), Vec::<String>::new());
    for _ in 0..100 {
        log.fail(&"rejected");
    }
    let began = lines.take();
    assert!(
        began.len() == 1 && began[0].contains("WARN") && began[0].contains("down cause=rejected"),
        "{began:?}"
    );
    log.succeed();
    let ended = lines.take();
    assert!(ended.len() == 1 && ended[0].contains("WARN") && ended[0].contains("up"), "{ended:?}");
}
