//! The route table: what one site is, as typed constants.
//!
//! The gateway links only this part: [`Site`], [`Route`] and the [`Table`] that finds a route for a path.
//! The feature `compile` adds the other half, from YAML to the Rust text of these constants; only a build
//! script links that. Both halves share the types, so that build time and run time cannot disagree.

mod network;
mod route;
mod site;
mod table;
mod utc_date_time;

#[cfg(feature = "compile")]
pub mod compile;

pub use network::Network;
pub use route::{Identity, Route, Target};
pub use site::{AuthorizationServer, Limits, OktaSite, RefreshReuse, Registration, Site, Tokens};
pub use table::{Found, Table};
pub use utc_date_time::UtcDateTime;

/// The paths that the gateway itself serves; a route's pattern is none of them and below none of them.
pub const RESERVED: &[&str] =
    &["/", "/.well-known/", "/assets/", "/auth/", "/healthz", "/metrics", "/oauth/", "/readyz", "/token"];
