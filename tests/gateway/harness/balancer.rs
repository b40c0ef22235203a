//! Load balancer at the gateway's address: consecutive requests go to different replicas.

use super::{Replica, World, listen_on};
use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// Replicas in place of a world's gateway.
pub(crate) struct Balancer {
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

struct Shared {
    replicas: Mutex<Vec<Arc<Replica>>>,
    served: AtomicUsize,
}

impl World {
    /// Replaces the gateway by `count` replicas, which share the store of `StoreKind::Redis`.
    pub(crate) async fn start_balancer(&mut self, count: usize) -> Balancer {
        self.stop_gateway().await;
        let replicas = (0..count).map(|_| Arc::new(self.replica())).collect();
        self.balance(replicas)
    }

    /// The same, with replicas whose clocks differ by these numbers of seconds.
    pub(crate) async fn start_balancer_with_clock_skews(&mut self, skews: &[i64]) -> Balancer {
        self.stop_gateway().await;
        let mut replicas = Vec::new();
        for seconds in skews {
            replicas.push(Arc::new(self.skewed_replica(*seconds).await));
        }
        self.balance(replicas)
    }

    fn balance(&self, replicas: Vec<Arc<Replica>>) -> Balancer {
        let shared = Arc::new(Shared { replicas: Mutex::new(replicas), served: AtomicUsize::new(0) });
        let listener = listen_on(self.port);
        let task = tokio::spawn(accept(listener, Arc::clone(&shared)));
        Balancer { shared, task }
    }
}

impl Balancer {
    /// Replaces one replica after the other, with some traffic in between. A replaced replica gets no further
    /// requests and ends after its responses.
    pub(crate) async fn restart_rolling(&self, world: &World) {
        let count = self.shared.replicas.lock().len();
        for place in 0..count {
            let fresh = Arc::new(world.replica());
            self.shared.replicas.lock()[place] = fresh;
            let responses_before = self.response_count();
            while self.response_count() < responses_before + 12 {
                tokio::task::yield_now().await;
            }
        }
    }

    /// Replicas, in the order of their requests.
    pub(crate) fn replicas(&self) -> Vec<Arc<Replica>> {
        self.shared.replicas.lock().clone()
    }

    /// Number of completed responses.
    pub(crate) fn response_count(&self) -> usize {
        self.shared.served.load(Ordering::SeqCst)
    }
}

impl Drop for Balancer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(serve(stream, Arc::clone(&shared)));
    }
}

async fn serve(stream: TcpStream, shared: Arc<Shared>) {
    let service = service_fn(|request| {
        let shared = Arc::clone(&shared);
        async move { Ok::<_, Infallible>(forward(request, &shared).await) }
    });
    // A client that disconnects ends its connection with an error.
    let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

/// Forwards a request and buffers the response, which must be finite.
async fn forward(request: Request<Incoming>, shared: &Shared) -> Response<Full<Bytes>> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let replica = {
        let replicas = shared.replicas.lock();
        let next = shared.served.fetch_add(1, Ordering::SeqCst) % replicas.len();
        Arc::clone(&replicas[next])
    };
    let upstream_request = replica.request(head.method, head.uri.path_and_query().unwrap().as_str());
    let upstream_response = upstream_request.headers(head.headers).body(body).send().await.unwrap();
    let mut response = Response::new(Full::default());
    *response.status_mut() = upstream_response.status();
    *response.headers_mut() = upstream_response.headers().clone();
    for hop in [CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING] {
        response.headers_mut().remove(hop);
    }
    *response.body_mut() = upstream_response.bytes().await.unwrap().into();
    response
}
