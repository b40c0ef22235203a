use super::ProxyError;
use crate::base::error_chain::ErrorChain;
use crate::proxy::test_route::TEST_ROUTE;
use crate::proxy::{
    Body, BodyError, CancelReason, CancelSignal, ClientBody, Forward, Proxy, ProxyConfig, UpstreamTls,
};
use gateway_routes::{Route, Target};
use http::{HeaderValue, Request, Response, StatusCode};
use http_body_util::BodyExt;
use std::collections::BTreeMap;
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

const CUT_RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc";

/// Asserts that an error with its causes has this text.
fn assert_text(error: &(dyn Error + 'static), text: &str) {
    let chain = ErrorChain(error).to_string();
    assert!(chain.contains(text), "{chain}");
}

async fn forward(port: u16) -> Result<Response<Body>, ProxyError> {
    forward_to(port, false, CancelSignal::new().0).await
}

async fn forward_to(port: u16, tls: bool, cancel: CancelSignal) -> Result<Response<Body>, ProxyError> {
    let target =
        Target { tls, host: "127.0.0.1", port, authority: "127.0.0.1", path: "", trailing_slash: false };
    let route = Box::leak(Box::new(Route {
        target,
        connect_timeout: Duration::from_secs(10),
        response_timeout: Duration::from_millis(100),
        ..TEST_ROUTE
    }));
    let forward = Forward {
        route,
        rest: route.pattern.len(),
        head: Request::get("/mcp/dice/").body(()).unwrap().into_parts().0,
        forwarded_for: HeaderValue::from_static("192.0.2.1"),
        identity: None,
        cancel,
    };
    let _ = rustls::crypto::ring::default_provider().install_default();
    let config = ProxyConfig::new(UpstreamTls::new(&BTreeMap::new()));
    Proxy::new(config, Arc::from("http://localhost")).forward(Box::new(forward), ClientBody::empty()).await
}

/// Serves one connection: reads the request and writes these bytes; keeps the connection open if `waits`.
async fn serve(listener: TcpListener, response: &[u8], waits: bool) {
    let mut socket = listener.accept().await.unwrap().0;
    let _ = socket.read(&mut [0; 1024]).await.unwrap();
    socket.write_all(response).await.unwrap();
    if waits {
        std::future::pending::<()>().await;
    }
}

async fn listen() -> (TcpListener, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

#[tokio::test]
async fn a_failed_connection_is_an_error_with_its_cause() {
    let (listener, port) = listen().await;
    drop(listener);
    let error = forward(port).await.map(drop).unwrap_err();
    assert_eq!((error.status(), error.is_refusal()), (StatusCode::BAD_GATEWAY, false));
    assert_text(
        &error,
        "upstream connection failed: caused by no TCP connection: caused by Connection refused",
    );
    assert!(!error.message().contains("refused"), "no internals");
}

#[tokio::test]
async fn a_failed_tls_handshake_is_not_called_unreachable() {
    let (listener, port) = listen().await;
    let plain_text = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n";
    let forwarded = forward_to(port, true, CancelSignal::new().0);
    let (response, ()) = tokio::join!(forwarded, serve(listener, plain_text, false));
    let error = response.map(drop).unwrap_err();
    assert_eq!(error.status(), StatusCode::BAD_GATEWAY);
    assert_text(&error, "the TLS handshake failed");
    assert_eq!(error.message(), "no TLS connection to the MCP server can be made");
}

#[tokio::test]
async fn a_request_cancelled_while_connecting_is_not_sent() {
    let (listener, port) = listen().await;
    let (signal, handle) = CancelSignal::new();
    let server = async {
        let mut socket = listener.accept().await.unwrap().0;
        let mut hello = [0; 4096];
        assert_ne!(socket.read(&mut hello).await.unwrap(), 0);
        handle.cancel(CancelReason::GrantEnded);
        let rest = socket.read(&mut hello).await;
        assert!(matches!(rest, Ok(0) | Err(_)), "{rest:?}");
    };
    let (response, ()) = tokio::join!(forward_to(port, true, signal), server);
    let error = response.map(drop).unwrap_err();
    assert_eq!(error.status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_response_timeout_is_a_504() {
    let (listener, port) = listen().await;
    let response = tokio::select! {
        response = forward(port) => response,
        () = serve(listener, b"", true) => unreachable!(),
    };
    let error = response.map(drop).unwrap_err();
    assert_eq!(error.status(), StatusCode::GATEWAY_TIMEOUT);
    assert_text(&error, "upstream response timed out");
}

#[tokio::test]
async fn an_upstream_401_is_an_error_that_names_it() {
    let (listener, port) = listen().await;
    let unauthorized = b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n";
    let (response, ()) = tokio::join!(forward(port), serve(listener, unauthorized, false));
    let error = response.map(drop).unwrap_err();
    assert_eq!(error.status(), StatusCode::BAD_GATEWAY);
    assert_text(&error, "status 401");
}

#[tokio::test]
async fn a_response_that_is_no_http_names_the_violation() {
    let (listener, port) = listen().await;
    let (response, ()) = tokio::join!(forward(port), serve(listener, b"SSH-2.0-OpenSSH_9.2\r\n\r\n", false));
    let error = response.map(drop).unwrap_err();
    assert_text(&error, "upstream connection broke: caused by the response is not an HTTP/1 message");
    assert_eq!(error.message(), "the MCP server sent an invalid response");
}

#[tokio::test]
async fn a_truncated_response_ends_with_its_cause() {
    let (listener, port) = listen().await;
    let (response, ()) = tokio::join!(forward(port), serve(listener, CUT_RESPONSE, false));
    let error = response.unwrap().into_body().collect().await.map(drop).unwrap_err();
    assert_text(&error, "the server closed the connection within the response body");
}

#[test]
fn a_cancelled_request_has_the_status_of_its_reason() {
    for (reason, status, is_refusal) in [
        (CancelReason::GrantEnded, StatusCode::UNAUTHORIZED, true),
        (CancelReason::NotAuthorized, StatusCode::FORBIDDEN, true),
        (CancelReason::Unchecked, StatusCode::SERVICE_UNAVAILABLE, false),
    ] {
        assert_eq!(BodyError::Cancelled(reason).is_refusal(), is_refusal, "{reason}");
        let error = ProxyError::Cancelled { reason, path: "/mcp/dice/mcp".into() };
        assert_eq!((error.status(), error.is_refusal()), (status, is_refusal), "{reason}");
        assert!(!error.message().contains("reached"), "{reason}");
    }
}
