//! Web server of client metadata documents and key sets, over TLS with a certificate authority of its own.

mod certificates;

use parking_lot::Mutex;
use std::collections::HashMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{Request, StatusCode};
use axum::response::{IntoResponse as _, Response};
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;

use certificates::Authority;

/// Names in its certificate.
const NAMES: [&str; 2] = ["example.com", "*.example.com"];

/// https server on 127.0.0.1; the test resolves names to it. It stops on drop.
#[derive(Debug)]
pub struct DocumentServer {
    address: SocketAddr,
    authority: Vec<u8>,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Shared {
    responses: Mutex<HashMap<String, DocumentResponse>>,
    requested: Mutex<Vec<String>>,
    down: AtomicBool,
}

/// Response of one path.
#[derive(Debug, Clone)]
pub struct DocumentResponse {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: String,
    delay: Duration,
}

impl DocumentResponse {
    /// JSON document.
    pub fn json(document: &Value) -> Self {
        Self::text("application/json", document.to_string())
    }

    /// Any text with this content type.
    pub fn text(content_type: &str, body: impl Into<String>) -> Self {
        let headers = vec![("content-type", content_type.to_owned())];
        Self { status: 200, headers, body: body.into(), delay: Duration::ZERO }
    }

    /// Replaces the status.
    #[must_use]
    pub fn status(self, status: u16) -> Self {
        Self { status, ..self }
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    /// Delays the response.
    #[must_use]
    pub fn delay(self, delay: Duration) -> Self {
        Self { delay, ..self }
    }
}

impl DocumentServer {
    /// Starts on a free port without responses.
    pub async fn start() -> io::Result<Self> {
        let authority = Authority::new();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared::default());
        let acceptor = TlsAcceptor::from(authority.server(&NAMES));
        let router = Router::new().fallback(respond).with_state(Arc::clone(&shared));
        let task = tokio::spawn(accept(listener, acceptor, router, Arc::clone(&shared)));
        Ok(Self { address, authority: authority.certificate(), shared, task })
    }

    /// Socket address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Certificate of its authority, in DER.
    pub fn authority(&self) -> &[u8] {
        &self.authority
    }

    /// URL of a path under this host name.
    pub fn url(&self, name: &str, path: &str) -> String {
        format!("https://{name}:{}{path}", self.address.port())
    }

    /// Sets the response of `path`, which includes the query.
    pub fn set_response(&self, path: &str, configured: DocumentResponse) {
        self.shared.responses.lock().insert(path.to_owned(), configured);
    }

    /// If `down`, closes new connections before TLS.
    pub fn set_down(&self, down: bool) {
        self.shared.down.store(down, Ordering::SeqCst);
    }

    /// Number of requests for `path`.
    pub fn request_count(&self, path: &str) -> usize {
        self.shared.requested.lock().iter().filter(|requested| *requested == path).count()
    }
}

impl Drop for DocumentServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, acceptor: TlsAcceptor, router: Router, shared: Arc<Shared>) {
    // Owned by this task: aborting it drops the set, which aborts every connection.
    let mut connections = JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        if !shared.down.load(Ordering::SeqCst) {
            connections.spawn(connection(stream, acceptor.clone(), router.clone()));
        }
        while connections.try_join_next().is_some() {}
    }
}

async fn connection(stream: TcpStream, acceptor: TlsAcceptor, router: Router) {
    // A client that does not trust the certificate disconnects here.
    let Ok(stream) = acceptor.accept(stream).await else { return };
    let service = TowerToHyperService::new(router);
    let _ended = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

async fn respond(State(shared): State<Arc<Shared>>, request: Request<Body>) -> Response {
    let path = request.uri().path_and_query().map(ToString::to_string).unwrap_or_default();
    shared.requested.lock().push(path.clone());
    let configured = shared.responses.lock().get(&path).cloned();
    let Some(configured) = configured else { return StatusCode::NOT_FOUND.into_response() };
    tokio::time::sleep(configured.delay).await;
    let mut response = Response::builder().status(configured.status);
    for (name, value) in configured.headers {
        response = response.header(name, value);
    }
    response.body(Body::from(configured.body)).expect("test headers are valid")
}
