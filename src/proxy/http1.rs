//! HTTP/1.1 towards the servers (RFC 9112), read strictly: what two readers could take for different messages is no
//! answer at all.

mod chunks;
mod framing;
mod response_head;

pub use framing::BodyFraming;
pub use response_head::{ParsedHead, ResponseHead, parse_response_head};
