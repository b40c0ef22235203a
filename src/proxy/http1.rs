//! HTTP/1.1 towards the servers (RFC 9112), read strictly: what two readers could take for different messages is no
//! answer at all.

mod answer;
mod chunks;
mod content;

pub use answer::{Answer, Read, read_answer};
pub use content::Content;
