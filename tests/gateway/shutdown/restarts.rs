//! Restarts of real processes under load.

use super::connection::Connection;
use crate::harness::binary::{Process, binary};
use crate::harness::go_program::{GoProgram, SHUTDOWN_DELAY};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{JoinHandle, sleep, spawn};
use std::time::{Duration, Instant};

const PATH: &str = "/.well-known/oauth-authorization-server";
const OKTA: [(&str, &str); 3] = [
    ("OKTA_URL", "http://127.0.0.1:9"),
    ("OKTA_CLIENT_ID", "0oa1"),
    ("OKTA_CLIENT_SECRET", "secret-of-the-app"),
];

async fn started() -> Process {
    Process::start(&GoProgram::shared().await.binary, &OKTA).await
}

/// Replicas, and what their `/readyz` says.
struct Fleet {
    replicas: Vec<(String, AtomicBool)>,
    next: AtomicUsize,
    stop: AtomicBool,
}

impl Fleet {
    /// Asks each replica for its readiness all the time, on a new connection each.
    fn watched(base_urls: Vec<String>) -> (Arc<Self>, Vec<JoinHandle<()>>) {
        let count = base_urls.len();
        let replicas = base_urls.into_iter().map(|url| (url, AtomicBool::new(false))).collect();
        let fleet = Arc::new(Self { replicas, next: AtomicUsize::new(0), stop: AtomicBool::new(false) });
        let watch = |fleet: Arc<Self>, number: usize| {
            spawn(move || {
                let (url, ready) = &fleet.replicas[number];
                while !fleet.stop.load(Ordering::SeqCst) {
                    let asked = Connection::open(url).and_then(|mut connection| connection.get("/readyz"));
                    ready.store(asked.is_ok_and(|response| response.status == 200), Ordering::SeqCst);
                    sleep(Duration::from_millis(20));
                }
            })
        };
        let watching = (0..count).map(|number| watch(Arc::clone(&fleet), number)).collect();
        (fleet, watching)
    }

    /// A client that asks replicas that are ready, in turn; what it got, and how often.
    fn client(self: &Arc<Self>) -> JoinHandle<(usize, Vec<io::Error>)> {
        let fleet = Arc::clone(self);
        spawn(move || {
            let (mut responses, mut failed) = (0, Vec::new());
            while !fleet.stop.load(Ordering::SeqCst) {
                let number = fleet.next.fetch_add(1, Ordering::SeqCst) % fleet.replicas.len();
                let (url, ready) = &fleet.replicas[number];
                if !ready.load(Ordering::SeqCst) {
                    sleep(Duration::from_millis(1));
                    continue;
                }
                match Connection::open(url).and_then(|mut connection| connection.get(PATH)) {
                    Ok(response) => responses += usize::from(response.status == 200),
                    Err(error) => failed.push(error),
                }
                sleep(Duration::from_millis(5));
            }
            (responses, failed)
        })
    }

    fn is_ready(&self, number: usize) -> bool {
        self.replicas[number].1.load(Ordering::SeqCst)
    }
}

