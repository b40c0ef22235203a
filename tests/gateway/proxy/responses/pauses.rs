//! Servers that pause within a response, and timeouts that end it.

use crate::harness::events::Events;
use crate::proxy::servers::{Duplex, Listener, TRANSPORTS, Transport};
use crate::proxy::{SignedIn, TIMEOUT};
use gateway_routes::Route;
use reqwest::Response;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

/// Timeout that is to expire.
const BRIEF: Duration = Duration::from_millis(300);
/// Idle timeout that is not to expire although the response takes longer.
const LONG: Duration = Duration::from_secs(1);
const SHORT_PAUSE: Duration = Duration::from_millis(100);

/// Part of a response, sent after a pause.
type Part = (Duration, Vec<u8>);

fn now(bytes: impl Into<Vec<u8>>) -> Part {
    (Duration::ZERO, bytes.into())
}

fn idle(response_idle_timeout: Duration) -> impl FnOnce(Route) -> Route {
    move |route| Route { response_idle_timeout, ..route }
}

/// Signs in to a gateway whose server sends these parts after the head of a request, and then nothing.
async fn signed_in(transport: Transport, parts: Vec<Part>, change: impl FnOnce(Route) -> Route) -> SignedIn {
    let listener = Listener::bind(transport).await;
    let signed = listener.signed_in_with(change).await;
    tokio::spawn(async move {
        loop {
            let stream = listener.accept().await;
            tokio::spawn(send(stream, parts.clone()));
        }
    });
    signed
}

async fn send(mut stream: Box<dyn Duplex>, parts: Vec<Part>) {
    let _ = stream.read(&mut [0; 4096]).await;
    for (pause, part) in parts {
        sleep(pause).await;
        // The gateway closes the connection when it gives up.
        if stream.write_all(&part).await.is_err() || stream.flush().await.is_err() {
            return;
        }
    }
    std::future::pending::<()>().await;
}

/// Reads the body of a response: its bytes, or none if it was aborted.
async fn body(response: Response) -> Option<Vec<u8>> {
    timeout(TIMEOUT, response.bytes()).await.unwrap().ok().map(Into::into)
}

const STALLED: [&str; 6] = [
    "Content-Length: 1000\r\n\r\n0123456789",
    "Content-Length: 1000\r\n\r\n",
    "Content-Length: 100000\r\n\r\n0123456789",
    "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n8\r\n{\"a\": 1,\r\n",
    "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n8\r\n{\"a\"",
    "Content-Type: text/plain\r\n\r\nuntil the server closes",
];

#[tokio::test]
async fn a_body_that_stalls_is_aborted_and_leaves_one_warning() {
    let events = Events::record();
    for transport in TRANSPORTS {
        for rest in STALLED {
            let signed =
                signed_in(transport, vec![now(format!("HTTP/1.1 200 OK\r\n{rest}"))], idle(BRIEF)).await;
            let http2 = reqwest::Client::builder().http2_prior_knowledge().build().unwrap();
            let http2 = http2.get(signed.world.url("/mcp/raw/echo")).bearer_auth(&signed.token);
            for (is_first, request) in [(true, signed.request("/mcp/raw/echo")), (false, http2)] {
                let response = timeout(TIMEOUT, request.send()).await.unwrap().unwrap();
                let id = response.headers()["x-request-id"].to_str().unwrap().to_owned();
                assert_eq!((response.status().as_u16(), body(response).await), (200, None), "{rest:?}");
                let is_end = |line: &Value| line["event"] == "stream_ended" && line["request_id"] == id;
                let end = events.only(is_end).await;
                assert_eq!(end["decision"], "failed", "{rest:?}");
                assert!(end["reason"].as_str().unwrap().contains("`response_idle_timeout`"), "{end}");
                // A second failure of a route is counted.
                let warnings = events.all(|line| line["level"] == "WARN" && line["request_id"] == *id);
                assert_eq!(warnings.len(), usize::from(is_first), "{rest:?}: {warnings:?}");
            }
        }
    }
}

