//! The same gateway, built from another site: its URL, its state and its secrets stay.

use super::World;
use gateway_routes::Site;

impl World {
    /// Puts a gateway in the place of this one whose site `change` has changed.
    pub(crate) async fn rebuild(&mut self, change: impl FnOnce(&mut Site)) {
        self.down().await;
        self.site = changed(self.site, change);
        self.up();
    }

    /// Why such a gateway does not start.
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
