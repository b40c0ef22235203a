//! Invalid and incomplete responses of servers, and the client's view of them.

mod pauses;
mod pooling;

use super::servers::{Duplex, Listener, TRANSPORTS, Transport};
use super::{SignedIn, TIMEOUT};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

/// Server with one response for each request of a connection; after the last one it closes.
struct ScriptedServer {
    listener: Arc<Listener>,
    requests: Arc<AtomicUsize>,
}

impl ScriptedServer {
    async fn start(transport: Transport, responses: &[&str]) -> Self {
        let listener = Arc::new(Listener::bind(transport).await);
        let requests = Arc::new(AtomicUsize::new(0));
        let (count, accepting) = (Arc::clone(&requests), Arc::clone(&listener));
        let responses: Arc<[String]> = responses.iter().map(|response| (*response).to_owned()).collect();
        tokio::spawn(async move {
            loop {
                let stream = accepting.accept().await;
                tokio::spawn(serve_script(stream, Arc::clone(&responses), Arc::clone(&count)));
            }
        });
        Self { listener, requests }
    }

    async fn signed_in(&self) -> SignedIn {
        self.listener.signed_in().await
    }

    fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

async fn serve_script(mut stream: Box<dyn Duplex>, responses: Arc<[String]>, requests: Arc<AtomicUsize>) {
    for response in &*responses {
        let mut seen = Vec::new();
        while !seen.windows(4).any(|end| end == b"\r\n\r\n") {
            if stream.read_buf(&mut seen).await.unwrap_or_default() == 0 {
                return;
            }
        }
        requests.fetch_add(1, Ordering::SeqCst);
        // A client that disconnects early does not read the rest.
        if stream.write_all(response.as_bytes()).await.is_err() || stream.flush().await.is_err() {
            return;
        }
    }
    let _ = stream.shutdown().await;
}

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

#[tokio::test]
async fn ambiguous_response_framing_is_502() {
    for response in [
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX: 1\r\n folded\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.1 103 Early Hints\r\nContent-Length: 2\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
        "SSH-2.0-OpenSSH_9.2p1\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n",
    ] {
        for transport in TRANSPORTS {
            let signed = ScriptedServer::start(transport, &[response]).await.signed_in().await;
            let got = timeout(TIMEOUT, signed.get("/mcp/raw/echo")).await.unwrap();
            assert_eq!(got.status(), 502, "{transport:?} {response:?}");
            let error: serde_json::Value = got.json().await.unwrap();
            assert_eq!(error["jsonrpc"], "2.0", "{transport:?} {response:?}");
            let is_upgrade = response.contains("Upgrade:");
            let message = if is_upgrade { "cannot be forwarded" } else { "sent an invalid response" };
            assert!(error["error"]["message"].as_str().unwrap().contains(message), "{response:?}: {error}");
        }
    }
}

#[tokio::test]
async fn an_unsolicited_response_is_never_delivered() {
    let evil = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil";
    let long = "x".repeat(40_000);
    for (head, body) in [
        ("Content-Length: 2\r\n\r\nok", "ok"),
        ("Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nA: b\r\n\r\n", "ok"),
        // Larger than one read and than one TLS record.
        (&format!("Content-Length: 40000\r\n\r\n{long}"), &long),
    ] {
        for transport in TRANSPORTS {
            let both = format!("HTTP/1.1 200 OK\r\n{head}{evil}");
            let signed = ScriptedServer::start(transport, &[&*both; 12]).await.signed_in().await;
            for round in 0..12 {
                let response = timeout(TIMEOUT, signed.get("/mcp/raw/echo")).await.unwrap();
                assert!(response.text().await.unwrap() == body, "{transport:?} {head:.40?}: round {round}");
            }
        }
    }
}

#[tokio::test]
async fn a_body_after_a_bodiless_response_is_never_delivered() {
    let late = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil";
    for transport in TRANSPORTS {
        for head in ["HTTP/1.1 204 No Content", "HTTP/1.1 304 Not Modified"] {
            let listener = Listener::bind(transport).await;
            let signed = listener.signed_in().await;
            let bodiless = format!("{head}\r\nContent-Length: {}\r\n\r\n", late.len());
            tokio::spawn(async move {
                let mut stream = listener.accept().await;
                respond_once(&mut stream, &bodiless).await;
                // The announced body is sent when the next request arrives on this connection.
                tokio::spawn(async move { respond_once(&mut stream, late).await });
                respond_once(&mut listener.accept().await, OK).await;
            });
            timeout(TIMEOUT, signed.get("/mcp/raw/echo")).await.unwrap();
            let response = timeout(TIMEOUT, signed.get("/mcp/raw/echo")).await.unwrap();
            assert_eq!(response.text().await.unwrap(), "ok", "{transport:?} {head}");
        }
    }
}

/// Reads the head of a request and sends this response.
async fn respond_once(stream: &mut Box<dyn Duplex>, response: &str) {
    if stream.read(&mut [0; 4096]).await.unwrap_or_default() > 0 {
        stream.write_all(response.as_bytes()).await.unwrap();
        stream.flush().await.unwrap();
    }
}

#[tokio::test]
async fn bytes_on_an_idle_connection_are_never_delivered() {
    for transport in TRANSPORTS {
        let listener = Listener::bind(transport).await;
        let signed = listener.signed_in().await;
        let accept_and_respond = async || {
            let mut stream = timeout(TIMEOUT, listener.accept()).await.unwrap();
            respond_once(&mut stream, OK).await;
            stream
        };
        let (mut stream, response) = tokio::join!(accept_and_respond(), signed.get("/mcp/raw/echo"));
        assert_eq!(response.text().await.unwrap(), "ok");
        stream.write_all(OK.replace("ok", "no").as_bytes()).await.unwrap();
        stream.flush().await.unwrap();
        let (_other, response) = tokio::join!(accept_and_respond(), signed.get("/mcp/raw/echo"));
        assert_eq!(response.text().await.unwrap(), "ok", "{transport:?}");
    }
}

#[tokio::test]
async fn a_close_delimited_body_is_complete_and_a_truncated_body_is_an_error() {
    for (response, body) in [
        ("HTTP/1.1 200 OK\r\n\r\nall of it", Some("all of it")),
        ("HTTP/1.0 200 OK\r\n\r\nall of it", Some("all of it")),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nall\r\n0\r\n\r\n", Some("all")),
        ("HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\nnot all", None),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nall\r\n", None),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nall\r\nzz\r\n0\r\n\r\n", None),
    ] {
        for transport in TRANSPORTS {
            let signed = ScriptedServer::start(transport, &[response]).await.signed_in().await;
            // The head of a truncated response may not have been sent, or is not forwarded.
            let seen = match timeout(TIMEOUT, signed.request("/mcp/raw/echo").send()).await.unwrap() {
                Ok(response) if response.status() == 200 => response.text().await.ok(),
                _ => None,
            };
            assert_eq!(seen.as_deref(), body, "{transport:?} {response:?}");
        }
    }
}

