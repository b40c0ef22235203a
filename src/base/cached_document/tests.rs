use super::*;
use crate::base::clock::Timestamp;
use std::future::ready;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};
use tokio::sync::oneshot;

const LIFETIME: Duration = Duration::from_mins(10);
const RULES: RefetchRules = RefetchRules {
    retry_delay: Duration::from_secs(30),
    max_stale: Some(Duration::from_hours(1)),
    min_early_interval: Duration::from_mins(1),
    early_interval_start: IntervalStart::AnyFetch,
};

type Text = CachedDocument<&'static str, &'static str>;

/// Empty document, its clock, and the number of its fetches.
struct Fixture {
    document: Arc<Text>,
    clock: Clock,
    fetches: AtomicUsize,
}

impl Fixture {
    fn new(rules: RefetchRules) -> Self {
        let clock = Clock::manual(Timestamp::from_seconds(1_800_000_000));
        Self { document: CachedDocument::new(clock.clone(), rules), clock, fetches: AtomicUsize::new(0) }
    }

    /// Gets the document; a fetch has this result.
    async fn get(&self, fetched: Fetched<&'static str, &'static str>) -> Result<&'static str, &'static str> {
        self.get_with(|_| true, fetched).await
    }

    async fn get_with(
        &self,
        is_enough: impl Fn(&&'static str) -> bool,
        fetched: Fetched<&'static str, &'static str>,
    ) -> Result<&'static str, &'static str> {
        let fetch = || {
            self.fetches.fetch_add(1, Ordering::SeqCst);
            ready(fetched)
        };
        self.document.get(is_enough, fetch).await.map(|value| *value)
    }

    /// Begins to get the document by a fetch that ends when the receiver does.
    fn get_slowly(
        &self,
        result: oneshot::Receiver<Fetched<&'static str, &'static str>>,
    ) -> impl Future<Output = Result<Arc<&'static str>, &'static str>> {
        self.document.get(
            |_| true,
            || {
                self.fetches.fetch_add(1, Ordering::SeqCst);
                async { result.await.unwrap_or(Fetched::Failed("the sender was dropped")) }
            },
        )
    }

    fn fetches(&self) -> usize {
        self.fetches.load(Ordering::SeqCst)
    }
}

fn document(value: &'static str) -> Fetched<&'static str, &'static str> {
    Fetched::Document { value, lifetime: LIFETIME }
}

/// Duration that is a millisecond shorter.
fn almost(duration: Duration) -> Duration {
    duration.saturating_sub(Duration::from_millis(1))
}

fn is_pending(future: std::pin::Pin<&mut impl Future>) -> bool {
    matches!(future.poll(&mut Context::from_waker(Waker::noop())), Poll::Pending)
}

#[tokio::test]
async fn a_fresh_document_is_not_fetched_again() {
    let fixture = Fixture::new(RULES);
    assert_eq!(fixture.get(document("1")).await, Ok("1"));
    fixture.clock.advance(almost(LIFETIME));
    assert_eq!(fixture.get(document("2")).await, Ok("1"));
    assert!(fixture.document.fresh().is_some());
    fixture.clock.advance(Duration::from_millis(1));
    assert!(fixture.document.fresh().is_none());
    assert_eq!((fixture.get(document("2")).await, fixture.fetches()), (Ok("2"), 2));
}

#[tokio::test]
async fn a_failed_fetch_is_repeated_after_the_retry_delay_only() {
    let fixture = Fixture::new(RULES);
    assert_eq!(fixture.get(Fetched::Failed("down")).await, Err("down"));
    fixture.clock.advance(almost(RULES.retry_delay));
    assert_eq!((fixture.get(document("1")).await, fixture.fetches()), (Err("down"), 1));
    fixture.clock.advance(Duration::from_millis(1));
    assert_eq!((fixture.get(document("1")).await, fixture.fetches()), (Ok("1"), 2));
}

#[tokio::test]
async fn the_last_good_copy_is_used_when_a_fetch_fails_and_for_a_bounded_time() {
    let fixture = Fixture::new(RULES);
    assert_eq!(fixture.get(document("1")).await, Ok("1"));
    fixture.clock.advance(LIFETIME);
    assert!(fixture.document.last_good_after_failure().is_none(), "no fetch has failed yet");
    assert_eq!(fixture.get(Fetched::Failed("down")).await, Ok("1"));
    assert!(fixture.document.last_good_after_failure().is_some());
    assert_eq!((fixture.get(document("2")).await, fixture.fetches()), (Ok("1"), 2), "in the retry delay");
    fixture.clock.advance(RULES.retry_delay);
    assert!(fixture.document.last_good_after_failure().is_none());
    fixture.clock.advance(Duration::from_hours(1).saturating_sub(RULES.retry_delay));
    assert_eq!(fixture.get(Fetched::Failed("down")).await, Err("down"));
    assert!(fixture.document.last_good().is_none() && !fixture.document.is_empty());
    let unbounded = Fixture::new(RefetchRules { max_stale: None, ..RULES });
    assert_eq!(unbounded.get(document("1")).await, Ok("1"));
    unbounded.clock.advance(Duration::from_hours(10_000));
    assert_eq!(unbounded.get(Fetched::Failed("down")).await, Ok("1"));
}

#[tokio::test]
async fn the_copy_of_a_document_that_is_gone_is_dropped() {
    let fixture = Fixture::new(RULES);
    assert_eq!(fixture.get(document("1")).await, Ok("1"));
    fixture.clock.advance(LIFETIME);
    assert_eq!(fixture.get(Fetched::Gone("404")).await, Err("404"));
    assert!(fixture.document.is_empty() && fixture.document.last_good_after_failure().is_none());
}

#[tokio::test]
async fn a_fresh_document_that_lacks_something_is_fetched_early_once_in_an_interval() {
    for start in [IntervalStart::AnyFetch, IntervalStart::EarlyFetch] {
        let fixture = Fixture::new(RefetchRules { early_interval_start: start, ..RULES });
        let lacks = |value: &'static str| fixture.get_with(move |copy| *copy == value, document(value));
        assert_eq!(lacks("1").await, Ok("1"));
        if start == IntervalStart::AnyFetch {
            assert_eq!(lacks("2").await, Ok("1"), "it was fetched just now");
            fixture.clock.advance(RULES.min_early_interval);
        }
        assert_eq!(lacks("2").await, Ok("2"));
        fixture.clock.advance(almost(RULES.min_early_interval));
        assert_eq!((lacks("3").await, fixture.document.may_refetch()), (Ok("2"), false));
        fixture.clock.advance(Duration::from_millis(1));
        assert_eq!(lacks("3").await, Ok("3"), "{start:?}");
        assert_eq!(fixture.fetches(), 3, "{start:?}");
    }
}

#[tokio::test]
async fn a_failed_early_fetch_leaves_the_fresh_copy() {
    let fixture = Fixture::new(RULES);
    assert_eq!(fixture.get(document("1")).await, Ok("1"));
    fixture.clock.advance(RULES.min_early_interval);
    assert_eq!(fixture.get_with(|_| false, Fetched::Failed("down")).await, Ok("1"));
    assert_eq!((fixture.get(document("2")).await, fixture.fetches()), (Ok("1"), 2), "it is still fresh");
}

#[tokio::test]
async fn concurrent_callers_share_one_fetch_and_its_failure() {
    for result in [document("1"), Fetched::Failed("down")] {
        let fixture = Fixture::new(RULES);
        let expected = if matches!(result, Fetched::Failed(_)) { Err("down") } else { Ok(Arc::new("1")) };
        let (sender, receiver) = oneshot::channel();
        let mut first = pin!(fixture.get_slowly(receiver));
        let mut second = pin!(fixture.get(document("not fetched")));
        assert!(is_pending(first.as_mut()) && is_pending(second.as_mut()));
        sender.send(result).unwrap();
        assert_eq!(second.await, expected.clone().map(|value| *value));
        assert_eq!((first.await, fixture.fetches()), (expected, 1));
    }
}

#[tokio::test]
async fn a_caller_that_leaves_does_not_cancel_the_fetch_of_the_others() {
    let fixture = Fixture::new(RULES);
    let (sender, receiver) = oneshot::channel();
    let mut first = Box::pin(fixture.get_slowly(receiver));
    assert!(is_pending(first.as_mut()));
    let mut second = pin!(fixture.get(document("not fetched")));
    assert!(is_pending(second.as_mut()));
    drop(first);
    sender.send(document("1")).unwrap();
    assert_eq!((second.await, fixture.fetches()), (Ok("1"), 1));
    assert!(fixture.document.fresh().is_some());
}

#[tokio::test]
async fn a_fetch_is_cancelled_when_all_its_callers_have_left() {
    let fixture = Fixture::new(RULES);
    let (sender, receiver) = oneshot::channel();
    let mut only = Box::pin(fixture.get_slowly(receiver));
    assert!(is_pending(only.as_mut()));
    drop(only);
    assert!(sender.is_closed());
    assert_eq!(
        (fixture.get(document("1")).await, fixture.fetches()),
        (Ok("1"), 2),
        "the next caller fetches"
    );
}

#[tokio::test]
async fn a_document_that_became_fresh_meanwhile_is_not_fetched_but_is_refetched() {
    let fixture = Fixture::new(RULES);
    let document_of = |value| move || Ok(ready(document(value)));
    assert_eq!(fixture.document.fetch(document_of("1")).await.as_deref(), Ok(&"1"));
    assert_eq!(fixture.document.fetch(document_of("2")).await.as_deref(), Ok(&"1"));
    assert_eq!(fixture.document.refetch(document_of("3")).await.as_deref(), Ok(&"3"));
    fixture.clock.advance(LIFETIME);
    let refused = fixture.document.fetch(|| Err::<std::future::Ready<_>, _>("limit reached")).await;
    assert_eq!(refused, Err("limit reached"));
    assert!(fixture.document.last_good_after_failure().is_none(), "that was no fetch");
}

#[tokio::test]
async fn an_early_fetch_in_progress_is_shared() {
    let fixture = Fixture::new(RULES);
    assert_eq!(fixture.get(document("1")).await, Ok("1"));
    fixture.clock.advance(RULES.min_early_interval);
    assert!(fixture.document.may_refetch());
    let (sender, receiver) = oneshot::channel();
    let fetch = || Ok(async { receiver.await.unwrap_or(Fetched::Failed("the sender was dropped")) });
    let mut first = pin!(fixture.document.refetch(fetch));
    assert!(is_pending(first.as_mut()));
    assert!(fixture.document.may_refetch(), "there is a fetch to share");
    let mut second = pin!(fixture.get_with(|copy| *copy == "2", document("not fetched")));
    assert!(is_pending(second.as_mut()));
    assert_eq!(fixture.get(document("not fetched")).await, Ok("1"), "the copy is enough for others");
    sender.send(document("2")).unwrap();
    assert_eq!((first.await.as_deref(), second.await), (Ok(&"2"), Ok("2")));
    assert!(!fixture.document.may_refetch());
}
