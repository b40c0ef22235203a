//! The same gateway, built from another site: its URL, its state and its secrets stay. And why one does not start.

use super::World;
use gateway_routes::Site;

impl World {
    /// Puts a gateway in the place of this one whose site `change` has changed.
    pub(crate) async fn rebuild(&mut self, change: impl FnOnce(&mut Site)) {
        self.down().await;
        self.site = changed(self.site, change);
        self.up();
    }

    /// Why the gateway does not start.
    pub(crate) fn refusal(&self) -> String {
        // What is left of the attempt must not be dropped among tasks.
        let port = self.port.to_string();
        let tried = || self.try_to_assemble(&port).err().unwrap().0;
        std::thread::scope(|threads| threads.spawn(tried).join().unwrap())
    }

    /// Why a gateway of another site does not start.
    pub(crate) async fn does_not_start(&mut self, change: impl FnOnce(&mut Site)) -> String {
        self.down().await;
        let changed = changed(self.site, change);
        let site = std::mem::replace(&mut self.site, changed);
        let failed = self.refusal();
        self.site = site;
        self.up();
        failed
    }
}

fn changed(site: &'static Site, change: impl FnOnce(&mut Site)) -> &'static Site {
    let mut site = *site;
    change(&mut site);
    Box::leak(Box::new(site))
}
