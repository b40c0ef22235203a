//! Strict HTTP/1.1 parser for upstream responses (RFC 9112): a message that two parsers could read differently is
//! rejected.

mod chunks;
mod framing;
mod keep_alive;
mod response_head;
mod violation;

pub use framing::BodyFraming;
pub use keep_alive::KeepAlive;
pub use response_head::{ParsedHead, ResponseHead, parse_response_head};
pub use violation::Violation;
