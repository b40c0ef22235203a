//! Two requests through the gateway's client and connection pool; a hostile server responds to the first.

use super::server::{Barrier, Connection, TestCertificate};
use super::{Received, error_response};
use bytes::Bytes;
use gateway::proxy::{BodyError, CancelSignal, ClientBody, Forward, Proxy, ProxyConfig, UpstreamTls};
use gateway_routes::{Identity, Route, Target};
use http::header::CONTENT_LENGTH;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Collected};
use rustls::ServerConfig;
use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::net::{Ipv4Addr, TcpListener};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;
use tokio::task::yield_now;

/// Time at which the server sends its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Schedule {
    /// Immediately after the connection is established.
    Early,
    /// After the first request.
    AtOnce,
    /// After the first request, which is a HEAD.
    ToHead,
    /// The response after the first request, and the bytes after it immediately before the second request.
    Late,
    /// The same, but the last byte only after the second request.
    Split,
    /// After a large valid response.
    AfterLarge,
}

impl Schedule {
    pub(super) const ALL: [Self; 6] =
        [Self::Early, Self::AtOnce, Self::ToHead, Self::Late, Self::Split, Self::AfterLarge];
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Transport {
    Plain,
    Tls,
}

/// Result of two requests.
pub(super) struct Outcome {
    /// `true` if the second request used the connection of the first.
    pub(super) is_reused: bool,
}

/// Exact response to the second request.
const SECOND: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\nX-Second: 2\r\n\r\nsecond";
/// Larger than the TLS buffer and than one read.
const LARGE: usize = 40_000;
/// Number of polls after which everything that arrived has been read.
const MAX_POLLS: usize = 10;
const CALL_TIMEOUT: Duration = Duration::from_secs(20);
const CA_FILE: &str = "/nowhere/ca.pem";

thread_local! {
    static WORLD: World = World::new();
}

/// Shared state of all runs of a thread.
struct World {
    runtime: Runtime,
    listener: TcpListener,
    barrier: Barrier,
    certificate: TestCertificate,
    tls: UpstreamTls,
    routes: [&'static Route; 2],
}

/// Makes both requests; panics if the second one receives bytes that were sent before it.
pub(super) fn run(input: &[u8], schedule: Schedule, transport: Transport) -> Outcome {
    WORLD.with(|world| world.runtime.block_on(Exchange::new(world, schedule, transport).run(input)))
}

impl World {
    fn new() -> Self {
        let certificate = TestCertificate::new();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        listener.set_nonblocking(true).unwrap();
        let port = listener.local_addr().unwrap().port();
        let tls = UpstreamTls::new(&BTreeMap::from([(CA_FILE, certificate.roots.clone())]));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (barrier, routes) = (Barrier::new(), [route(port, None), route(port, Some(CA_FILE))]);
        Self { runtime, listener, barrier, certificate, tls, routes }
    }
}

fn route(port: u16, ca_file: Option<&'static str>) -> &'static Route {
    Box::leak(Box::new(Route {
        pattern: "/mcp/raw/",
        target: Target {
            tls: ca_file.is_some(),
            host: "127.0.0.1",
            port,
            authority: format!("127.0.0.1:{port}").leak(),
            path: "",
            trailing_slash: false,
        },
        ca_file,
        name: "raw",
        description: "",
        scopes: &["mcp:raw"],
        groups: &[],
        identity: Identity::None,
        upstream_headers: &[],
        max_body: 0,
        connect_timeout: CALL_TIMEOUT,
        response_timeout: CALL_TIMEOUT,
        response_idle_timeout: CALL_TIMEOUT,
    }))
}

type FullResponse = Response<Result<Bytes, BodyError>>;

/// Pending request.
struct Call<'a>(Option<Pin<Box<dyn Future<Output = FullResponse> + 'a>>>);

struct Exchange<'a> {
    world: &'a World,
    proxy: Proxy,
    schedule: Schedule,
    transport: Transport,
}

impl<'a> Exchange<'a> {
    fn new(world: &'a World, schedule: Schedule, transport: Transport) -> Self {
        let proxy = Proxy::new(ProxyConfig::new(world.tls.clone()), "http://gateway.example.com".into());
        Self { world, proxy, schedule, transport }
    }

    async fn run(&self, input: &[u8]) -> Outcome {
        let method = if self.schedule == Schedule::ToHead { Method::HEAD } else { Method::GET };
        let sent_bytes =
            if self.schedule == Schedule::AfterLarge { after_large(input) } else { input.to_vec() };
        let received = Received::to(&method, &sent_bytes, sent_bytes.len().max(1)).ok().flatten();
        let received = received.filter(|received| received.is_at_end).map(|received| received.length);
        let mut server = match self.schedule {
            Schedule::Early => self.early(&sent_bytes).await,
            _ => self.first(method, &sent_bytes, received.unwrap_or(sent_bytes.len() / 2)).await,
        };
        // The runtime is not polled in between: it does not know yet that bytes have arrived.
        self.world.barrier.wait();
        let sent = server.sent;
        let is_reused = self.second(&mut server).await;
        assert!(!is_reused || received == Some(sent), "a connection with unread bytes was reused");
        Outcome { is_reused }
    }

