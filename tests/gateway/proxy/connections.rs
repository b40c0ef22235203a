//! Connections to clients and to MCP servers: one end cannot disturb other connections.

use super::{SignedIn, TIMEOUT, to};
use crate::harness::{SiteBuilder, http};
use gateway_routes::Route;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

/// Server that sends this response to every head, regardless of the body, and then closes or not.
async fn early_responder(response: &'static str, closes: bool) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(respond_to_heads(stream, response, closes));
        }
    });
    address.to_string()
}

/// Server without TLS that sends bytes to every client.
async fn plaintext_server() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            stream.write_all(b"220 mail.example.com\r\n").await.unwrap();
        }
    });
    address.to_string()
}

async fn respond_to_heads(mut stream: TcpStream, response: &str, closes: bool) {
    let mut seen = Vec::new();
    while let Ok(1..) = stream.read_buf(&mut seen).await {
        if seen.windows(4).any(|end| end == b"\r\n\r\n") {
            seen.clear();
            stream.write_all(response.as_bytes()).await.unwrap();
            if closes {
                return;
            }
        }
    }
}

fn with_short_timeouts(route: Route) -> Route {
    let soon = Duration::from_millis(100);
    Route { connect_timeout: soon, response_timeout: soon, ..route }
}

fn upload(signed: &SignedIn, framing: &str) -> String {
    let token = &signed.token;
    format!(
        "POST /mcp/raw/upload HTTP/1.1\r\nHost: HOST\r\nAuthorization: Bearer {token}\r\n{framing}\r\n\r\n"
    )
}

#[tokio::test]
async fn an_early_response_to_an_unread_body_is_delivered() {
    let refusal = "HTTP/1.1 413 Payload Too Large\r\nContent-Length: 4\r\nConnection: close\r\n\r\nnope";
    let signed = SignedIn::start(to(&early_responder(refusal, true).await)).await;
    let body = format!("80000\r\n{}\r\n0\r\n\r\n", "x".repeat(0x8_0000));
    let response = signed
        .world
        .send_raw(&(upload(&signed, "Connection: close\r\nTransfer-Encoding: chunked") + &body))
        .await;
    assert_eq!(response.status, 413, "{}", response.text);
    assert!(response.text.ends_with("nope"), "{}", response.text);
}

#[tokio::test]
async fn a_connection_with_an_unfinished_body_is_not_reused() {
    let early_responder = early_responder("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nearly", false).await;
    let signed = SignedIn::start(to(&early_responder)).await;
    let address = signed.world.base_url.trim_start_matches("http://");
    let mut slow = TcpStream::connect(address).await.unwrap();
    let head = upload(&signed, "Content-Length: 100").replace("HOST", address);
    slow.write_all(head.as_bytes()).await.unwrap();
    let mut response = String::new();
    while !response.ends_with("early") {
        let mut chunk = [0; 1024];
        let length = timeout(TIMEOUT, slow.read(&mut chunk)).await.unwrap().unwrap();
        response += std::str::from_utf8(&chunk[..length]).unwrap();
    }
    let other = timeout(TIMEOUT, signed.get("/mcp/raw/echo")).await.unwrap();
    assert_eq!(other.text().await.unwrap(), "early");
}

#[tokio::test]
async fn an_unfinished_request_body_is_408() {
    let signed = SignedIn::start(|site| site.change("/mcp/raw/", with_short_timeouts)).await;
    let response = signed.world.send_raw(&(upload(&signed, "Content-Length: 100") + "and then")).await;
    assert_eq!(response.status, 408, "{}", response.text);
}

