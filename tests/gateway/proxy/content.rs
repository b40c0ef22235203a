//! Request content: in methods that define none, and in requests with an early response. A server that ignores
//! content parses it as the next request and sends its response to another client.

mod http_2;

use super::{SignedIn, TIMEOUT, to};
use crate::harness::http;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

const SMUGGLED: &str = "GET /smuggled HTTP/1.1\r\nHost: x\r\nX-Forwarded-User: root\r\n\r\n";
/// Methods without defined content, and unknown methods.
const WITHOUT_CONTENT: [&str; 8] = ["GET", "HEAD", "DELETE", "OPTIONS", "QUERY", "PROPFIND", "get", "post"];

/// Server that ignores content: it parses the bytes after a head as the next request. Each response contains the
/// requested name.
struct ContentIgnoringServer {
    address: String,
    connections: Arc<AtomicUsize>,
}

impl ContentIgnoringServer {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let connections = Arc::new(AtomicUsize::new(0));
        let accepted = Arc::clone(&connections);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                accepted.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(serve_ignoring_content(stream));
            }
        });
        Self { address, connections }
    }

    async fn signed_in(&self) -> SignedIn {
        SignedIn::start(to(&self.address)).await
    }

    fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

/// Status and name in a path such as `/413/name`; other paths are their own name.
fn status_and_name(head: &str) -> (String, String) {
    let path = head.split(' ').nth(1).unwrap_or_default().trim_start_matches('/');
    let (status, name) = path.split_once('/').unwrap_or(("200", path));
    (status.to_owned(), name.to_owned())
}

/// For requests named `early`, the end of the response is sent after more than the head has arrived.
async fn serve_ignoring_content(mut stream: TcpStream) {
    let mut seen = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&seen).into_owned();
        let Some((head, rest)) = text.split_once("\r\n\r\n") else {
            if stream.read_buf(&mut seen).await.unwrap_or_default() == 0 {
                return;
            }
            continue;
        };
        let (status, name) = status_and_name(head);
        seen = rest.as_bytes().to_vec();
        let response = format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\n\r\n<{name}", name.len() + 2);
        stream.write_all(response.as_bytes()).await.unwrap();
        if name == "early" && seen.is_empty() {
            let _ = stream.read_buf(&mut seen).await;
        }
        let _ = stream.write_all(b">").await;
    }
}

fn head(signed: &SignedIn, line: &str, fields: &str) -> String {
    let token = &signed.token;
    format!("{line} HTTP/1.1\r\nHost: HOST\r\nAuthorization: Bearer {token}\r\n{fields}\r\n\r\n")
}

#[tokio::test]
async fn content_in_a_method_that_defines_none_is_400_and_not_forwarded() {
    let signed = SignedIn::start(|site| site).await;
    let length = format!("Content-Length: {}", SMUGGLED.len());
    let chunks = format!("{:x}\r\n{SMUGGLED}\r\n0\r\n\r\n", SMUGGLED.len());
    for method in WITHOUT_CONTENT {
        for (framing, content) in [
            (&*length, SMUGGLED),
            ("Content-Length: 1", "x"),
            ("Transfer-Encoding: chunked", &*chunks),
            ("Transfer-Encoding: chunked", "0\r\n\r\n"),
            (&*format!("Expect: 100-continue\r\n{length}"), SMUGGLED),
            ("Expect: 100-continue\r\nTransfer-Encoding: chunked", &*chunks),
        ] {
            let fields = format!("{framing}\r\nConnection: close");
            let request = head(&signed, &format!("{method} /mcp/raw/echo"), &fields) + content;
            let response = signed.world.send_raw(&request).await;
            assert_eq!(response.status, 400, "{method} {framing}: {}", response.text);
            let is_json_rpc =
                response.text.contains("\"jsonrpc\":\"2.0\"") && response.text.contains("without a body");
            assert!(is_json_rpc || method == "HEAD", "{method} {framing}: {}", response.text);
        }
    }
    assert!(signed.world.backend.requests().is_empty());
}