#[tokio::test]
async fn interim_responses_are_skipped_and_heads_are_bounded() {
    let early = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n";
    let hinted = format!("HTTP/1.1 100 Continue\r\n\r\n{early}{OK}");
    for transport in TRANSPORTS {
        let signed = ScriptedServer::start(transport, &[&hinted]).await.signed_in().await;
        let response = timeout(TIMEOUT, signed.get("/mcp/raw/echo")).await.unwrap();
        assert_eq!(response.text().await.unwrap(), "ok");
        for endless in [early.repeat(5000), format!("HTTP/1.1 200 OK\r\nX: {}", "x".repeat(200_000))] {
            let signed = ScriptedServer::start(transport, &[&endless]).await.signed_in().await;
            let response = timeout(TIMEOUT, signed.get("/mcp/raw/echo")).await.unwrap();
            assert_eq!(response.status(), 502);
        }
    }
}

#[tokio::test]
async fn a_connection_closed_by_the_server_is_replaced() {
    for transport in TRANSPORTS {
        let script = ScriptedServer::start(transport, &[OK]).await;
        let signed = script.signed_in().await;
        for number in 1..4 {
            let call = signed.post("/mcp/raw/upload").body("x").send();
            let response = timeout(TIMEOUT, call).await.unwrap().unwrap();
            assert_eq!(response.text().await.unwrap(), "ok", "{transport:?}");
            assert_eq!(script.requests(), number);
        }
    }
}

#[tokio::test]
async fn only_repeatable_requests_are_retried_after_a_closed_connection() {
    for transport in TRANSPORTS {
        let script = ScriptedServer::start(transport, &[OK, ""]).await;
        let signed = script.signed_in().await;
        for (number, requests) in [(1, 1), (2, 3)] {
            let response = timeout(TIMEOUT, signed.get("/mcp/raw/echo")).await.unwrap();
            assert_eq!(response.status(), 200, "request {number}");
            assert_eq!(script.requests(), requests, "request {number}: the second one was retried");
        }
        let call = signed.post("/mcp/raw/upload").body("x").send();
        assert_eq!(timeout(TIMEOUT, call).await.unwrap().unwrap().status(), 502);
        assert_eq!(script.requests(), 4, "a call was retried");
    }
}
