//! Connections that are used for several requests, and servers that close them.

use crate::proxy::TIMEOUT;
use crate::proxy::servers::{Listener, TRANSPORTS, Transport};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
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
