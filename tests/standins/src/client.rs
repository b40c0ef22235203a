//! A small MCP client that is as strict as the strictest: each step is a method, each value leads to the next.
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
