//! Rewriting of the `endpoint` event, the first one of the HTTP+SSE transport (MCP 2024-11-05): it names the URL that
//! messages are posted to, which must become one of the route.

use super::location::{OutsideTarget, RedirectContext};
use bytes::{Bytes, BytesMut};
use std::ops::Range;

/// Maximum length of an `endpoint` event, in bytes; a longer first event is passed through.
const MAX_EVENT_BYTES: usize = 8 * 1024;
const NAME: &[u8] = b"endpoint";

/// Buffer for the beginning of an event stream, until it is known whether that is an `endpoint` event.
pub(super) struct EndpointEvent {
    buffered: BytesMut,
    context: RedirectContext,
}

/// Result of processing a chunk of an event stream.
pub(super) enum Processed {
    /// Everything so far is buffered.
    Buffered,
    /// These bytes go to the client; later chunks need no processing.
    Done(Bytes),
    /// The `endpoint` event names a URL outside the target.
    OutsideTarget(Box<OutsideTarget>),
}

/// Classification of the first event of a stream.
#[derive(Debug, PartialEq, Eq)]
enum FirstEvent {
    /// Incomplete; it may become an `endpoint` event.
    Incomplete,
    Other,
    /// An `endpoint` event, with the range of its data.
    Endpoint(Range<usize>),
}

impl EndpointEvent {
    pub(super) fn new(context: RedirectContext) -> Self {
        Self { buffered: BytesMut::new(), context }
    }

    /// Processes the next chunk of the stream.
    pub(super) fn process(&mut self, data: &[u8]) -> Processed {
        self.buffered.extend_from_slice(data);
        match first_event(&self.buffered) {
            FirstEvent::Incomplete if self.buffered.len() < MAX_EVENT_BYTES => Processed::Buffered,
            FirstEvent::Incomplete | FirstEvent::Other => Processed::Done(self.buffered.split().freeze()),
            FirstEvent::Endpoint(data) => {
                self.rewrite(data).map_or_else(Processed::OutsideTarget, Processed::Done)
            }
        }
    }

    /// Returns true if nothing is buffered.
    pub(super) fn is_empty(&self) -> bool {
        self.buffered.is_empty()
    }

    /// Returns the buffered bytes at the end of the stream.
    pub(super) fn rest(mut self) -> Bytes {
        self.buffered.split().freeze()
    }

    fn rewrite(&self, data: Range<usize>) -> Result<Bytes, Box<OutsideTarget>> {
        let endpoint = self.context.rewrite(&self.buffered[data.clone()])?;
        Ok([&self.buffered[..data.start], endpoint.as_bytes(), &self.buffered[data.end..]].concat().into())
    }
}

/// Parses the fields of the first event. A stream that does not begin with an `event` field is passed through.
fn first_event(stream: &[u8]) -> FirstEvent {
    let (mut named, mut data) = (false, None);
    let mut start = 0;
    while let Some(length) = stream[start..].iter().position(|byte| matches!(byte, b'\r' | b'\n')) {
        let end = start + length;
        match (field(&stream[start..end]), &data) {
            ((b"event", NAME), _) if start == 0 => named = true,
            _ if !named => return FirstEvent::Other,
            ((b"data", value), None) => data = Some(end - value.len()..end),
            ((b"id" | b"retry", _), _) => {}
            (_, Some(data)) if length == 0 => return FirstEvent::Endpoint(data.clone()),
            (_, _) if stream[start..end].starts_with(b":") => {}
            // A second `data` line: not a URL.
            _ => return FirstEvent::Other,
        }
        start = end + if stream[end..].starts_with(b"\r\n") { 2 } else { 1 };
    }
    let begins = |name: &[u8]| name.starts_with(stream);
    let may_be_named = named || begins(b"event: endpoint") || begins(b"event:endpoint");
    if may_be_named { FirstEvent::Incomplete } else { FirstEvent::Other }
}

/// Splits a line into field name and value; a comment has an empty name.
fn field(line: &[u8]) -> (&[u8], &[u8]) {
    let Some(colon) = line.iter().position(|byte| *byte == b':') else { return (line, b"") };
    let value = &line[colon + 1..];
    (&line[..colon], value.strip_prefix(b" ").unwrap_or(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_event_is_recognized_with_any_line_ending() {
        for stream in [
            "event: endpoint\ndata: /m?s=1\n\n",
            "event:endpoint\r\ndata:/m?s=1\r\n\r\n",
            "event: endpoint\rdata: /m?s=1\r\r",
            "event: endpoint\n: hello\nid: 1\ndata: /m?s=1\n\ndata: more\n\n",
        ] {
            let FirstEvent::Endpoint(data) = first_event(stream.as_bytes()) else { panic!("{stream:?}") };
            assert_eq!(&stream[data], "/m?s=1", "{stream:?}");
        }
    }

    #[test]
    fn only_the_prefix_of_an_endpoint_event_is_buffered() {
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
            assert_eq!(first_event(stream.as_bytes()), FirstEvent::Other, "{stream:?}");
        }
        for stream in ["", "e", "event: endp", "event: endpoint", "event: endpoint\ndata: /m\n", "event:end"]
        {
            assert_eq!(first_event(stream.as_bytes()), FirstEvent::Incomplete, "{stream:?}");
        }
    }
}
