//! Rebuilds with another site: URL, state and secrets stay the same. And errors at startup.

use super::World;
use super::site::{route, table};
use gateway::base::error_chain::ErrorChain;
use gateway_routes::{Route, Site};

impl World {
    /// Replaces the gateway by one with a changed site.
    pub(crate) async fn rebuild(&mut self, change: impl FnOnce(&mut Site)) {
        self.stop_gateway().await;
        self.site = changed(self.site, change);
        self.start_gateway();
    }

    /// Replaces the gateway by one with a changed route.
    pub(crate) async fn rebuild_route(&mut self, pattern: &str, change: impl FnOnce(Route) -> Route) {
        let mut routes = self.site.table.routes().to_vec();
        let route = routes.iter_mut().find(|route| route.pattern == pattern).unwrap();
        *route = change(*route);
        self.rebuild(|site| site.table = table(routes)).await;
    }

    /// Replaces the gateway by one with one more route.
    pub(crate) async fn rebuild_with_route(
        &mut self,
        pattern: &'static str,
        target_url: &str,
        change: impl FnOnce(Route) -> Route,
    ) {
        let mut routes = self.site.table.routes().to_vec();
        routes.push(route(pattern, target_url, change));
        self.rebuild(|site| site.table = table(routes)).await;
    }

    /// Error at the start of the gateway.
    pub(crate) fn startup_error(&self) -> String {
        // The rest of the failed attempt must not be dropped within the runtime.
        let port = self.port.to_string();
        let tried = || ErrorChain(&self.try_to_assemble(&port).err().unwrap()).to_string();
        std::thread::scope(|threads| threads.spawn(tried).join().unwrap())
    }

    /// Error at the start of a gateway with a changed site.
    pub(crate) async fn startup_error_after_rebuild(&mut self, change: impl FnOnce(&mut Site)) -> String {
        self.stop_gateway().await;
        let changed = changed(self.site, change);
        let site = std::mem::replace(&mut self.site, changed);
        let failed = self.startup_error();
        self.site = site;
        self.start_gateway();
        failed
    }
}

fn changed(site: &'static Site, change: impl FnOnce(&mut Site)) -> &'static Site {
    let mut site = *site;
    change(&mut site);
    Box::leak(Box::new(site))
}
