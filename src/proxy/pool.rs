//! Connection pool of one thread.

use super::proxy_error::ProxyError;
use super::upstream_connection::{IoBuffers, UpstreamConnection};
use super::{ProxyConfig, connect};
use foldhash::fast::RandomState;
use gateway_routes::Route;
use std::cell::{Cell, RefCell, RefMut};
use std::collections::{HashMap, VecDeque};
use std::rc::Rc;
use std::time::Duration;
use tokio::time::{Instant, interval, timeout};

/// Number of checks of an idle connection until its idle timeout.
const CHECKS_PER_IDLE_TIMEOUT: u32 = 4;
/// Number of different maximum ages, over the last quarter of the configured one: connections that were opened together
/// are not replaced together.
const AGES: u32 = 16;

/// Pool key: connections with equal keys are interchangeable.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Key {
    tls: bool,
    authority: &'static str,
    /// Routes with different certificate authorities do not share connections.
    ca_file: Option<&'static str>,
}

/// Connection pool of one thread.
#[derive(Clone)]
pub(super) struct Pool(Rc<Inner>);

struct Inner {
    config: ProxyConfig,
    /// Idle connections by target, the most recently used last.
    idle: RefCell<HashMap<Key, VecDeque<Idle>, RandomState>>,
    buffers: RefCell<IoBuffers>,
    /// Number of connections opened so far.
    opened: Cell<u32>,
}

struct Idle {
    connection: Box<UpstreamConnection>,
    /// End of its idle timeout, or `max_age_at` if that is earlier.
    until: Instant,
    max_age_at: Instant,
}

/// Connection in use; dropping it closes it, [`PooledConnection::release`] returns it to the pool.
pub(super) struct PooledConnection {
    pub(super) connection: Box<UpstreamConnection>,
    pub(super) route: &'static Route,
    pool: Pool,
    /// True if it comes from the pool: the server may have closed it meanwhile.
    pub(super) was_idle: bool,
    /// Time at which it was taken from the pool or established.
    pub(super) acquired_at: Instant,
    /// Time from which it takes no further request: the name of its target may have other addresses by then.
    max_age_at: Instant,
}

impl Pool {
    pub(super) fn new(config: ProxyConfig) -> Self {
        Self(Rc::new(Inner {
            config,
            idle: RefCell::default(),
            buffers: RefCell::new(IoBuffers::new()),
            opened: Cell::default(),
        }))
    }

    /// Borrows the I/O buffers that all connections of the thread share, for one poll.
    pub(super) fn buffers(&self) -> RefMut<'_, IoBuffers> {
        self.0.buffers.borrow_mut()
    }

    /// Takes the most recently used idle connection that is still usable.
    pub(super) fn acquire(&self, route: &'static Route) -> Option<PooledConnection> {
        self.acquire_at(route, Instant::now())
    }

    fn acquire_at(&self, route: &'static Route, now: Instant) -> Option<PooledConnection> {
        let mut idle = self.0.idle.borrow_mut();
        let idle = idle.get_mut(&Key::of(route))?;
        loop {
            let Idle { mut connection, until, max_age_at } = idle.pop_back()?;
            if now < until && connection.is_reusable() {
                let (pool, was_idle, acquired_at) = (self.clone(), true, now);
                return Some(PooledConnection { connection, route, pool, was_idle, acquired_at, max_age_at });
            }
        }
    }

    /// Opens a new connection, within the route's connect timeout.
    pub(super) async fn connect(&self, route: &'static Route) -> Result<PooledConnection, ProxyError> {
        // Boxed: the future is large and rarely needed.
        let connecting = Box::pin(connect::connect(route, &self.0.config.tls));
        let connection = match timeout(route.connect_timeout, connecting).await {
            Ok(Ok(connection)) => connection,
            Ok(Err(error)) => return Err(ProxyError::Connect(error)),
            Err(_) => return Err(ProxyError::ConnectTimeout),
        };
        let (pool, was_idle, acquired_at) = (self.clone(), false, Instant::now());
        let max_age_at = acquired_at + self.next_max_age();
        Ok(PooledConnection { connection, route, pool, was_idle, acquired_at, max_age_at })
    }

    /// Returns the maximum age of the next connection.
    fn next_max_age(&self) -> Duration {
        let (max_age, number) = (self.0.config.max_age, self.0.opened.get());
        self.0.opened.set(number.wrapping_add(1));
        max_age.saturating_sub(max_age / 4 / AGES * (number % AGES))
    }

    /// Closes connections whose idle timeout has expired or that their server has closed; never returns.
    pub(super) async fn reap_idle(&self) {
        let mut ticks = interval(self.0.config.idle_timeout / CHECKS_PER_IDLE_TIMEOUT);
        loop {
            ticks.tick().await;
            self.reap_at(Instant::now());
        }
    }

    fn reap_at(&self, now: Instant) {
        self.0.idle.borrow_mut().retain(|_, idle| {
            idle.retain_mut(|idle| now < idle.until && idle.connection.is_reusable());
            !idle.is_empty()
        });
    }
}

impl Key {
    fn of(route: &Route) -> Self {
        Self { tls: route.target.tls, authority: route.target.authority, ca_file: route.ca_file }
    }
}

impl PooledConnection {
    /// Returns the connection and the I/O buffers for one poll.
    pub(super) fn parts(&mut self) -> (&mut UpstreamConnection, RefMut<'_, IoBuffers>) {
        (&mut self.connection, self.pool.buffers())
    }

    /// Returns the connection to the pool if it is reusable: the response was read to its end and nothing beyond, the
    /// server keeps the connection alive, and it has not reached its maximum age.
    pub(super) fn release(self) {
        self.release_at(Instant::now());
    }

    fn release_at(mut self, now: Instant) {
        if now >= self.max_age_at || !self.connection.is_releasable() {
            return;
        }
        let ProxyConfig { max_idle, idle_timeout, .. } = self.pool.0.config;
        let idle_timeout =
            self.connection.idle_timeout().map_or(idle_timeout, |other| other.min(idle_timeout));
        let Self { connection, max_age_at, .. } = self;
        let until = max_age_at.min(now + idle_timeout);
        let mut idle = self.pool.0.idle.borrow_mut();
        let idle = idle.entry(Key::of(self.route)).or_default();
        if idle.len() >= max_idle {
            idle.pop_front();
        }
        idle.push_back(Idle { connection, until, max_age_at });
    }
}

#[cfg(test)]
mod tests;
