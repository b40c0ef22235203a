use super::*;
use gateway_standins::publisher::Publisher;
use std::io;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

/// A subscriber at this address.
fn at(text: &str) -> Subnets {
    Subnets::of(address(text))
}

fn somebody() -> Subnets {
    at("192.0.2.1")
}

fn address(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

/// A guard whose names mean one answer after the other, the last one for ever.
fn guard(answers: &'static [&'static [&'static str]]) -> Guard {
    let asked = AtomicUsize::new(0);
    let names = move |_: &str| {
        let answer = answers[asked.fetch_add(1, Ordering::SeqCst).min(answers.len() - 1)];
        answer.iter().map(|text| address(text)).collect()
    };
    Guard::new(FetchPolicy::for_tests(names, Vec::new(), Vec::new()))
}

async fn looked_up(guard: &Guard) -> io::Result<usize> {
    guard.addresses("client.example.com").await.map(|addresses| addresses.len())
}

/// Answers with an address that is not on the internet, or none.
const BAD: [&[&[&str]]; 4] = [&[&["10.0.0.1"]], &[&["1.1.1.1", "10.0.0.1"]], &[&["1.1.1.1", "::1"]], &[&[]]];

#[tokio::test]
async fn a_name_is_good_when_all_its_addresses_are() {
    assert_eq!(looked_up(&guard(&[&["1.1.1.1", "2606:4700::1111"]])).await.expect("all are public"), 2);
    for answers in BAD {
        assert!(looked_up(&guard(answers)).await.is_err(), "{answers:?}");
    }
}

#[tokio::test]
async fn a_name_that_means_another_address_the_second_time_is_looked_at_the_second_time() {
    let rebinding = guard(&[&["1.1.1.1"], &["127.0.0.1"]]);
    assert!(looked_up(&rebinding).await.is_ok());
    assert!(looked_up(&rebinding).await.is_err());
}

#[tokio::test]
async fn the_systems_own_names_for_this_computer_are_not_on_the_internet() {
    let guard = Guard::new(FetchPolicy::default());
    for name in ["localhost", "localhost."] {
        assert!(guard.addresses(name).await.is_err(), "{name}");
    }
}

#[tokio::test]
async fn nothing_is_asked_of_this_computer_however_it_is_written() {
    // Fails only when one is installed already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("its address").port();
    let connected = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&connected);
    let server = tokio::spawn(async move {
        while listener.accept().await.is_ok() {
            counted.fetch_add(1, Ordering::SeqCst);
        }
    });
    let fetcher = Fetcher::new(FetchPolicy::default(), Clock::system()).expect("a client");
    let share = fetcher.share(somebody()).expect("the first one");
    for url in [
        "https://localhost:{port}/",
        "https://127.0.0.1:{port}/",
        "https://127.1:{port}/",
        "https://0x7f000001:{port}/",
        "https://2130706433:{port}/",
        "https://[::1]:{port}/",
        "https://[::ffff:127.0.0.1]:{port}/",
        "https://0.0.0.0:{port}/",
        "http://127.0.0.1:{port}/",
        "http://localhost:{port}/",
    ] {
        let url = Url::parse(&url.replace("{port}", &port.to_string())).expect("a URL");
        let failed = fetcher.get(&url, 1024, &share).await.expect_err("it is guarded");
        assert!(matches!(failed, FetchError::Unreachable(_)), "{url}: {failed}");
    }
    assert_eq!(connected.load(Ordering::SeqCst), 0);
    server.abort();
}

#[tokio::test]
async fn a_subscriber_has_four_fetches_under_way_and_takes_nothing_from_others() {
    let shares = Shares::default();
    let mut four: Vec<_> = (0..4).map(|_| shares.take(somebody()).expect("one of four")).collect();
    assert_eq!(shares.take(somebody()).err(), Some(FetchError::TooMany));
    assert!(shares.take(at("192.0.2.2")).is_ok());
    four.pop();
    assert!(shares.take(somebody()).is_ok());
}

#[test]
fn a_site_of_many_subnets_has_a_quarter_of_the_fetches_that_run_and_no_more() {
    let shares = Shares::default();
    let from = |subnet: usize| at(&format!("2001:db8:1:{subnet:x}::1"));
    let held: Vec<_> =
        (0..0x1_0000).step_by(17).filter_map(|subnet| shares.take(from(subnet)).ok()).collect();
    assert_eq!(held.len(), MAX_CONCURRENT_FETCHES / 4);
    assert_eq!(shares.take(from(3)).err(), Some(FetchError::TooMany));
    assert!(shares.take(at("2001:db8:2::1")).is_ok(), "another site");
    drop(held);
    assert!(shares.take(from(3)).is_ok());
}

#[test]
fn those_that_wait_are_bounded_whoever_asks() {
    let shares = Shares::default();
    let from = |number: u32| Subnets::of(IpAddr::V4(number.into()));
    let held: Vec<_> = (0..2_000).filter_map(|number| shares.take(from(number)).ok()).collect();
    assert_eq!(held.len(), 1024);
    assert!(matches!(shares.take(from(9_999)).err(), Some(FetchError::Unreachable(_))), "503, and not 429");
    drop(held);
    assert!(shares.take(from(9_999)).is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_look_up_that_nobody_waits_for_counts_until_it_ends() {
    // Fails only when one is installed already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let (answer, unanswered) = std::sync::mpsc::channel::<()>();
    let (unanswered, asked) = (Mutex::new(unanswered), Arc::new(AtomicUsize::new(0)));
    let counted = Arc::clone(&asked);
    let names = move |_: &str| {
        counted.fetch_add(1, Ordering::SeqCst);
        // Fails when the name server is to answer at last.
        let _ = unanswered.lock().map(|unanswered| unanswered.recv());
        Vec::new()
    };
    let publisher = Publisher::start().await.expect("an authority");
    let policy = FetchPolicy::for_tests(names, Vec::new(), publisher.authority().to_vec());
    let fetcher = Arc::new(Fetcher::new(policy, Clock::system()).expect("a client"));
    let url = Url::parse("https://client.example.com/").expect("a URL");
    let abandoned = (0..4).map(|_| {
        let (fetcher, url) = (Arc::clone(&fetcher), url.clone());
        let share = fetcher.share(somebody()).expect("one of four");
        tokio::spawn(async move { fetcher.get(&url, 1024, &share).await.map(|_| ()) })
    });
    let abandoned: Vec<_> = abandoned.collect();
    while asked.load(Ordering::SeqCst) < 4 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    for fetch in abandoned {
        fetch.abort();
        assert!(fetch.await.is_err(), "nobody waits for it any more");
    }
    assert!(fetcher.share(somebody()).is_err(), "its threads are still held");
    drop(answer);
    while fetcher.share(somebody()).is_err() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[test]
fn only_json_is_called_json() {
    for (value, json) in [
        ("application/json", true),
        ("Application/JSON; charset=utf-8", true),
        ("application/client-metadata+json", true),
        ("text/html", false),
        ("text/json", false),
        ("application/jsonp", false),
        ("text/html; application/json", false),
        ("", false),
    ] {
        let headers = [(CONTENT_TYPE, value.parse().expect("a value"))].into_iter().collect();
        assert_eq!(is_json(&headers), json, "{value}");
    }
}
