//! The same rules for HTTP/2, in which the head need not announce content.

use super::SMUGGLED;
use crate::proxy::{SignedIn, TIMEOUT};
use bytes::Bytes;
use http_body::Frame;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::time::timeout;

/// Content without a length: each chunk is a DATA frame of HTTP/2.
struct UnannouncedBody(Vec<&'static str>);

impl http_body::Body for UnannouncedBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.pop().map(|chunk| Ok(Frame::data(Bytes::from_static(chunk.as_bytes())))))
    }
}

#[tokio::test]
async fn http_2_content_in_a_method_that_defines_none_is_400() {
    let signed = SignedIn::start(|site| site).await;
    let http2 = reqwest::Client::builder().http2_prior_knowledge().build().unwrap();
    for method in ["GET", "DELETE", "OPTIONS", "QUERY"] {
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
        let request =
            |path: &str| http2.request(method.clone(), signed.world.url(path)).bearer_auth(&signed.token);
        let at_health = if method == reqwest::Method::GET { 400 } else { 405 };
        for (path, status) in [("/mcp/raw/echo", 400), ("/healthz", at_health)] {
            let announced = request(path).body(SMUGGLED).send().await.unwrap();
            assert_eq!(announced.status(), status, "{method} {path}");
            for chunks in [vec![SMUGGLED], vec![SMUGGLED, ""], vec!["", "x", ""]] {
                let body = reqwest::Body::wrap(UnannouncedBody(chunks));
                assert_eq!(
                    request(path).body(body).send().await.unwrap().status(),
                    status,
                    "{method} {path}"
                );
            }
        }
        assert!(signed.world.backend.requests().is_empty());
        for chunks in [vec![], vec![""]] {
            let body = reqwest::Body::wrap(UnannouncedBody(chunks));
            let empty = request("/mcp/raw/status/204").body(body).send().await.unwrap();
            assert_eq!(empty.status(), 204, "{method}: an empty frame is not content");
            let seen = signed.world.backend.last().unwrap();
            assert!(seen.body.is_empty() && !seen.headers.contains_key("transfer-encoding"), "{method}");
        }
        signed.world.backend.clear_requests();
    }
}

#[tokio::test]
async fn http_2_accepts_a_length_of_0_with_a_later_end_of_stream() {
    let signed = SignedIn::start(|site| site).await;
    let http2 = reqwest::Client::builder().http2_prior_knowledge().build().unwrap();
    for method in [reqwest::Method::POST, reqwest::Method::DELETE] {
        let request = http2.request(method, signed.world.url("/mcp/raw/echo")).bearer_auth(&signed.token);
        let request =
            request.header("content-length", "0").body(reqwest::Body::wrap(UnannouncedBody(vec![])));
        assert_eq!(timeout(TIMEOUT, request.send()).await.unwrap().unwrap().status(), 200);
        assert!(signed.world.backend.last().unwrap().body.is_empty());
    }
}
