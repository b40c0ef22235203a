//! What servers say that is no answer, or not all of one, and what a client then gets.

use super::{SOON, Signed, to};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

/// A server with an answer for the first request of each connection, one for the second, and so on; where there is
/// none, it closes.
struct Script {
    address: String,
    requests: Arc<AtomicUsize>,
}

impl Script {
    async fn start(answers: &'static [&'static str]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let requests = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&requests);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(play(stream, answers, Arc::clone(&count)));
            }
        });
        Self { address, requests }
    }

    async fn signed_in(&self) -> Signed {
        Signed::in_to(to(&self.address)).await
    }

    fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

async fn play(mut stream: TcpStream, answers: &'static [&'static str], requests: Arc<AtomicUsize>) {
    for answer in answers {
        let mut seen = Vec::new();
        while !seen.windows(4).any(|end| end == b"\r\n\r\n") {
            if stream.read_buf(&mut seen).await.unwrap_or_default() == 0 {
                return;
            }
        }
        requests.fetch_add(1, Ordering::SeqCst);
        stream.write_all(answer.as_bytes()).await.unwrap();
    }
    let _ = stream.shutdown().await;
}

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

#[tokio::test]
async fn what_two_readers_could_take_for_two_answers_is_a_502() {
    for answers in [
        &["HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"],
        &["HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok"],
        &["HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"],
        &["HTTP/1.1 200 OK\r\nX: 1\r\n folded\r\nContent-Length: 2\r\n\r\nok"],
        &["SSH-2.0-OpenSSH_9.2p1\r\n"],
        &["HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n"],
    ] {
        let signed = Script::start(answers).await.signed_in().await;
        let answer = timeout(SOON, signed.get("/mcp/raw/echo")).await.unwrap();
        assert_eq!(answer.status(), 502, "{answers:?}");
        let error: serde_json::Value = answer.json().await.unwrap();
        assert_eq!(error["jsonrpc"], "2.0", "{answers:?}");
    }
}

#[tokio::test]
async fn what_a_server_says_unasked_answers_nobody() {
    let both =
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil";
    let signed = Script::start([both, both].as_slice().to_vec().leak()).await.signed_in().await;
    for _ in 0..3 {
        let answer = timeout(SOON, signed.get("/mcp/raw/echo")).await.unwrap();
        assert_eq!(answer.text().await.unwrap(), "ok");
    }
}

#[tokio::test]
async fn what_a_server_says_on_an_idle_connection_answers_nobody() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let signed = Signed::in_to(to(&address)).await;
    let answer_once = || async {
        let (mut stream, _) = timeout(SOON, listener.accept()).await.unwrap().unwrap();
        assert_ne!(stream.read(&mut [0; 4096]).await.unwrap(), 0);
        stream.write_all(OK.as_bytes()).await.unwrap();
        stream
    };
    let (mut stream, answer) = tokio::join!(answer_once(), signed.get("/mcp/raw/echo"));
    assert_eq!(answer.text().await.unwrap(), "ok");
    stream.write_all(OK.replace("ok", "no").as_bytes()).await.unwrap();
    // The gateway hears of both: by the time that it answers this, it has been told of that.
    assert_eq!(signed.get("/healthz").await.status(), 200);
    let (_other, answer) = tokio::join!(answer_once(), signed.get("/mcp/raw/echo"));
    assert_eq!(answer.text().await.unwrap(), "ok");
}

#[tokio::test]
async fn a_body_that_ends_with_its_connection_arrives_and_one_that_is_cut_off_does_not_look_whole() {
    for (answers, body) in [
        (&["HTTP/1.1 200 OK\r\n\r\nall of it"], Some("all of it")),
        (&["HTTP/1.0 200 OK\r\n\r\nall of it"], Some("all of it")),
        (&["HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nall\r\n0\r\n\r\n"], Some("all")),
        (&["HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\nnot all"], None),
        (&["HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nall\r\n"], None),
        (&["HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nall\r\nzz\r\n0\r\n\r\n"], None),
    ] {
        let signed = Script::start(answers).await.signed_in().await;
        // The head of what is cut off may not have left by then, or is not passed on at all.
        let seen = match timeout(SOON, signed.request("/mcp/raw/echo").send()).await.unwrap() {
            Ok(answer) if answer.status() == 200 => answer.text().await.ok(),
            _ => None,
        };
        assert_eq!(seen.as_deref(), body, "{answers:?}");
    }
}

#[tokio::test]
async fn interim_answers_are_passed_over_and_a_head_has_an_end() {
    let early = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n";
    let hinted = format!("HTTP/1.1 100 Continue\r\n\r\n{early}{OK}").leak();
    let signed = Script::start(vec![&*hinted].leak()).await.signed_in().await;
    let answer = timeout(SOON, signed.get("/mcp/raw/echo")).await.unwrap();
    assert_eq!(answer.text().await.unwrap(), "ok");
    for endless in [early.repeat(5000), format!("HTTP/1.1 200 OK\r\nX: {}", "x".repeat(200_000))] {
        let signed = Script::start(vec![&*endless.leak()].leak()).await.signed_in().await;
        let answer = timeout(SOON, signed.get("/mcp/raw/echo")).await.unwrap();
        assert_eq!(answer.status(), 502);
    }
}

#[tokio::test]
async fn a_connection_that_its_server_has_closed_is_replaced_unseen() {
    let script = Script::start(&[OK]).await;
    let signed = script.signed_in().await;
    for number in 1..4 {
        let answer = timeout(SOON, signed.post("/mcp/raw/upload").body("x").send()).await.unwrap().unwrap();
        assert_eq!(answer.text().await.unwrap(), "ok");
        assert_eq!(script.requests(), number);
    }
}

#[tokio::test]
async fn a_server_that_closes_instead_of_answering_is_asked_again_only_what_may_be_asked_twice() {
    let script = Script::start(&[OK, ""]).await;
    let signed = script.signed_in().await;
    for (number, asked) in [(1, 1), (2, 3)] {
        let answer = timeout(SOON, signed.get("/mcp/raw/echo")).await.unwrap();
        assert_eq!(answer.status(), 200, "request {number}");
        assert_eq!(script.requests(), asked, "request {number}: the second one was made twice");
    }
    let call = signed.post("/mcp/raw/upload").body("x").send();
    assert_eq!(timeout(SOON, call).await.unwrap().unwrap().status(), 502);
    assert_eq!(script.requests(), 4, "a call was made twice");
}
