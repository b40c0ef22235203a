//! Idle connections to the targets, one thread's own.

use super::upload::{Progress, Upload};
use super::{Failed, ProxyConfig, connect};
use gateway_routes::Route;
use hyper::client::conn::http1::SendRequest;
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use tokio::time::Instant;

pub(super) type Sender = SendRequest<Upload>;
/// Scheme and authority of a target.
type Target = (bool, &'static str);

/// The connections of one thread.
#[derive(Clone)]
pub(super) struct Pool(Rc<Inner>);

struct Inner {
    config: ProxyConfig,
    idle: RefCell<HashMap<Target, Vec<Idle>>>,
}

struct Idle {
    sender: Sender,
    since: Instant,
}

/// A connection that is in use.
pub(super) struct Lent {
    pub(super) sender: Sender,
    target: Target,
    pool: Pool,
    /// How far the body is that goes over it.
    progress: Progress,
    /// Whether it carried requests before: the server may have closed it meanwhile.
    pub(super) used: bool,
}

impl Pool {
    pub(super) fn new(config: ProxyConfig) -> Self {
        Self(Rc::new(Inner { config, idle: RefCell::default() }))
    }

    /// The connection that was given back last and still works, else a new one.
    pub(super) async fn lend(&self, route: &'static Route, progress: &Progress) -> Result<Lent, Failed> {
        let target = target_of(route);
        while let Some(mut sender) = self.idle(target) {
            // Its last request was sent and its last answer read, so this waits for a turn of its task at most.
            if sender.ready().await.is_ok() {
                let progress = progress.clone();
                return Ok(Lent { sender, target, pool: self.clone(), progress, used: true });
            }
        }
        self.connect(route, progress).await
    }

    /// A new connection.
    pub(super) async fn connect(&self, route: &'static Route, progress: &Progress) -> Result<Lent, Failed> {
        let connecting = connect::connect(&route.target, &self.0.config.tls);
        let connected = tokio::time::timeout(route.connect_timeout, connecting).await;
        let sender = match connected {
            Ok(Ok(sender)) => sender,
            Ok(Err(error)) => {
                tracing::warn!(route = route.pattern, %error, "no connection to the MCP server");
                return Err(Failed::Unreachable);
            }
            Err(_) => return Err(Failed::TimedOut),
        };
        let (target, pool) = (target_of(route), self.clone());
        Ok(Lent { sender, target, pool, progress: progress.clone(), used: false })
    }

    fn idle(&self, target: Target) -> Option<Sender> {
        let mut idle = self.0.idle.borrow_mut();
        let idle = idle.get_mut(&target)?;
        let fresh = idle.pop().filter(|last| last.since.elapsed() < self.0.config.idle_timeout);
        if fresh.is_none() {
            // The last one given back is the youngest: the others are too old as well.
            idle.clear();
        }
        fresh.map(|idle| idle.sender)
    }
}

fn target_of(route: &Route) -> Target {
    (route.target.tls, route.target.authority)
}

impl Lent {
    /// Gives the connection back; its last answer has been read to the end. A server may answer before it has
    /// read the request: such a connection would stay busy with the rest of it.
    pub(super) fn give_back(self) {
        if self.sender.is_closed() || !self.progress.is_sent() {
            return;
        }
        let most = self.pool.0.config.most_idle;
        let mut idle = self.pool.0.idle.borrow_mut();
        let idle = idle.entry(self.target).or_default();
        if idle.len() >= most {
            idle.remove(0);
        }
        idle.push(Idle { sender: self.sender, since: Instant::now() });
    }
}