    /// Makes the first request to a server that sends these bytes before it.
    async fn early(&self, sent_bytes: &[u8]) -> Connection {
        let mut call = self.call(Method::GET);
        let mut response = call.poll().await;
        let mut server = self.accepted(sent_bytes);
        self.world.barrier.wait();
        let deadline = Instant::now() + CALL_TIMEOUT;
        while response.is_none() && !sent_bytes.is_empty() {
            assert!(Instant::now() < deadline, "no response");
            server.pump();
            response = call.advance().await;
        }
        let is_refused = response.is_none_or(|response| response.status() == StatusCode::BAD_GATEWAY);
        assert!(is_refused, "a response before the request was accepted");
        server
    }

    /// Makes the first request and sends all or a part of the response.
    async fn first(&self, method: Method, sent_bytes: &[u8], length: usize) -> Connection {
        let mut call = self.call(method);
        let mut response = call.poll().await;
        let mut server = self.accepted(b"");
        let deadline = Instant::now() + CALL_TIMEOUT;
        while server.requests() == 0 {
            assert!(response.is_none() && Instant::now() < deadline, "no request");
            server.pump();
            response = call.advance().await;
        }
        let is_late = [Schedule::Late, Schedule::Split].contains(&self.schedule);
        let (now, later) = sent_bytes.split_at(if is_late { length } else { sent_bytes.len() });
        server.send(now);
        for _ in 0..MAX_POLLS {
            server.pump();
            call.advance().await;
        }
        // A client with an incomplete response disconnects now.
        drop(call);
        match self.schedule {
            Schedule::Split => server.send_without_last_byte(later),
            _ => server.send(later),
        }
        server
    }

    /// Makes the second request; returns whether it used the first connection.
    async fn second(&self, first: &mut Connection) -> bool {
        let (mut call, before) = (self.call(Method::GET), first.requests());
        let mut response = call.poll().await;
        let (mut other, mut is_reused) = (None, false);
        let deadline = Instant::now() + CALL_TIMEOUT;
        while response.is_none() {
            assert!(Instant::now() < deadline, "no response to the second request");
            first.pump();
            if !is_reused && first.requests() > before {
                first.send(SECOND);
                is_reused = true;
            }
            other = other.or_else(|| Connection::accept(&self.world.listener, self.tls(), b""));
            if let Some(other) = &mut other {
                other.pump();
                if other.sent == 0 && other.requests() > 0 {
                    // The last byte.
                    first.flush();
                    other.send(SECOND);
                }
            }
            response = call.advance().await;
        }
        self.check_second(response);
        is_reused
    }

    fn check_second(&self, response: Option<FullResponse>) {
        let (head, body) = response.expect("the loop has ended").into_parts();
        let expected = HeaderMap::from_iter([
            (CONTENT_LENGTH, HeaderValue::from_static("6")),
            (HeaderName::from_static("x-second"), HeaderValue::from_static("2")),
        ]);
        let response = (head.status, head.headers, body.map_err(|cut| cut.to_string()));
        let expected = (StatusCode::OK, expected, Ok("second".into()));
        assert_eq!(response, expected, "{:?} {:?}", self.schedule, self.transport);
    }

    fn tls(&self) -> Option<&Arc<ServerConfig>> {
        (self.transport == Transport::Tls).then_some(&self.world.certificate.config)
    }

    fn accepted(&self, early: &[u8]) -> Connection {
        let deadline = Instant::now() + CALL_TIMEOUT;
        loop {
            if let Some(accepted) = Connection::accept(&self.world.listener, self.tls(), early) {
                return accepted;
            }
            assert!(Instant::now() < deadline, "no connection");
        }
    }

    fn call(&self, method: Method) -> Call<'_> {
        let [plain, tls] = self.world.routes;
        let route = if self.transport == Transport::Tls { tls } else { plain };
        let request = Request::builder().method(method).uri("/mcp/raw/echo").body(()).unwrap();
        let forward = Forward {
            route,
            rest: route.pattern.len(),
            head: request.into_parts().0,
            forwarded_for: HeaderValue::from_static("192.0.2.1"),
            identity: None,
            cancel: CancelSignal::new().0,
        };
        Call(Some(Box::pin(async move {
            let sent = self.proxy.forward(Box::new(forward), ClientBody::empty()).await;
            let (head, body) = sent.unwrap_or_else(|error| error_response(&error)).into_parts();
            Response::from_parts(head, body.collect().await.map(Collected::to_bytes))
        })))
    }
}

impl Call<'_> {
    /// Returns the complete response, if it has arrived.
    async fn poll(&mut self) -> Option<FullResponse> {
        let call = self.0.as_mut()?;
        let polled = poll_fn(|context| Poll::Ready(call.as_mut().poll(context))).await;
        match polled {
            Poll::Ready(response) => {
                self.0 = None;
                Some(response)
            }
            Poll::Pending => None,
        }
    }

    /// The same, after the runtime has processed pending I/O.
    async fn advance(&mut self) -> Option<FullResponse> {
        yield_now().await;
        self.poll().await
    }
}

fn after_large(input: &[u8]) -> Vec<u8> {
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {LARGE}\r\n\r\n");
    [head.as_bytes(), &vec![b'x'; LARGE], input].concat()
}
