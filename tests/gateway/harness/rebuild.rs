//! The same gateway, built from another site: its URL, its state and its secrets stay. And why one does not start.

use super::World;
use gateway_routes::Site;

impl World {
    /// Puts a gateway in the place of this one whose site `change` has changed.
    pub(crate) async fn rebuild(&mut self, change: impl FnOnce(&mut Site)) {
        self.stop_gateway().await;
        self.site = changed(self.site, change);
        self.start_gateway();
    }

    /// Why the gateway does not start.
    pub(crate) fn startup_error(&self) -> String {
        // What is left of the attempt must not be dropped among tasks.
        let port = self.port.to_string();
        let tried = || self.try_to_assemble(&port).err().unwrap().0;
        std::thread::scope(|threads| threads.spawn(tried).join().unwrap())
    }

    /// Why a gateway of another site does not start.
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
