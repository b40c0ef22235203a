//! Another gateway on the same state, as behind a load balancer: the same site and base URL, another port.

use super::{World, http};
use gateway::cli::serve::Serving;
use reqwest::{Client, Method, RequestBuilder};
use std::time::{Duration, Instant};

/// Running replica.
pub(crate) struct Replica {
    serving: Option<Serving>,
    port: u16,
    host: String,
    /// Shared by all requests: a new client per request takes more processor time than the gateway needs for it.
    http: Client,
}

impl World {
    /// Starts a replica.
    pub(crate) fn replica(&self) -> Replica {
        let host = self.base_url.trim_start_matches("http://").to_owned();
        let serving = self.assemble("0");
        let port = serving.address().port();
        Replica { serving: Some(serving), port, host, http: http() }
    }

    /// Starts a replica whose clock differs by these seconds, and waits until it is ready.
    pub(crate) async fn skewed_replica(&mut self, seconds: i64) -> Replica {
        let skewed = self.clock.skewed(seconds * 1000);
        let clock = std::mem::replace(&mut self.clock, skewed);
        let replica = self.replica();
        self.clock = clock;
        replica.wait_until_ready().await;
        replica
    }
}

impl Replica {
    /// Request to this replica with the public host name.
    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let url = format!("http://localhost:{}{path}", self.port);
        self.http.request(method, url).header("host", &self.host)
    }

    /// Waits until it is ready.
    async fn wait_until_ready(&self) {
        let deadline = Instant::now() + Duration::from_secs(30);
        while self.request(Method::GET, "/readyz").send().await.unwrap().status() != 200 {
            assert!(Instant::now() < deadline, "a replica does not become ready");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Drop for Replica {
    fn drop(&mut self) {
        if let Some(serving) = self.serving.take() {
            std::thread::spawn(move || serving.shut_down());
        }
    }
}
