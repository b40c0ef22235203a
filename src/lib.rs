//! A gateway that puts MCP servers behind Okta.

pub mod clock;
pub mod encoding;
pub mod entropy;
pub mod secret;

pub mod jose;
pub mod seal;

pub mod oauth;
pub mod settings;

pub mod credential;
pub mod pages;

pub mod okta;
pub mod proxy;
pub mod store;
