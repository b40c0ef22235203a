//! A gateway that puts MCP servers behind Okta.
//!
//! To an MCP client it is an OAuth 2.1 authorization server and the protected server at once; to Okta one
//! ordinary OIDC app; to the MCP server behind it its only caller. In reading order, lower layers first: a module
//! knows only those above it in this list, never its neighbours (`tests/gateway/layers.rs` holds the table).
//!
//! 1. [`clock`], [`entropy`], [`secret`], [`encoding`], [`events`] and [`subnets`]: what everything stands on. Time
//!    and chance are handed in; secrets do not print.
//! 2. [`jose`] and [`seal`]: signed tokens, and keys derived from `GATEWAY_SECRET`.
//! 3. [`oauth`], the protocol's rules as pure functions, and [`settings`], the environment.
//! 4. [`credential`], what we hand out, and [`pages`], what people see.
//! 5. [`store`], state that carries its guarantees in its verbs; [`okta`], we as Okta's client; [`fetch`], documents
//!    from where strangers say; [`proxy`], the data plane.
//! 6. [`grants`]: one user's approval of one client for one route, alive or not; [`limits`]: how often who may ask.
//! 7. [`gateway`], all that a request may need; [`decision`], what can be done with one; [`reply`] and
//!    [`cookies`], how answers look.
//! 8. [`clients`], who a client is; [`access`], who may call what; [`login`], one login told once; [`recheck`],
//!    whether Okta still lets the user in.
//! 9. [`endpoints`], one a file; [`server`], which composes them with warp and serves; [`commands`].

pub mod clock;
pub mod encoding;
pub mod entropy;
pub mod events;
pub mod secret;
pub mod subnets;

pub mod jose;
pub mod seal;

pub mod oauth;
pub mod settings;

pub mod credential;
pub mod pages;

pub mod fetch;
pub mod okta;
pub mod proxy;
pub mod store;

pub mod grants;
pub mod limits;

pub mod cookies;
pub mod decision;
pub mod gateway;
pub mod reply;

pub mod access;
pub mod clients;
pub mod login;
pub mod recheck;

pub mod endpoints;

pub mod commands;
pub mod server;
