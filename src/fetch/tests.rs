use super::*;
use gateway_standins::document_server::DocumentServer;
use parking_lot::Mutex;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Subscriber at an address.
fn at(text: &str) -> Subnets {
    Subnets::of(address(text))
}

fn subscriber() -> Subnets {
    at("192.0.2.1")
}

fn address(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

/// Guard whose name lookups return these responses in turn, the last one forever.
fn guard(responses: &'static [&'static [&'static str]]) -> Guard {
    let lookups = AtomicUsize::new(0);
    let names = move |_: &str| {
        let response = responses[lookups.fetch_add(1, Ordering::SeqCst).min(responses.len() - 1)];
        response.iter().map(|text| address(text)).collect()
    };
    Guard::new(FetchPolicy::for_tests(names, Vec::new(), Vec::new()))
}

async fn resolve(guard: &Guard) -> io::Result<usize> {
    guard.addresses("client.example.com").await.map(|addresses| addresses.len())
}

/// DNS responses with an address that is not public, or with none.
const BAD: [&[&[&str]]; 4] = [&[&["10.0.0.1"]], &[&["1.1.1.1", "10.0.0.1"]], &[&["1.1.1.1", "::1"]], &[&[]]];

#[tokio::test]
async fn a_name_is_allowed_when_all_its_addresses_are_public() {
    assert_eq!(resolve(&guard(&[&["1.1.1.1", "2606:4700::1111"]])).await.expect("all are public"), 2);
    for responses in BAD {
        assert!(resolve(&guard(responses)).await.is_err(), "{responses:?}");
    }
}

#[tokio::test]
async fn a_rebound_name_is_checked_at_every_lookup() {
    let rebinding = guard(&[&["1.1.1.1"], &["127.0.0.1"]]);
    assert!(resolve(&rebinding).await.is_ok());
    assert!(resolve(&rebinding).await.is_err());
}

#[tokio::test]
async fn localhost_is_not_public() {
    let guard = Guard::new(FetchPolicy::default());
    for name in ["localhost", "localhost."] {
        assert!(guard.addresses(name).await.is_err(), "{name}");
    }
}

#[tokio::test]
async fn loopback_is_not_connected_to_in_any_notation() {
    // Fails only when a provider is installed already.
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
    let fetcher = Fetcher::new(FetchPolicy::default(), RootCertStore::empty(), None, Clock::system())
        .expect("a client");
    let permit = fetcher.acquire(subscriber()).expect("the first one");
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
        let failed = fetcher.get(&url, 1024, &permit).await.expect_err("it is guarded");
        assert!(matches!(failed, FetchError::Unreachable(_)), "{url}: {failed}");
    }
    assert_eq!(connected.load(Ordering::SeqCst), 0);
    server.abort();
}

#[tokio::test]
async fn a_subscriber_has_at_most_four_concurrent_fetches() {
    let limits = FetchLimits::default();
    let mut four: Vec<_> = (0..4).map(|_| limits.acquire(subscriber()).expect("one of four")).collect();
    assert_eq!(limits.acquire(subscriber()).err(), Some(FetchError::LimitReached));
    assert!(limits.acquire(at("192.0.2.2")).is_ok());
    four.pop();
    assert!(limits.acquire(subscriber()).is_ok());
}

#[test]
fn an_ipv6_site_has_at_most_a_quarter_of_the_running_fetches() {
    let limits = FetchLimits::default();
    let from = |subnet: usize| at(&format!("2001:db8:1:{subnet:x}::1"));
    let held: Vec<_> =
        (0..0x1_0000).step_by(17).filter_map(|subnet| limits.acquire(from(subnet)).ok()).collect();
    assert_eq!(held.len(), MAX_CONCURRENT_FETCHES / 4);
    assert_eq!(limits.acquire(from(3)).err(), Some(FetchError::LimitReached));
    assert!(limits.acquire(at("2001:db8:2::1")).is_ok(), "another site");
    drop(held);
    assert!(limits.acquire(from(3)).is_ok());
}

#[test]
fn queued_fetches_are_limited() {
    let limits = FetchLimits::default();
    let from = |number: u32| Subnets::of(IpAddr::V4(number.into()));
    let held: Vec<_> = (0..2_000).filter_map(|number| limits.acquire(from(number)).ok()).collect();
    assert_eq!(held.len(), 1024);
    assert!(
        matches!(limits.acquire(from(9_999)).err(), Some(FetchError::Unreachable(_))),
        "503, and not 429"
    );
    drop(held);
    assert!(limits.acquire(from(9_999)).is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_abandoned_lookup_is_counted_until_it_ends() {
    // Fails only when a provider is installed already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let (release, blocked) = std::sync::mpsc::channel::<()>();
    let (blocked, lookups) = (Mutex::new(blocked), Arc::new(AtomicUsize::new(0)));
    let counted = Arc::clone(&lookups);
    let names = move |_: &str| {
        counted.fetch_add(1, Ordering::SeqCst);
        // Fails when the sender is dropped, which ends the lookup.
        let _ = blocked.lock().recv();
        Vec::new()
    };
    let publisher = DocumentServer::start().await.expect("an authority");
    let policy = FetchPolicy::for_tests(names, Vec::new(), publisher.authority().to_vec());
    let fetcher =
        Arc::new(Fetcher::new(policy, RootCertStore::empty(), None, Clock::system()).expect("a client"));
    let url = Url::parse("https://client.example.com/").expect("a URL");
    let abandoned = (0..4).map(|_| {
        let (fetcher, url) = (Arc::clone(&fetcher), url.clone());
        let permit = fetcher.acquire(subscriber()).expect("one of four");
        tokio::spawn(async move { fetcher.get(&url, 1024, &permit).await.map(|_| ()) })
    });
    let abandoned: Vec<_> = abandoned.collect();
    while lookups.load(Ordering::SeqCst) < 4 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    for fetch in abandoned {
        fetch.abort();
        assert!(fetch.await.is_err(), "it is abandoned");
    }
    assert!(fetcher.acquire(subscriber()).is_err(), "its threads are still held");
    drop(release);
    while fetcher.acquire(subscriber()).is_err() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[test]
fn only_json_media_types_are_json() {
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
