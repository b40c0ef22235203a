//! Route of unit tests.

use gateway_routes::{Identity, Route, Target};
use std::time::Duration;

/// Route to `http://h:1`; tests change what they are about.
pub(super) const TEST_ROUTE: Route = Route {
    pattern: "/mcp/dice/",
    target: Target { tls: false, host: "h", port: 1, authority: "h:1", path: "", trailing_slash: false },
    ca_file: None,
    name: "",
    description: "",
    scopes: &[],
    groups: &[],
    identity: Identity::None,
    upstream_headers: &[],
    max_body: 0,
    connect_timeout: Duration::ZERO,
    response_timeout: Duration::ZERO,
    response_idle_timeout: Duration::from_mins(1),
};
