use crate::proxy::{Body, CancelSignal, ClientBody, Forward, Proxy, ProxyConfig, UpstreamTls};
use gateway_routes::{Identity, Route, Target};
use http::{HeaderValue, Request, Response, StatusCode};
use http_body_util::BodyExt;
use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

const CUT_RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc";

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Log {
    fn capture(&self) -> tracing::subscriber::DefaultGuard {
        let log = self.clone();
        let builder = tracing_subscriber::fmt().with_ansi(false).without_time();
        tracing::subscriber::set_default(builder.with_writer(move || log.clone()).finish())
    }

    /// Asserts that there is one line, with this level, the request id, the route and the cause.
    fn assert_single(&self, level: &str, cause: &str) {
        let log = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        assert_eq!(log.lines().count(), 1, "{log}");
        for part in [level, cause, "request_id=\"id-1\"", "route=\"/mcp/dice/\""] {
            assert!(log.contains(part), "{part}: {log}");
        }
    }
}

async fn forward(port: u16) -> Response<Body> {
    let target = Target {
        tls: false,
        host: "127.0.0.1",
        port,
        authority: "127.0.0.1",
        path: "",
        trailing_slash: false,
    };
    let route = Box::leak(Box::new(Route {
        pattern: "/mcp/dice/",
        target,
        ca_file: None,
        name: "",
        description: "",
        scopes: &[],
        groups: &[],
        identity: Identity::None,
        max_body: 0,
        connect_timeout: Duration::from_secs(10),
        response_timeout: Duration::from_millis(100),
    }));
    let forward = Forward {
        route,
        rest: route.pattern.len(),
        head: Request::get("/mcp/dice/").body(()).unwrap().into_parts().0,
        request_id: HeaderValue::from_static("id-1"),
        forwarded_for: HeaderValue::from_static("192.0.2.1"),
        identity: None,
        cancel: CancelSignal::new().0,
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
async fn a_failed_connection_leaves_one_warning() {
    let (listener, port) = listen().await;
    drop(listener);
    let log = Log::default();
    let _guard = log.capture();
    assert_eq!(forward(port).await.status(), StatusCode::BAD_GATEWAY);
    log.assert_single("WARN", "upstream connection failed: ");
}

#[tokio::test]
async fn a_response_timeout_leaves_one_warning() {
    let (listener, port) = listen().await;
    let log = Log::default();
    let _guard = log.capture();
    let response = tokio::select! {
        response = forward(port) => response,
        () = serve(listener, b"", true) => unreachable!(),
    };
    assert_eq!(response.status(), StatusCode::GATEWAY_TIMEOUT);
    log.assert_single("WARN", "upstream response timed out");
}

#[tokio::test]
async fn an_upstream_401_leaves_one_warning() {
    let (listener, port) = listen().await;
    let log = Log::default();
    let _guard = log.capture();
    let unauthorized = b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n";
    let (response, ()) = tokio::join!(forward(port), serve(listener, unauthorized, false));
    assert_eq!(response.status(), StatusCode::BAD_GATEWAY);
    log.assert_single("WARN", "status 401");
}

#[tokio::test]
async fn a_truncated_response_leaves_one_warning() {
    let (listener, port) = listen().await;
    let log = Log::default();
    let _guard = log.capture();
    let (response, ()) = tokio::join!(forward(port), serve(listener, CUT_RESPONSE, false));
    assert!(response.into_body().collect().await.is_err());
    log.assert_single("WARN", "the server closed the connection within the response body");
}

#[tokio::test]
async fn a_client_that_disconnects_leaves_one_line_at_info() {
    let (listener, port) = listen().await;
    let log = Log::default();
    let _guard = log.capture();
    let response = tokio::select! {
        response = forward(port) => response,
        () = serve(listener, CUT_RESPONSE, true) => unreachable!(),
    };
    drop(response);
    log.assert_single("INFO", "the client connection ended");
}