#[tokio::test]
async fn the_response_timeout_runs_from_the_end_of_the_upload() {
    let brief = |route| Route { response_timeout: Duration::from_millis(500), ..route };
    for framing in ["Content-Length: 20", "Transfer-Encoding: chunked"] {
        let signed = SignedIn::start(|site| site.change("/mcp/raw/", brief)).await;
        let address = signed.world.base_url.trim_start_matches("http://");
        let mut slow = TcpStream::connect(address).await.unwrap();
        let head = upload(&signed, framing).replace("HOST", address);
        slow.write_all(head.as_bytes()).await.unwrap();
        let is_chunked = framing.contains("chunked");
        // Twice the response timeout in all.
        for _ in 0..20 {
            slow.write_all(if is_chunked { b"1\r\nx\r\n" } else { b"x" }).await.unwrap();
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        slow.write_all(if is_chunked { b"0\r\n\r\n" } else { b"" }).await.unwrap();
        let mut response = [0; 1024];
        let length = timeout(TIMEOUT, slow.read(&mut response)).await.unwrap().unwrap();
        let response = String::from_utf8_lossy(&response[..length]);
        assert!(response.starts_with("HTTP/1.1 200"), "{framing}: {response}");
    }
}

#[tokio::test]
async fn an_early_rejection_reaches_a_client_that_is_still_sending() {
    let signed = SignedIn::start(|site| site).await;
    let head = "POST /mcp/raw/upload HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding: chunked\r\n\r\n";
    let body = format!("300000\r\n{}\r\n0\r\n\r\n", "x".repeat(0x30_0000));
    let next = "GET /healthz HTTP/1.1\r\nHost: HOST\r\nConnection: close\r\n\r\n";
    let response = signed.world.send_raw(&[head, &body, next].concat()).await;
    assert_eq!(response.status, 401, "{}", response.text);
    assert!(response.text.contains("HTTP/1.1 200 OK"), "the connection stays open: {}", response.text);
}

#[tokio::test]
async fn a_tls_handshake_timeout_is_504_and_a_plaintext_server_502() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let plain = plaintext_server().await;
    let targets = [format!("https://{}", silent.local_addr().unwrap()), format!("https://{plain}")];
    let site = |site: SiteBuilder| {
        let site = site.route("/mcp/silent/", &targets[0], with_short_timeouts);
        site.route("/mcp/plain/", &targets[1], |route| route)
    };
    let signed = SignedIn::start(site).await;
    for (path, status) in [("/mcp/silent/mcp", 504), ("/mcp/plain/mcp", 502)] {
        let (_, tokens) = signed.world.sign_in(path, "alice").await;
        let request = http().get(signed.world.url(path)).bearer_auth(tokens.access_token);
        assert_eq!(request.send().await.unwrap().status(), status, "{path}");
    }
}

#[tokio::test]
async fn connect_trace_and_targets_without_a_path_are_rejected() {
    let signed = SignedIn::start(|site| site).await;
    for (line, status) in [
        ("CONNECT HOST HTTP/1.1", 405),
        ("CONNECT evil.example.com:443 HTTP/1.1", 405),
        ("TRACE /mcp/raw/echo HTTP/1.1", 405),
        ("OPTIONS * HTTP/1.1", 400),
        ("GET * HTTP/1.1", 400),
        ("GET HOST HTTP/1.1", 400),
        ("GET http://HOST/healthz HTTP/1.1", 200),
        ("GET http://HOST HTTP/1.1", 200),
    ] {
        let token = &signed.token;
        let rest = format!("Host: HOST\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\r\n");
        let response = signed.world.send_raw(&format!("{line}\r\n{rest}")).await;
        assert_eq!(response.status, status, "{line}: {}", response.text);
    }
    assert!(signed.world.backend.requests().is_empty());
}

#[tokio::test]
async fn http_2_streams_bodies_and_events_in_both_directions() {
    let signed = SignedIn::start(|site| site).await;
    let http2 = reqwest::Client::builder().http2_prior_knowledge().build().unwrap();
    let upload = http2.post(signed.world.url("/mcp/raw/upload")).bearer_auth(&signed.token);
    assert_eq!(upload.body(vec![b'x'; 1 << 20]).send().await.unwrap().status(), 200);
    assert_eq!(signed.world.backend.uploaded(), 1 << 20);
    let stream = http2.get(signed.world.url("/mcp/raw/sse/silent")).bearer_auth(&signed.token);
    let mut stream = timeout(TIMEOUT, stream.send()).await.unwrap().unwrap();
    signed.world.backend.release("hello").await;
    for frame in [": keep-alive\n\n", "data: hello\n\n"] {
        assert_eq!(timeout(TIMEOUT, stream.chunk()).await.unwrap().unwrap().unwrap(), frame);
    }
    drop(stream);
    assert!(signed.world.backend.wait_aborted(1).await);
}

#[tokio::test]
async fn an_idle_connection_does_not_delay_shutdown() {
    let mut signed = SignedIn::start(|site| site).await;
    let address = signed.world.base_url.trim_start_matches("http://").to_owned();
    let mut silent = TcpStream::connect(&address).await.unwrap();
    let mut partial = TcpStream::connect(&address).await.unwrap();
    partial.write_all(b"PR").await.unwrap();
    // Both were accepted when a later connection is served.
    assert_eq!(signed.get("/healthz").await.status(), 200);
    timeout(TIMEOUT, signed.world.stop_gateway()).await.unwrap();
    let below_idle_timeout = Duration::from_secs(5);
    for stream in [&mut silent, &mut partial] {
        let read = timeout(below_idle_timeout, stream.read(&mut [0; 1])).await.unwrap();
        assert!(matches!(read, Ok(0) | Err(_)), "{read:?}");
    }
}