fn waits_for(condition: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_mins(1);
    while !condition() {
        assert!(Instant::now() < deadline, "it does not come");
        sleep(Duration::from_millis(5));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn restarts_fail_no_request_of_clients_that_believe_readyz_alone() {
    let mut replicas = [started().await, started().await];
    let urls = replicas.iter().map(|replica| replica.base_url.clone()).collect();
    let (fleet, watching) = Fleet::watched(urls);
    let clients: Vec<_> = (0..6).map(|_| fleet.client()).collect();
    for round in 0..3 {
        waits_for(|| fleet.is_ready(0) && fleet.is_ready(1));
        let replica = &mut replicas[round % 2];
        replica.terminate();
        waits_for(|| !fleet.is_ready(round % 2));
        assert!(replica.ended().success(), "{}", replica.log());
        replica.start_again().await;
    }
    fleet.stop.store(true, Ordering::SeqCst);
    for watching in watching {
        watching.join().unwrap();
    }
    let mut requests = 0;
    for client in clients {
        let (responses, failed) = client.join().unwrap();
        assert!(failed.is_empty(), "{failed:?}");
        requests += responses;
    }
    assert!(requests > 200, "only {requests} requests");
}

/// Asks on new connections until none is accepted any more; how often.
fn asks_anew(url: &str) -> io::Result<usize> {
    let mut responses = 0;
    while let Ok(mut connection) = Connection::open(url) {
        assert_eq!(connection.get(PATH)?.status, 200);
        responses += 1;
    }
    Ok(responses)
}

/// Asks on the same connection until its end is announced, then on another one.
fn asks_on(url: &str) -> io::Result<usize> {
    let mut responses = 0;
    while let Ok(mut connection) = Connection::open(url) {
        while !connection.is_announced && !connection.is_closed() {
            assert_eq!(connection.get(PATH)?.status, 200);
            responses += 1;
            sleep(Duration::from_millis(responses as u64 % 7));
        }
    }
    Ok(responses)
}

/// Asks once now, and once more at this time unless the connection is closed.
fn asks_again_at(url: &str, at: Instant) -> io::Result<usize> {
    let mut connection = Connection::open(url)?;
    connection.get(PATH)?;
    sleep(at.saturating_duration_since(Instant::now()));
    if connection.is_closed() {
        return Ok(1);
    }
    assert_eq!(connection.get(PATH)?.status, 200);
    Ok(2)
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_are_answered_on_whatever_connection_until_its_end() {
    let mut process = started().await;
    let url = process.base_url.clone();
    let begins = Instant::now() + Duration::from_millis(300);
    let run = |ask: fn(&str) -> io::Result<usize>| {
        let url = url.clone();
        spawn(move || ask(&url))
    };
    let mut clients: Vec<_> = (0..8).flat_map(|_| [run(asks_anew), run(asks_on)]).collect();
    // Around the end of the delay, when idle connections are closed.
    clients.extend((0..40).map(|number| {
        let (url, at) = (url.clone(), begins + SHUTDOWN_DELAY * 3 / 4 + Duration::from_millis(20 * number));
        spawn(move || asks_again_at(&url, at))
    }));
    sleep(begins.saturating_duration_since(Instant::now()));
    process.terminate();
    let lost: Vec<_> = clients.into_iter().filter_map(|client| client.join().unwrap().err()).collect();
    assert!(lost.is_empty(), "{lost:?}");
    assert!(process.ended().success(), "{}", process.log());
    assert!(begins.elapsed() < Duration::from_secs(6), "{:?}", begins.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn http_2_requests_are_answered_until_goaway() {
    let mut process = started().await;
    let asking = |url: String| async move {
        let client = reqwest::Client::builder().http2_prior_knowledge().build().unwrap();
        let mut responses = 0;
        loop {
            match client.get(&url).send().await {
                Ok(response) => assert_eq!(response.status(), 200),
                Err(error) if error.is_connect() => return Ok(responses),
                Err(error) => return Err(error),
            }
            responses += 1;
        }
    };
    let clients: Vec<_> =
        (0..8).map(|_| tokio::spawn(asking(format!("{}{PATH}", process.base_url)))).collect();
    tokio::time::sleep(Duration::from_millis(300)).await;
    process.terminate();
    for client in clients {
        assert!(client.await.unwrap().unwrap() > 0);
    }
    assert!(process.ended().success(), "{}", process.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_signal_ends_at_once() {
    let mut process = Process::start(binary(), &OKTA).await;
    process.terminate();
    waits_for(|| process.log().contains("\"draining\""));
    let before = Instant::now();
    process.terminate();
    assert_eq!(process.ended().code(), Some(1));
    assert!(before.elapsed() < Duration::from_secs(2), "{:?}", before.elapsed());
}
