//! Another gateway on the same state, as behind a balancer: the same site and base URL, a port of its own.

use super::{World, http};
use gateway::commands::serve::Serving;
use reqwest::{Method, RequestBuilder};

/// A running replica.
pub(crate) struct Replica {
    serving: Option<Serving>,
    port: u16,
    host: String,
}

impl World {
    /// Starts a replica.
    pub(crate) fn replica(&self) -> Replica {
        let host = self.base_url.trim_start_matches("http://").to_owned();
        let serving = self.assemble("0");
        let port = serving.address().port();
        Replica { serving: Some(serving), port, host }
    }
}

impl Replica {
    /// A request to this replica, by the name that clients know.
    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let url = format!("http://localhost:{}{path}", self.port);
        http().request(method, url).header("host", &self.host)
    }
}

impl Drop for Replica {
    fn drop(&mut self) {
        if let Some(serving) = self.serving.take() {
            std::thread::spawn(move || serving.shut_down());
        }
    }
}
