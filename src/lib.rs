//! A gateway that puts MCP servers behind Okta.
//!
//! To an MCP client it is an OAuth 2.1 authorization server and the protected resource at once; to Okta an ordinary
//! OIDC app; to each MCP server its only client. The modules in reading order, lower layers first: a module uses only
//! those above it in this list, never its siblings (`tests/gateway/layers.rs` enforces it).
//!
//! 1. [`base`]: clock, randomness, secrets, encoding, caches. Time and randomness are injected; secrets are never
//!    printed.
//! 2. [`crypto`]: signed tokens, and sealing under keys derived from `GATEWAY_SECRET`.
//! 3. [`oauth`], the protocol's rules as pure functions, and [`settings`], the environment.
//! 4. [`credential`]: tokens, codes and client IDs that the gateway issues; [`pages`]: its HTML pages.
//! 5. [`store`]: persistent state behind atomic operations; [`okta`]: the OIDC client; [`fetch`]: documents at
//!    client-supplied URLs; [`proxy`]: the data plane.
//! 6. [`grants`]: a user's approval of a client for a route.
//! 7. [`app`]: shared state, the request context, calls, responses, CORS, cookies, the audit log, rate limits and
//!    client authentication.
//! 8. [`endpoints`]: one folder per flow, one file per endpoint.
//! 9. [`server`]: listener, connections and the warp filters; [`cli`]: the commands of the executable.

pub mod base;
pub mod crypto;

pub mod oauth;
pub mod settings;

pub mod credential;
pub mod pages;

pub mod fetch;
pub mod okta;
pub mod proxy;
pub mod store;

pub mod grants;

pub mod app;

pub mod endpoints;

pub mod cli;
pub mod server;