#[tokio::test]
async fn a_content_length_of_0_is_not_forwarded() {
    let signed = SignedIn::start(|site| site).await;
    for method in WITHOUT_CONTENT.into_iter().filter(|method| *method != "OPTIONS") {
        let fields = "Content-Type: application/json\r\nContent-Length: 0\r\nConnection: close";
        let response =
            signed.world.send_raw(&head(&signed, &format!("{method} /mcp/raw/echo"), fields)).await;
        assert_ne!(response.status, 400, "{method}: {}", response.text);
        let seen = signed.world.backend.last().unwrap();
        assert_eq!(seen.method, method);
        for name in ["content-length", "transfer-encoding"] {
            assert!(!seen.headers.contains_key(name), "{method}: {name}");
        }
        assert!(seen.body.is_empty(), "{method}");
    }
}

#[tokio::test]
async fn content_is_forwarded_for_methods_that_define_it() {
    let signed = SignedIn::start(|site| site).await;
    for method in ["POST", "PUT", "PATCH"] {
        for (fields, content) in
            [("Content-Length: 2", "ok"), ("Transfer-Encoding: chunked", "2\r\nok\r\n0\r\n\r\n")]
        {
            let fields = format!("{fields}\r\nConnection: close");
            let request = head(&signed, &format!("{method} /mcp/raw/echo"), &fields) + content;
            assert_eq!(signed.world.send_raw(&request).await.status, 200, "{method} {fields}");
            let seen = signed.world.backend.last().unwrap();
            assert_eq!((&*seen.method, &*seen.text()), (method, "ok"), "{fields}");
        }
    }
}

#[tokio::test]
async fn rejected_content_is_not_parsed_as_a_request() {
    let signed = SignedIn::start(|site| site).await;
    for (path, status) in [
        ("/mcp/raw/echo", 400),
        ("/healthz", 400),
        ("/auth/authorize?client_id=x", 400),
        ("/auth/callback?state=x&code=y", 400),
        ("/.well-known/jwks.json", 400),
        ("/", 400),
        ("/auth/token", 405),
        ("/nothing", 404),
    ] {
        for expect in ["", "Expect: 100-continue\r\n"] {
            let content = "GET /mcp/raw/smuggled HTTP/1.1\r\nHost: HOST\r\n\r\n";
            let host = signed.world.base_url.trim_start_matches("http://");
            let content = content.replace("HOST", host);
            let first =
                head(&signed, &format!("GET {path}"), &format!("{expect}Content-Length: {}", content.len()));
            let next = "GET /readyz HTTP/1.1\r\nHost: HOST\r\nConnection: close\r\n\r\n";
            let response = signed.world.send_raw(&[&*first, &content, next].concat()).await;
            assert_eq!(response.status, status, "{path}: {}", response.text);
            // A connection may be closed if its client got no "100 Continue".
            let others: Vec<_> = response.text.match_indices("HTTP/1.1 ").skip(1).collect();
            assert!(others.len() <= 1, "{path}: {}", response.text);
            let is_reused = response.text.contains("HTTP/1.1 200 OK");
            assert!(is_reused == (others.len() == 1), "{path}: {}", response.text);
            assert!(is_reused || !expect.is_empty(), "{path}: {}", response.text);
        }
    }
    assert!(signed.world.backend.requests().is_empty());
}

#[tokio::test]
async fn the_next_user_gets_no_response_to_a_smuggled_request() {
    let server = ContentIgnoringServer::start().await;
    let signed = server.signed_in().await;
    assert_eq!(signed.get("/mcp/raw/first").await.text().await.unwrap(), "<first>");
    for method in WITHOUT_CONTENT {
        let fields = format!("Content-Length: {}\r\nConnection: close", SMUGGLED.len());
        let attack = head(&signed, &format!("{method} /mcp/raw/attack"), &fields) + SMUGGLED;
        assert_eq!(signed.world.send_raw(&attack).await.status, 400, "{method}");
        for _ in 0..3 {
            let response = timeout(TIMEOUT, signed.get("/mcp/raw/victim")).await.unwrap();
            assert_eq!(response.text().await.unwrap(), "<victim>", "{method}");
        }
    }
}

