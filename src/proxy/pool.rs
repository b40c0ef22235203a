//! Idle connections to the targets, one thread's own.

use super::line::{Line, Scratch};
use super::{Failed, ProxyConfig, connect};
use foldhash::fast::RandomState;
use gateway_routes::Route;
use std::cell::{Cell, RefCell, RefMut};
use std::collections::{HashMap, VecDeque};
use std::rc::Rc;

/// How often idle connections are looked at before they have been idle for too long.
const LOOKS: u32 = 4;

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
    looks: Cell<u32>,
    scratch: RefCell<Scratch>,
}

struct Idle {
    line: Box<Line>,
    /// At which look it was given back.
    since: u32,
}

/// A connection that is in use.
pub(super) struct Lent {
    pub(super) line: Box<Line>,
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
            looks: Cell::default(),
            scratch: RefCell::new(Scratch::new()),
        }))
    }

    /// What the connections read and write through, while one of them is polled.
    pub(super) fn scratch(&self) -> RefMut<'_, Scratch> {
        self.0.scratch.borrow_mut()
    }

    /// The connection that was given back last and still works.
    pub(super) fn lend(&self, route: &'static Route) -> Option<Lent> {
        let mut idle = self.0.idle.borrow_mut();
        let idle = idle.get_mut(&Key::of(route))?;
        loop {
            let mut line = idle.pop_back()?.line;
            if line.is_alive() {
                return Some(Lent { line, route, pool: self.clone(), used: true });
            }
        }
    }

    /// A new connection.
    pub(super) async fn connect(&self, route: &'static Route) -> Result<Lent, Failed> {
        // In a box: it is large and seldom.
        let connecting = Box::pin(connect::connect(route, &self.0.config.tls));
        let connected = tokio::time::timeout(route.connect_timeout, connecting).await;
        let line = match connected {
            Ok(Ok(line)) => line,
            Ok(Err(error)) => {
                tracing::warn!(route = route.pattern, %error, "no connection to the MCP server");
                return Err(Failed::Unreachable);
            }
            Err(_) => return Err(Failed::TimedOut),
        };
        Ok(Lent { line, route, pool: self.clone(), used: false })
    }

    /// Closes connections that are idle for too long, or that their server has closed, as long as it is polled:
    /// nobody else looks at an idle connection.
    pub(super) async fn tend(&self) {
        let mut ticks = tokio::time::interval(self.0.config.idle_timeout / LOOKS);
        loop {
            ticks.tick().await;
            let look = self.0.looks.get().wrapping_add(1);
            self.0.looks.set(look);
            self.0.idle.borrow_mut().retain(|_, idle| {
                idle.retain_mut(|idle| look.wrapping_sub(idle.since) <= LOOKS && idle.line.is_alive());
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

impl Lent {
    /// The line, and what it reads and writes through.
    pub(super) fn parts(&mut self) -> (&mut Line, RefMut<'_, Scratch>) {
        (&mut self.line, self.pool.scratch())
    }

    /// Gives the connection back, if its last answer has been read to the end, nothing beyond it, and the server takes
    /// another request.
    pub(super) fn give_back(mut self) {
        if !self.line.is_free() {
            return;
        }
        let most = self.pool.0.config.most_idle;
        let mut idle = self.pool.0.idle.borrow_mut();
        let idle = idle.entry(Key::of(self.route)).or_default();
        if idle.len() >= most {
            idle.pop_front();
        }
        idle.push_back(Idle { line: self.line, since: self.pool.0.looks.get() });
    }
}
