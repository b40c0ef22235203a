//! Strict MCP client. Each step is a method that returns the input of the next one.
//!
//! 1. [`discover`]: the 401, the protected resource metadata, the authorization server metadata.
//! 2. [`Discovered::register`]: dynamic client registration.
//! 3. [`Client::authorize`]: PKCE, consent and Okta's login in a [`Browser`](crate::browser::Browser).
//! 4. [`Client::redeem`] and [`Client::refresh`]: tokens.
//! 5. [`Session::open`], [`Session::tools`], [`Session::call`]: MCP.

mod authorize;
mod challenge;
mod discover;
mod exchange;
mod key;
mod register;
mod session;
mod token;

pub use authorize::{Code, Decision, Login};
pub use discover::{Discovered, discover};
pub use key::Key;
pub use register::Client;
pub use session::Session;
pub use token::Tokens;
