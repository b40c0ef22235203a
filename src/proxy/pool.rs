//! Idle connections to the targets, one thread's own.

use super::upstream_connection::{IoBuffers, UpstreamConnection};
use super::{ProxyConfig, ProxyError, connect};
use foldhash::fast::RandomState;
use gateway_routes::Route;
use std::cell::{Cell, RefCell, RefMut};
use std::collections::{HashMap, VecDeque};
use std::rc::Rc;

/// How often idle connections are looked at before they have been idle for too long.
const CHECKS_PER_IDLE_TIMEOUT: u32 = 4;

/// What connections have in common that may carry each other's requests.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Key {
    tls: bool,
    authority: &'static str,
    /// A server that one route trusts is not trusted by all.
    ca_file: Option<&'static str>,
}

/// The connections of one thread.
#[derive(Clone)]
pub(super) struct Pool(Rc<Inner>);

struct Inner {
    config: ProxyConfig,
    /// Of each target, those that were given back last at the end.
    idle: RefCell<HashMap<Key, VecDeque<Idle>, RandomState>>,
    checks: Cell<u32>,
    buffers: RefCell<IoBuffers>,
}

struct Idle {
    connection: Box<UpstreamConnection>,
    /// At which look it was given back.
    since: u32,
}

/// A connection that is in use.
pub(super) struct PooledConnection {
    pub(super) connection: Box<UpstreamConnection>,
    route: &'static Route,
    pool: Pool,
    /// Whether it carried requests before: the server may have closed it meanwhile.
    pub(super) used: bool,
}

impl Pool {
    pub(super) fn new(config: ProxyConfig) -> Self {
        Self(Rc::new(Inner {
            config,
            idle: RefCell::default(),
            checks: Cell::default(),
            buffers: RefCell::new(IoBuffers::new()),
        }))
    }

    /// What the connections read and write through, while one of them is polled.
    pub(super) fn buffers(&self) -> RefMut<'_, IoBuffers> {
        self.0.buffers.borrow_mut()
    }

    /// The connection that was given back last and still works.
    pub(super) fn acquire(&self, route: &'static Route) -> Option<PooledConnection> {
        let mut idle = self.0.idle.borrow_mut();
        let idle = idle.get_mut(&Key::of(route))?;
        loop {
            let mut connection = idle.pop_back()?.connection;
            if connection.is_reusable() {
                return Some(PooledConnection { connection, route, pool: self.clone(), used: true });
            }
        }
    }

    /// A new connection.
    pub(super) async fn connect(&self, route: &'static Route) -> Result<PooledConnection, ProxyError> {
        // In a box: it is large and seldom.
        let connecting = Box::pin(connect::connect(route, &self.0.config.tls));
        let connected = tokio::time::timeout(route.connect_timeout, connecting).await;
        let connection = match connected {
            Ok(Ok(connection)) => connection,
            Ok(Err(error)) => {
                tracing::warn!(route = route.pattern, %error, "no connection to the MCP server");
                return Err(ProxyError::Unreachable);
            }
            Err(_) => return Err(ProxyError::TimedOut),
        };
        Ok(PooledConnection { connection, route, pool: self.clone(), used: false })
    }

    /// Closes connections that are idle for too long, or that their server has closed, as long as it is polled:
    /// nobody else looks at an idle connection.
    pub(super) async fn reap_idle(&self) {
        let mut ticks = tokio::time::interval(self.0.config.idle_timeout / CHECKS_PER_IDLE_TIMEOUT);
        loop {
            ticks.tick().await;
            let look = self.0.checks.get().wrapping_add(1);
            self.0.checks.set(look);
            self.0.idle.borrow_mut().retain(|_, idle| {
                idle.retain_mut(|idle| {
                    look.wrapping_sub(idle.since) <= CHECKS_PER_IDLE_TIMEOUT && idle.connection.is_reusable()
                });
                !idle.is_empty()
            });
        }
    }
}

impl Key {
    fn of(route: &Route) -> Self {
        Self { tls: route.target.tls, authority: route.target.authority, ca_file: route.ca_file }
    }
}

impl PooledConnection {
    /// The line, and what it reads and writes through.
    pub(super) fn parts(&mut self) -> (&mut UpstreamConnection, RefMut<'_, IoBuffers>) {
        (&mut self.connection, self.pool.buffers())
    }

    /// Gives the connection back, if its last answer has been read to the end, nothing beyond it, and the server takes
    /// another request.
    pub(super) fn release(mut self) {
        if !self.connection.is_free() {
            return;
        }
        let most = self.pool.0.config.max_idle;
        let mut idle = self.pool.0.idle.borrow_mut();
        let idle = idle.entry(Key::of(self.route)).or_default();
        if idle.len() >= most {
            idle.pop_front();
        }
        idle.push_back(Idle { connection: self.connection, since: self.pool.0.checks.get() });
    }
}
