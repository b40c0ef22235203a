//! Log lines of the circuit breaker: one for each outage, and a count a minute while it flaps.

use super::*;

fn cause() -> Unavailable {
    Unavailable::NoFreeConnection
}

#[test]
fn opening_and_closing_are_logged_once_each() {
    let start = Instant::now();
    let mut state = State::new(start);
    assert_eq!(state.open(cause(), start), Some(Notice::Opened { unlogged: 0 }));
    for second in 1..600 {
        assert_eq!(state.open(cause(), start + Duration::from_secs(second)), None);
    }
    let outage = Duration::from_mins(10);
    assert_eq!(state.close(start + outage), Some(Notice::Closed(outage)));
    assert_eq!(state.close(start + outage), None);
}

#[test]
fn flapping_is_logged_as_a_count_a_minute() {
    let start = Instant::now();
    let mut state = State::new(start);
    let mut lines = 0;
    for half_second in 0..240 {
        let now = start + Duration::from_millis(500 * half_second);
        lines += usize::from(state.open(cause(), now).is_some());
        lines += usize::from(state.close(now + Duration::from_millis(100)).is_some());
    }
    assert!((3..=5).contains(&lines), "{lines} lines in two minutes");
}

#[test]
fn an_outage_after_flapping_is_logged_within_a_minute() {
    let start = Instant::now();
    let mut state = State::new(start);
    state.open(cause(), start);
    state.close(start + Duration::from_secs(1));
    let at = |second| start + Duration::from_secs(second);
    assert_eq!(state.open(cause(), at(2)), None);
    assert_eq!(state.open(cause(), at(59)), None);
    assert_eq!(state.open(cause(), at(60)), Some(Notice::Opened { unlogged: 1 }));
    assert_eq!(state.close(at(90)), Some(Notice::Closed(Duration::from_secs(88))));
}
