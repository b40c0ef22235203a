//! Connections that are used for several requests, and servers that close them.

use crate::proxy::TIMEOUT;
use crate::proxy::servers::{Duplex, Listener, TRANSPORTS, Transport};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{sleep, timeout};

/// Starts a server that sends this response to each request and never closes; returns it with the number of its
/// connections.
async fn patient_server(transport: Transport, response: &'static str) -> (Arc<Listener>, Arc<AtomicUsize>) {
    let listener = Arc::new(Listener::bind(transport).await);
    let connections = Arc::new(AtomicUsize::new(0));
    let (accepting, count) = (Arc::clone(&listener), Arc::clone(&connections));
    tokio::spawn(async move {
        loop {
            let mut stream = accepting.accept().await;
            count.fetch_add(1, Ordering::SeqCst);
            tokio::spawn(async move {
                while let Ok(1..) = stream.read(&mut [0; 4096]).await {
                    stream.write_all(response.as_bytes()).await.unwrap();
                    stream.flush().await.unwrap();
                }
            });
        }
    });
    (listener, connections)
}

async fn a_connection_is_replaced_before_its_timeout(transport: Transport) {
    let response = "HTTP/1.1 200 OK\r\nKeep-Alive: timeout=2, max=100\r\nContent-Length: 2\r\n\r\nok";
    let (listener, connections) = patient_server(transport, response).await;
    let signed = listener.signed_in().await;
    for (pause, expected) in [(0, 1), (0, 1), (1_100, 2)] {
        sleep(Duration::from_millis(pause)).await;
        let call = signed.post("/mcp/raw/upload").body("x").send();
        assert_eq!(timeout(TIMEOUT, call).await.unwrap().unwrap().status(), 200);
        assert_eq!(connections.load(Ordering::SeqCst), expected, "{transport:?}");
    }
}

#[tokio::test]
async fn a_connection_is_replaced_a_second_before_its_announced_timeout() {
    let [plain, tls] = TRANSPORTS.map(a_connection_is_replaced_before_its_timeout);
    tokio::join!(plain, tls);
}

#[tokio::test]
async fn a_connection_about_to_be_closed_is_not_reused() {
    for transport in TRANSPORTS {
        for response in [
            "HTTP/1.1 200 OK\r\nKeep-Alive: timeout=1\r\nContent-Length: 2\r\n\r\nok",
            "HTTP/1.1 200 OK\r\nKeep-Alive: timeout=5\r\nkeep-alive: MAX=0\r\nContent-Length: 2\r\n\r\nok",
        ] {
            let (listener, connections) = patient_server(transport, response).await;
            let signed = listener.signed_in().await;
            for number in 1..=3 {
                assert_eq!(signed.get("/mcp/raw/echo").await.text().await.unwrap(), "ok");
                assert_eq!(connections.load(Ordering::SeqCst), number, "{transport:?} {response}");
            }
        }
    }
}

/// Number of received requests, by path.
type Received = Arc<Mutex<HashMap<String, usize>>>;

/// Reads the head of the next request, and counts it; returns false at the end of the connection.
async fn read_head(stream: &mut Box<dyn Duplex>, received: &Received) -> bool {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let Ok(byte) = stream.read_u8().await else { return false };
        head.push(byte);
    }
    let head = String::from_utf8(head).unwrap();
    *received.lock().entry(head.split(' ').nth(1).unwrap().to_owned()).or_default() += 1;
    true
}

/// Starts a server that closes each connection some microseconds after its first response, and after each connection a
/// little later.
async fn hasty_server(transport: Transport) -> (Arc<Listener>, Received) {
    let (listener, received) = (Arc::new(Listener::bind(transport).await), Received::default());
    let (accepting, count) = (Arc::clone(&listener), Arc::clone(&received));
    tokio::spawn(async move {
        for number in 0_u64.. {
            let (mut stream, count) = (accepting.accept().await, Arc::clone(&count));
            tokio::spawn(async move {
                if !read_head(&mut stream, &count).await {
                    return;
                }
                stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await.unwrap();
                stream.flush().await.unwrap();
                let closed_at = Instant::now() + Duration::from_micros(50 * (number % 40));
                while Instant::now() < closed_at {
                    tokio::task::yield_now().await;
                }
                // Requests that have arrived by then are received, but get no response.
                let _ = timeout(Duration::ZERO, read_head(&mut stream, &count)).await;
            });
        }
    });
    (listener, received)
}

#[tokio::test]
async fn a_post_is_never_sent_twice_when_its_server_closes_an_idle_connection() {
    const CALLS: usize = 80;
    for transport in TRANSPORTS {
        let (listener, received) = hasty_server(transport).await;
        let signed = listener.signed_in().await;
        for number in 0..CALLS {
            let call = signed.post(&format!("/mcp/raw/{number}")).body("x").send();
            let status = timeout(TIMEOUT, call).await.unwrap().unwrap().status().as_u16();
            let times = received.lock().get(&format!("/{number}")).copied().unwrap_or_default();
            assert!(
                (status, times) == (200, 1) || (status == 502 && times <= 1),
                "{transport:?}: {status}, {times} times"
            );
        }
    }
}

#[tokio::test]
async fn a_post_whose_body_was_read_in_part_is_not_sent_again() {
    for transport in TRANSPORTS {
        let (listener, received) = (Arc::new(Listener::bind(transport).await), Received::default());
        let signed = listener.signed_in().await;
        let count = Arc::clone(&received);
        tokio::spawn(async move {
            loop {
                let mut stream = listener.accept().await;
                read_head(&mut stream, &count).await;
                stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await.unwrap();
                stream.flush().await.unwrap();
                read_head(&mut stream, &count).await;
                stream.read_exact(&mut vec![0; 50_000]).await.unwrap();
            }
        });
        for (path, status) in [("/mcp/raw/first", 200), ("/mcp/raw/second", 502)] {
            let body = if status == 200 { Vec::new() } else { vec![b'x'; 3 << 20] };
            let call = signed.post(path).body(body).send();
            assert_eq!(timeout(TIMEOUT, call).await.unwrap().unwrap().status(), status, "{transport:?}");
        }
        assert_eq!(*received.lock(), HashMap::from([("/first".into(), 1), ("/second".into(), 1)]));
    }
}
