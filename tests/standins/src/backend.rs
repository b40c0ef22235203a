//! HTTP backend for tests of the proxy. It records requests and has these endpoints:
//!
//! | path | response |
//! |---|---|
//! | `/sse?n=3&every_ms=10` | `n` events |
//! | `/sse/silent` | a head at once, then nothing until [`Backend::release`] |
//! | `/slow-head` | no head until [`Backend::release_head`] |
//! | `/status/401` | this status; a 401 has a challenge |
//! | `/redirect?to=…&status=307` | a `Location`, by default with 302 |
//! | `/big?bytes=…` | this number of bytes, generated while they are read |
//! | `/broken` | ten of a hundred bytes, then the connection is closed |
//! | `/upload` | the number of bytes of the body |
//! | `/upload/refused` | 413 without reading the body |
//! | `/headers` | headers that a proxy must remove |
//! | a path of [`Backend::script`] | the response given there |
//! | any other | the request as JSON: `method`, `target`, `headers`, `body` |

mod bodies;
mod count;
mod endpoints;
mod recorded;

use parking_lot::Mutex;
use std::collections::HashMap;
use std::io;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use tokio::sync::{Semaphore, mpsc};

pub use recorded::Recorded;

use crate::log::Log;
use crate::server::{Bound, Server};
use bodies::Chunk;
use count::Count;

/// Running backend. Dropping it closes its port and its connections.
pub struct Backend {
    server: Server,
    shared: Arc<Shared>,
}

/// State shared by the handlers and the handle.
struct Shared {
    log: Log<Recorded>,
    scripts: Mutex<HashMap<String, Scripted>>,
    silent: Mutex<Vec<mpsc::Sender<Chunk>>>,
    heads: Semaphore,
    uploaded: Count,
    produced: Count,
    aborted: Count,
}

struct Scripted {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

impl Backend {
    /// Starts on 127.0.0.1; port 0 selects a free one.
    pub async fn start(port: u16) -> io::Result<Self> {
        let bound = Bound::to(port).await?;
        let shared = Arc::new(Shared {
            log: Log::new(),
            scripts: Mutex::default(),
            silent: Mutex::default(),
            heads: Semaphore::new(0),
            uploaded: Count::default(),
            produced: Count::default(),
            aborted: Count::default(),
        });
        let router = Router::new().fallback(endpoints::serve).with_state(Arc::clone(&shared));
        Ok(Self { server: bound.serve(router), shared })
    }

    /// Origin without a trailing slash, as in the `target_url` of a route.
    pub fn url(&self) -> String {
        self.server.origin()
    }

    /// Stops the server; then its port is free again.
    pub async fn stop(self) {
        self.server.stop().await;
    }

    /// Sets the response of `path`.
    ///
    /// # Panics
    /// If the status or a header is invalid in HTTP.
    pub fn script(&self, path: &str, status: u16, headers: &[(&str, &str)], body: impl Into<Vec<u8>>) {
        let pair = |&(name, value): &(&str, &str)| {
            let name = HeaderName::try_from(name).expect("a script's header names are valid");
            (name, HeaderValue::from_str(value).expect("a script's header values are valid"))
        };
        let status = StatusCode::from_u16(status).expect("a script's status is one of HTTP");
        let headers = headers.iter().map(pair).collect();
        let scripted = Scripted { status, headers, body: Bytes::from(body.into()) };
        self.shared.scripts.lock().insert(path.to_owned(), scripted);
    }

    /// The last thousand requests, oldest first.
    pub fn requests(&self) -> Vec<Recorded> {
        self.shared.log.all()
    }

    /// The newest request.
    pub fn last(&self) -> Option<Recorded> {
        self.requests().pop()
    }

    /// Removes the requests so far.
    pub fn clear_requests(&self) {
        self.shared.log.clear();
    }

    /// Waits for a request, past or future, whose target starts with `start`; `None` after 20 seconds.
    pub async fn wait_for_request(&self, start: &str) -> Option<Recorded> {
        self.shared.log.wait_for(|request| request.target.starts_with(start)).await
    }

    /// Sends one event with this data on every open silent stream.
    pub async fn release(&self, data: &str) {
        self.release_raw(format!("data: {data}\n\n").as_bytes()).await;
    }

    /// Sends these bytes on every open silent stream, also incomplete events.
    pub async fn release_raw(&self, bytes: &[u8]) {
        let open = self.shared.silent.lock().clone();
        for sender in open {
            // A stream whose client has disconnected does not affect the others.
            let _left = sender.send(Ok(Bytes::copy_from_slice(bytes))).await;
        }
    }

    /// Ends every open silent stream cleanly.
    pub fn finish(&self) {
        self.shared.silent.lock().clear();
    }

    /// Lets one `/slow-head` respond.
    pub fn release_head(&self) {
        self.shared.heads.add_permits(1);
    }

    /// Number of body bytes that `/upload` has received.
    pub fn uploaded(&self) -> u64 {
        self.shared.uploaded.get()
    }

    /// Waits until `/upload` has received `least` bytes; false after 20 seconds.
    pub async fn wait_uploaded(&self, least: u64) -> bool {
        self.shared.uploaded.reaches(least).await
    }

    /// Number of body bytes that `/big` has generated.
    pub fn produced(&self) -> u64 {
        self.shared.produced.get()
    }

    /// Number of exchanges that the client aborted: before the head, within a response, or within an upload.
    pub fn aborted(&self) -> u64 {
        self.shared.aborted.get()
    }

    /// Waits until `least` exchanges were aborted; false after 20 seconds.
    pub async fn wait_aborted(&self, least: u64) -> bool {
        self.shared.aborted.reaches(least).await
    }
}

impl Scripted {
    fn response(&self) -> Response {
        (self.status, self.headers.clone(), Body::from(self.body.clone())).into_response()
    }
}