#[tokio::test]
async fn a_slow_body_without_a_long_pause_is_complete() {
    const BYTES: usize = 20;
    for transport in TRANSPORTS {
        for is_chunked in [false, true] {
            let head = if is_chunked { "Transfer-Encoding: chunked" } else { "Content-Length: 20" };
            let mut parts = vec![now(format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\n"))];
            // In all twice the timeout, byte by byte.
            let byte: &[u8] = if is_chunked { b"1\r\nx\r\n" } else { b"x" };
            parts.extend((0..BYTES).map(|_| (SHORT_PAUSE, byte.to_vec())));
            parts.extend(is_chunked.then(|| now("0\r\n\r\n")));
            let signed = signed_in(transport, parts, idle(LONG)).await;
            let response = timeout(TIMEOUT, signed.get("/mcp/raw/echo")).await.unwrap();
            assert_eq!(body(response).await.unwrap(), [b'x'; BYTES], "{transport:?} {head}");
        }
    }
}

#[tokio::test]
async fn an_event_stream_may_be_silent() {
    let stream = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream";
    for transport in TRANSPORTS {
        for fields in ["", "\r\nContent-Encoding: gzip", "\r\nContent-Length: 15"] {
            let head = now(format!("{stream}{fields}\r\n\r\n"));
            let signed =
                signed_in(transport, vec![head, (BRIEF * 4, b"data: 0123456\n\n".into())], idle(BRIEF)).await;
            let mut response = timeout(TIMEOUT, signed.get("/mcp/raw/echo")).await.unwrap();
            let mut received = Vec::new();
            while !received.ends_with(b"data: 0123456\n\n") {
                let chunk = timeout(TIMEOUT, response.chunk()).await.unwrap().unwrap();
                received.extend_from_slice(&chunk.expect("the stream is open"));
            }
        }
    }
}

#[tokio::test]
async fn a_client_that_reads_slowly_does_not_time_its_server_out() {
    // More than the buffers of all sockets.
    const BYTES: usize = 32 << 20;
    for transport in TRANSPORTS {
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {BYTES}\r\n\r\n");
        let signed = signed_in(transport, vec![now(head), now(vec![b'x'; BYTES])], idle(LONG)).await;
        let response = timeout(TIMEOUT, signed.get("/mcp/raw/echo")).await.unwrap();
        sleep(LONG * 2).await;
        assert_eq!(body(response).await.map(|body| body.len()), Some(BYTES), "{transport:?}");
    }
}

#[tokio::test]
async fn a_pause_of_the_upload_after_an_early_response_is_no_pause_of_the_server() {
    for transport in TRANSPORTS {
        let listener = Listener::bind(transport).await;
        let signed = listener.signed_in_with(idle(BRIEF)).await;
        tokio::spawn(async move {
            let mut stream = listener.accept().await;
            let mut seen = Vec::new();
            while !seen.ends_with(b"\r\n\r\n") {
                seen.push(stream.read_u8().await.unwrap());
            }
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nsent").await.unwrap();
            stream.flush().await.unwrap();
            stream.read_exact(&mut [0; 4]).await.unwrap();
            stream.write_all(b"read").await.unwrap();
            stream.flush().await.unwrap();
            std::future::pending::<()>().await;
        });
        let mut client =
            TcpStream::connect(signed.world.base_url.trim_start_matches("http://")).await.unwrap();
        let (host, token) = (signed.world.base_url.trim_start_matches("http://"), &signed.token);
        let head =
            format!("POST /mcp/raw/upload HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n");
        client.write_all(format!("{head}Content-Length: 4\r\n\r\nup").as_bytes()).await.unwrap();
        let mut received = Vec::new();
        for (sent, end) in [("to", "sent"), ("", "sentread")] {
            while !received.ends_with(end.as_bytes()) {
                let length = timeout(TIMEOUT, client.read_buf(&mut received)).await.unwrap().unwrap();
                assert_ne!(length, 0, "{transport:?}: {}", String::from_utf8_lossy(&received));
            }
            sleep(if sent.is_empty() { Duration::ZERO } else { BRIEF * 3 }).await;
            client.write_all(sent.as_bytes()).await.unwrap();
        }
    }
}

#[tokio::test]
async fn progress_of_the_upload_after_an_early_response_is_no_pause_of_the_server() {
    // More than the buffers of all sockets.
    const BYTES: usize = 32 << 20;
    const READS: usize = 20;
    for (transport, reads) in
        TRANSPORTS.map(|transport| (transport, READS)).into_iter().chain([(Transport::Plain, 1)])
    {
        let listener = Listener::bind(transport).await;
        let change = |route| Route { max_body: BYTES as u64, response_idle_timeout: LONG, ..route };
        let signed = listener.signed_in_with(change).await;
        tokio::spawn(async move {
            let mut stream = listener.accept().await;
            let mut seen = Vec::new();
            while !seen.ends_with(b"\r\n\r\n") {
                seen.push(stream.read_u8().await.unwrap());
            }
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nsent").await.unwrap();
            stream.flush().await.unwrap();
            let mut part = vec![0; BYTES / READS];
            for _ in 0..reads {
                stream.read_exact(&mut part).await.unwrap();
                sleep(SHORT_PAUSE).await;
            }
            if reads == READS {
                stream.write_all(b"read").await.unwrap();
                stream.flush().await.unwrap();
            }
            std::future::pending::<()>().await;
        });
        let call = signed.post("/mcp/raw/upload").body(vec![b'x'; BYTES]).send();
        let response = timeout(TIMEOUT, call).await.unwrap().unwrap();
        let expected = (reads == READS).then_some(&b"sentread"[..]);
        assert_eq!(body(response).await.as_deref(), expected, "{transport:?} {reads}");
    }
}

#[tokio::test]
async fn a_head_that_is_never_complete_is_504() {
    let bytes = b"HTTP/1.1 200 OK\r\nX-Padding: ".iter().copied().chain(std::iter::repeat(b'x'));
    let interim = "HTTP/1.1 102 Processing\r\n\r\n";
    for transport in TRANSPORTS {
        let trickle = bytes.clone().take(500).map(|byte| (Duration::from_millis(10), vec![byte])).collect();
        let endless = (0..500).map(|_| (Duration::from_millis(10), interim.into())).collect();
        for parts in [trickle, endless] {
            let signed =
                signed_in(transport, parts, |route| Route { response_timeout: BRIEF, ..route }).await;
            let response = timeout(TIMEOUT, signed.get("/mcp/raw/echo")).await.unwrap();
            assert_eq!(response.status(), 504, "{transport:?}");
            let error: Value = response.json().await.unwrap();
            assert_eq!(error["jsonrpc"], json!("2.0"));
        }
    }
}