/// Reads until the data ends with `end`.
async fn read_until(stream: &mut TcpStream, end: &str) -> String {
    let mut seen = Vec::new();
    while !seen.ends_with(end.as_bytes()) {
        let length = timeout(TIMEOUT, stream.read_buf(&mut seen)).await.unwrap().unwrap();
        assert_ne!(length, 0, "{}", String::from_utf8_lossy(&seen));
    }
    String::from_utf8(seen).unwrap()
}

#[tokio::test]
async fn a_connection_is_not_reused_after_a_response_before_the_end_of_the_request() {
    let chunks = format!("{:x}\r\n{SMUGGLED}\r\n0\r\n\r\n", SMUGGLED.len());
    let length = format!("Content-Length: {}", SMUGGLED.len());
    for status in ["200", "404", "413", "417", "500"] {
        for (framing, content) in [(&*length, SMUGGLED), ("Transfer-Encoding: chunked", &*chunks)] {
            let server = ContentIgnoringServer::start().await;
            let signed = server.signed_in().await;
            let address = signed.world.base_url.trim_start_matches("http://");
            let mut client = TcpStream::connect(address).await.unwrap();
            let head = head(&signed, &format!("POST /mcp/raw/{status}/early"), framing);
            client.write_all(head.replace("HOST", address).as_bytes()).await.unwrap();
            let partial = read_until(&mut client, "<early").await;
            assert!(partial.starts_with(&format!("HTTP/1.1 {status}")), "{partial}");
            client.write_all(content.as_bytes()).await.unwrap();
            read_until(&mut client, ">").await;
            for _ in 0..3 {
                let response = timeout(TIMEOUT, signed.get("/mcp/raw/victim")).await.unwrap();
                assert_eq!(response.text().await.unwrap(), "<victim>", "{status} {framing}");
            }
            assert_eq!(server.connections(), 2, "{status} {framing}");
        }
    }
}

/// Server that reads complete requests of a few bytes, sends "100 Continue", and counts its connections.
async fn continue_server() -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let connections = Arc::new(AtomicUsize::new(0));
    let accepted = Arc::clone(&connections);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            accepted.fetch_add(1, Ordering::SeqCst);
            tokio::spawn(async move {
                loop {
                    let mut seen = Vec::new();
                    while !seen.windows(4).any(|end| end == b"\r\n\r\n") {
                        stream.read_buf(&mut seen).await.unwrap();
                    }
                    stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await.unwrap();
                    if !seen.ends_with(b"end") {
                        read_until(&mut stream, "end").await;
                    }
                    stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await.unwrap();
                }
            });
        }
    });
    (address, connections)
}

#[tokio::test]
async fn a_connection_is_reused_after_a_complete_request() {
    let (address, connections) = continue_server().await;
    let signed = SignedIn::start(to(&address)).await;
    let gateway = signed.world.base_url.trim_start_matches("http://");
    let mut client = TcpStream::connect(gateway).await.unwrap();
    for _ in 0..3 {
        let head = head(&signed, "POST /mcp/raw/echo", "Content-Length: 9");
        client.write_all(head.replace("HOST", gateway).as_bytes()).await.unwrap();
        for chunk in ["the", "   ", "end"] {
            client.write_all(chunk.as_bytes()).await.unwrap();
            tokio::task::yield_now().await;
        }
        assert!(read_until(&mut client, "ok").await.starts_with("HTTP/1.1 200"));
    }
    assert_eq!(connections.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_content_rejection_has_cors_headers() {
    let signed = SignedIn::start(|site| site).await;
    for (origin, status, is_allowed) in
        [("https://app.example.com", 400, true), ("https://evil.example.com", 403, false)]
    {
        let request = http().delete(signed.world.url("/mcp/raw/echo")).bearer_auth(&signed.token);
        let refused = request.header("origin", origin).body("{}").send().await.unwrap();
        assert_eq!(refused.status(), status, "{origin}");
        assert_eq!(refused.headers().contains_key("access-control-allow-origin"), is_allowed, "{origin}");
    }
}
