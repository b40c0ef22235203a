//! Site configuration and route table as typed constants.
//!
//! The gateway links [`Site`], [`Route`] and the [`Table`] that finds the route of a path. The feature `compile` adds
//! the compiler from YAML to these constants, which only build scripts link. Both use the same types, so that build
//! time and run time cannot disagree.

mod date_time;
mod loopback;
mod network;
mod okta_url;
mod route;
mod site;
mod table;
pub mod trusted_headers;
mod upstream_header;

#[cfg(feature = "compile")]
pub mod compile;

pub use date_time::utc_date_time;
pub use loopback::{is_loopback_authority, is_loopback_host, is_native_app_host, leads_to_own_computer};
pub use network::Network;
pub use okta_url::{OktaUrlMistake, okta_url_mistake};
pub use route::{Identity, Route, Target};
pub use site::{
    AuthorizationServer, ClientDocument, ClientMetadata, ClientMetadataMode, EgressProxySite, Limits,
    OktaSite, RefreshReuse, Registration, Shutdown, Site, Tokens,
};
pub use table::{Found, Table};
pub use upstream_header::{ReservedHeader, UpstreamHeader, ValuePart, is_reserved_variable, reserved_header};

/// Paths of the gateway itself; a pattern must not equal or be below any of them.
pub const RESERVED: &[&str] = &[
    "/",
    "/.well-known/",
    "/account/",
    "/assets/",
    "/auth/",
    "/device/",
    "/healthz",
    "/metrics",
    "/oauth/",
    "/readyz",
    "/token",
    "/v0.1/",
];
