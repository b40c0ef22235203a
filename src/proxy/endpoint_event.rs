//! The first event of the old HTTP+SSE transport (MCP 2024-11-05) says where to post messages: a path of the
//! server's, which must become one of the route.

use super::location::RedirectContext;
use bytes::{Bytes, BytesMut};
use http::HeaderValue;
use std::ops::Range;

/// A first event that is longer is none of ours.
const MAX_EVENT_BYTES: usize = 8 * 1024;
const NAME: &[u8] = b"endpoint";

/// Holds back the beginning of an event stream, as long as it may become an `endpoint` event.
pub(super) struct EndpointEvent {
    held: BytesMut,
    asked: RedirectContext,
}

/// What became of the bytes so far.
pub(super) enum Processed {
    /// More is needed to tell.
    Held,
    /// These go to the client; all that follows goes unseen.
    Done(Bytes),
    /// The event leads out of the target.
    Refused,
}

/// What the beginning of a stream is.
#[derive(Debug, PartialEq, Eq)]
enum First {
    /// It may become an `endpoint` event.
    Unknown,
    Other,
    /// An `endpoint` event; its data stand there.
    Endpoint(Range<usize>),
}

impl EndpointEvent {
    pub(super) fn new(asked: RedirectContext) -> Self {
        Self { held: BytesMut::new(), asked }
    }

    /// Takes more of the stream.
    pub(super) fn pass(&mut self, data: &[u8]) -> Processed {
        self.held.extend_from_slice(data);
        match first(&self.held) {
            First::Unknown if self.held.len() < MAX_EVENT_BYTES => Processed::Held,
            First::Unknown | First::Other => Processed::Done(self.held.split().freeze()),
            First::Endpoint(data) => self.rewritten(data).map_or(Processed::Refused, Processed::Done),
        }
    }

    /// Whether nothing is held.
    pub(super) fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// What is held when the stream ends.
    pub(super) fn rest(mut self) -> Bytes {
        self.held.split().freeze()
    }

    fn rewritten(&self, data: Range<usize>) -> Option<Bytes> {
        let endpoint = HeaderValue::from_bytes(&self.held[data.clone()]).ok()?;
        let endpoint = self.asked.rewritten(&endpoint)?;
        Some([&self.held[..data.start], endpoint.as_bytes(), &self.held[data.end..]].concat().into())
    }
}

/// Reads fields until the first event ends. A stream that begins otherwise than with its name is let through.
fn first(stream: &[u8]) -> First {
    let (mut named, mut data) = (false, None);
    let mut start = 0;
    while let Some(length) = stream[start..].iter().position(|byte| matches!(byte, b'\r' | b'\n')) {
        let end = start + length;
        match (field(&stream[start..end]), &data) {
            ((b"event", NAME), _) if start == 0 => named = true,
            _ if !named => return First::Other,
            ((b"data", value), None) => data = Some(end - value.len()..end),
            ((b"id" | b"retry", _), _) => {}
            (_, Some(data)) if length == 0 => return First::Endpoint(data.clone()),
            (_, _) if stream[start..end].starts_with(b":") => {}
            // Two lines of data are no URL.
            _ => return First::Other,
        }
        start = end + if stream[end..].starts_with(b"\r\n") { 2 } else { 1 };
    }
    let begins = |name: &[u8]| name.starts_with(stream);
    let may_be_named = named || begins(b"event: endpoint") || begins(b"event:endpoint");
    if may_be_named { First::Unknown } else { First::Other }
}

/// A line's name and value; a comment has an empty name.
fn field(connection: &[u8]) -> (&[u8], &[u8]) {
    let Some(colon) = connection.iter().position(|byte| *byte == b':') else { return (connection, b"") };
    let value = &connection[colon + 1..];
    (&connection[..colon], value.strip_prefix(b" ").unwrap_or(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_event_is_known_however_its_lines_end() {
        for stream in [
            "event: endpoint\ndata: /m?s=1\n\n",
            "event:endpoint\r\ndata:/m?s=1\r\n\r\n",
            "event: endpoint\rdata: /m?s=1\r\r",
            "event: endpoint\n: hello\nid: 1\ndata: /m?s=1\n\ndata: more\n\n",
        ] {
            let First::Endpoint(data) = first(stream.as_bytes()) else { panic!("{stream:?}") };
            assert_eq!(&stream[data], "/m?s=1", "{stream:?}");
        }
    }

    #[test]
    fn nothing_is_held_that_cannot_become_an_endpoint_event() {
        for stream in [
            "data: a\n\n",
            "d",
            "event: message\n",
            "event: endpoint2\n",
            "event: m",
            "eventual",
            ": h\n",
            "\n",
        ] {
            assert_eq!(first(stream.as_bytes()), First::Other, "{stream:?}");
        }
        for stream in ["", "e", "event: endp", "event: endpoint", "event: endpoint\ndata: /m\n", "event:end"]
        {
            assert_eq!(first(stream.as_bytes()), First::Unknown, "{stream:?}");
        }
    }
}
