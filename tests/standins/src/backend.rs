//! A raw HTTP backend for tests of the proxy. It records what arrives, and at these paths it does:
//!
//! | path | what |
//! |---|---|
//! | `/sse?n=3&every_ms=10` | `n` events |
//! | `/sse/silent` | a head at once, then nothing until [`Backend::release`] |
//! | `/slow-head` | no head until [`Backend::release_head`] |
//! | `/status/401` | that status; 401 with a challenge of its own |
//! | `/redirect?to=…&status=307` | a `Location`, 302 by default |
//! | `/big?bytes=…` | so many bytes, made as they are taken |
//! | `/broken` | ten of a hundred bytes, then the connection is cut |
//! | `/upload` | counts the body as it arrives |
//! | `/upload/refused` | 413 without reading the body |
//! | `/headers` | headers that a proxy must not let through |
//! | what [`Backend::script`] was told | that answer |
//! | anything else | the request as JSON: `method`, `target`, `headers`, `body` |

mod bodies;
mod count;
mod endpoints;
mod recorded;

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use tokio::sync::{Semaphore, mpsc};

pub use recorded::Recorded;

use crate::log::{Log, lock};
use crate::server::{Bound, Server};
use bodies::Chunk;
use count::Count;

/// A running backend; dropping it closes its port and its connections.
pub struct Backend {
    server: Server,
    shared: Arc<Shared>,
}

/// What the handlers and the handle share.
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
    /// Starts on 127.0.0.1; port 0 picks a free one.
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

    /// The origin without a trailing slash: what a route's `target_url` says.
    pub fn url(&self) -> String {
        self.server.origin()
    }

    /// Stops; when this returns the port is free again.
    pub async fn stop(self) {
        self.server.stop().await;
    }

    /// From now on `path` answers with this.
    ///
    /// # Panics
    /// If the status or a header is not valid in HTTP.
    pub fn script(&self, path: &str, (status, headers): (u16, &[(&str, &str)]), body: impl Into<Vec<u8>>) {
        let pair = |&(name, value): &(&str, &str)| {
            let name = HeaderName::try_from(name).expect("a script's header names are valid");
            (name, HeaderValue::from_str(value).expect("a script's header values are valid"))
        };
        let status = StatusCode::from_u16(status).expect("a script's status is one of HTTP");
        let headers = headers.iter().map(pair).collect();
        let scripted = Scripted { status, headers, body: Bytes::from(body.into()) };
        lock(&self.shared.scripts).insert(path.to_owned(), scripted);
    }

    /// The last thousand requests, oldest first.
    pub fn requests(&self) -> Vec<Recorded> {
        self.shared.log.all()
    }

    /// The newest request.
    pub fn last(&self) -> Option<Recorded> {
        self.requests().pop()
    }

    /// Forgets the requests so far.
    pub fn clear_requests(&self) {
        self.shared.log.clear();
    }

    /// The first request, past or future, whose target starts with `start`; `None` after 20 seconds.
    pub async fn wait_for_request(&self, start: &str) -> Option<Recorded> {
        self.shared.log.wait_for(|request| request.target.starts_with(start)).await
    }

    /// Sends one event with this data on every open silent stream.
    pub async fn release(&self, data: &str) {
        self.release_raw(format!("data: {data}\n\n").as_bytes()).await;
    }

    /// Sends these bytes on every open silent stream, for streams that stop inside an event.
    pub async fn release_raw(&self, bytes: &[u8]) {
        let open = lock(&self.shared.silent).clone();
        for sender in open {
            // A stream that its reader left is no concern of the others.
            let _left = sender.send(Ok(Bytes::copy_from_slice(bytes))).await;
        }
    }

    /// Ends every open silent stream, as it should be ended.
    pub fn finish(&self) {
        lock(&self.shared.silent).clear();
    }

    /// Lets one `/slow-head` answer.
    pub fn release_head(&self) {
        self.shared.heads.add_permits(1);
    }

    /// How many body bytes `/upload` has seen.
    pub fn uploaded(&self) -> u64 {
        self.shared.uploaded.get()
    }

    /// True once `/upload` has seen `least` bytes; false if it has not after 20 seconds.
    pub async fn wait_uploaded(&self, least: u64) -> bool {
        self.shared.uploaded.reaches(least).await
    }

    /// How many body bytes `/big` has made.
    pub fn produced(&self) -> u64 {
        self.shared.produced.get()
    }

    /// How many exchanges the other side left before their end: heads never waited for, streams and bodies not
    /// taken, uploads broken off.
    pub fn aborted(&self) -> u64 {
        self.shared.aborted.get()
    }

    /// True once `least` exchanges were aborted; false if they were not after 20 seconds.
    pub async fn wait_aborted(&self, least: u64) -> bool {
        self.shared.aborted.reaches(least).await
    }
}

impl Scripted {
    fn response(&self) -> Response {
        (self.status, self.headers.clone(), Body::from(self.body.clone())).into_response()
    }
}
