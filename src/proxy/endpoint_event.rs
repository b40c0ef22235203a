//! Rewriting of `endpoint` events of the HTTP+SSE transport (MCP 2024-11-05): they name the URL that messages are posted
//! to, which must become one of the route.

use super::location::{OutsideTarget, RedirectContext};
use bytes::{Bytes, BytesMut};
use gateway_routes::Route;
use thiserror::Error;

/// Maximum length of an `endpoint` event, in bytes. A longer event is passed on line by line.
const MAX_EVENT_BYTES: usize = 8 * 1024;
const NAME: &[u8] = b"endpoint";
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Parser of an event stream (HTML standard §9.2.6) that passes on whole events, and `endpoint` events with the URL of
/// the route.
pub(super) struct EndpointEvents {
    context: RedirectContext,
    /// Bytes that were not passed on: the beginning of an event or, if that is long, of a line.
    held: BytesMut,
    line: Line,
    event: Event,
    /// The stream may still begin with a byte order mark.
    is_at_start: bool,
}

/// Incomplete line.
#[derive(Default)]
struct Line {
    /// Offset in the held bytes.
    start: usize,
    /// The beginning of the line has been passed on.
    is_inside: bool,
    /// The line before ended with CR: an LF would belong to it.
    after_return: bool,
}

/// Incomplete event.
#[derive(Default)]
struct Event {
    /// The beginning of the event has been passed on.
    is_long: bool,
    is_named_endpoint: bool,
}

/// Error of an `endpoint` event that cannot be rewritten.
#[derive(Debug, Error)]
pub enum EndpointError {
    /// The URL, which would receive the client's messages, is not the target's.
    #[error("the endpoint event names a URL outside the target")]
    OutsideTarget(#[source] Box<OutsideTarget>),
    /// The event is longer than [`MAX_EVENT_BYTES`].
    #[error("the endpoint event is longer than {MAX_EVENT_BYTES} bytes")]
    TooLong,
}

/// Bytes that are being processed, with offsets in them.
#[derive(Default)]
struct Chunk {
    input: Bytes,
    /// Beginning of the incomplete event, or of the part of it that was not passed on.
    event: usize,
    /// Beginning of the incomplete line.
    line: usize,
    /// Bytes to pass on in place of those before `copied`, once an event was rewritten.
    rewritten: BytesMut,
    copied: usize,
}

impl EndpointEvents {
    pub(super) fn new(context: RedirectContext) -> Self {
        Self {
            context,
            held: BytesMut::new(),
            line: Line::default(),
            event: Event::default(),
            is_at_start: true,
        }
    }

    /// Processes the next chunk of the stream and returns what can be passed on, which may be nothing.
    pub(super) fn process(&mut self, data: Bytes) -> Result<Bytes, EndpointError> {
        let mut chunk = Chunk { input: self.join(data), event: 0, line: self.line.start, ..Chunk::default() };
        if self.is_at_start {
            if chunk.input.len() < BYTE_ORDER_MARK.len() && BYTE_ORDER_MARK.starts_with(&chunk.input) {
                self.held.extend_from_slice(&chunk.input);
                return Ok(Bytes::new());
            }
            self.is_at_start = false;
            chunk.skip_byte_order_mark();
        }
        if self.line.after_return && !chunk.input.is_empty() {
            self.line.after_return = false;
            chunk.skip_line_feed();
        }
        while let Some(next) = next_line(&chunk.input, chunk.line) {
            self.end_line(&mut chunk, next)?;
        }
        self.event.is_long |= chunk.input.len() - chunk.event > MAX_EVENT_BYTES;
        self.check_length()?;
        if self.event.is_long {
            chunk.event = self.pass_line(&chunk);
            chunk.line = chunk.event;
        }
        self.held.extend_from_slice(&chunk.input[chunk.event..]);
        self.line.start = chunk.line - chunk.event;
        Ok(chunk.finish())
    }

    /// Processes the line that ends before `next`.
    fn end_line(&mut self, chunk: &mut Chunk, next: usize) -> Result<(), EndpointError> {
        let content = line_content(&chunk.input[chunk.line..next]);
        let is_blank = content.is_empty() && !self.line.is_inside;
        if let (b"event", value) = field(content)
            && !self.line.is_inside
        {
            self.event.is_named_endpoint = value == NAME;
        }
        self.line.is_inside = false;
        self.line.after_return = next == chunk.input.len() && chunk.input.ends_with(b"\r");
        chunk.line = next;
        self.event.is_long |= next - chunk.event > MAX_EVENT_BYTES;
        self.check_length()?;
        if is_blank && self.event.is_named_endpoint {
            chunk.rewrite(&self.context, next)?;
        }
        if is_blank || self.event.is_long {
            chunk.event = next;
        }
        if is_blank {
            self.event = Event::default();
        }
        Ok(())
    }

    /// Returns `true` if nothing is held back.
    pub(super) fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// Returns `true` if what was passed on ends between two events.
    pub(super) fn is_between_events(&self) -> bool {
        !self.event.is_long
    }

    /// Returns the rest at the end of the stream: an incomplete event, which parsers ignore.
    pub(super) fn rest(&mut self) -> Bytes {
        self.held.split().freeze()
    }

    fn join(&mut self, data: Bytes) -> Bytes {
        if self.held.is_empty() {
            return data;
        }
        self.held.extend_from_slice(&data);
        self.held.split().freeze()
    }

    fn check_length(&self) -> Result<(), EndpointError> {
        if self.event.is_long && self.event.is_named_endpoint { Err(EndpointError::TooLong) } else { Ok(()) }
    }

    /// Passes on the beginning of an incomplete line of a long event, unless the line may become `event: endpoint`.
    /// Returns the end of what can be passed on.
    fn pass_line(&mut self, chunk: &Chunk) -> usize {
        let rest = &chunk.input[chunk.line..];
        let may_name = [&b"event: endpoint"[..], b"event:endpoint"].iter().any(|name| name.starts_with(rest));
        if may_name && !self.line.is_inside {
            return chunk.line;
        }
        self.line.is_inside = true;
        chunk.input.len()
    }
}

impl Chunk {
    /// Drops a byte order mark. A comment has been sent before: behind it, the mark would be part of a field name.
    fn skip_byte_order_mark(&mut self) {
        if self.input.starts_with(BYTE_ORDER_MARK) {
            (self.event, self.line) = (BYTE_ORDER_MARK.len(), BYTE_ORDER_MARK.len());
            self.copied = BYTE_ORDER_MARK.len();
        }
    }

    /// Skips the LF of a CR LF that was split.
    fn skip_line_feed(&mut self) {
        if self.input[self.line..].starts_with(b"\n") {
            self.event += usize::from(self.event == self.line);
            self.line += 1;
        }
    }

    /// Rewrites the `endpoint` event that ends at `end`. One without data is ignored by parsers.
    fn rewrite(&mut self, context: &RedirectContext, end: usize) -> Result<(), EndpointError> {
        let event = &self.input[self.event..end];
        let is_data = |line: &&[u8]| field(line_content(line)).0 == b"data";
        let values: Vec<&[u8]> =
            lines(event).filter(is_data).map(|line| field(line_content(line)).1).collect();
        if values.is_empty() {
            return Ok(());
        }
        let url = context.rewrite(&values.join(&b'\n')).map_err(EndpointError::OutsideTarget)?;
        let mut url = Some(url);
        self.rewritten.extend_from_slice(&self.input[self.copied..self.event]);
        for line in lines(event) {
            if !is_data(&line) {
                self.rewritten.extend_from_slice(line);
                continue;
            }
            let end = &line[line_content(line).len()..];
            // Further lines become comments: without one, a CR before it and an LF behind it would be one line end.
            let line = url.take().map_or_else(|| b":".to_vec(), |url| [b"data: ", url.as_bytes()].concat());
            self.rewritten.extend_from_slice(&line);
            self.rewritten.extend_from_slice(end);
        }
        self.copied = end;
        Ok(())
    }

    /// Returns the bytes to pass on.
    fn finish(mut self) -> Bytes {
        if self.rewritten.is_empty() {
            return self.input.slice(self.copied..self.event);
        }
        self.rewritten.extend_from_slice(&self.input[self.copied..self.event]);
        self.rewritten.freeze()
    }
}

/// Rewrites the `endpoint` events of a stream that arrives in these chunks, as a response to the upstream request with
/// this path and query.
///
/// # Errors
/// An `endpoint` event cannot be rewritten: the stream is to be closed.
pub fn rewrite_endpoint_events<'a>(
    chunks: impl IntoIterator<Item = &'a [u8]>,
    requested: &str,
    route: &'static Route,
    base_url: &str,
) -> Result<Vec<u8>, EndpointError> {
    let context = RedirectContext { route, path: requested.to_owned(), base_url: base_url.into() };
    let (mut events, mut passed) = (EndpointEvents::new(context), Vec::new());
    for chunk in chunks {
        passed.extend_from_slice(&events.process(Bytes::copy_from_slice(chunk))?);
    }
    passed.extend_from_slice(&events.rest());
    Ok(passed)
}

/// Returns the offset behind the line that begins at `start`; `None` if the line is incomplete.
fn next_line(input: &[u8], start: usize) -> Option<usize> {
    let end = start + input[start..].iter().position(|byte| matches!(byte, b'\r' | b'\n'))?;
    Some(end + if input[end..].starts_with(b"\r\n") { 2 } else { 1 })
}

/// Splits complete lines behind each end.
fn lines(mut input: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let (line, rest) = input.split_at(next_line(input, 0)?);
        input = rest;
        Some(line)
    })
}

/// Returns the line without its end.
fn line_content(line: &[u8]) -> &[u8] {
    let end = line.iter().position(|byte| matches!(byte, b'\r' | b'\n')).unwrap_or(line.len());
    &line[..end]
}

/// Splits a line into field name and value; a comment has an empty name.
fn field(line: &[u8]) -> (&[u8], &[u8]) {
    let Some(colon) = line.iter().position(|byte| *byte == b':') else { return (line, b"") };
    let value = &line[colon + 1..];
    (&line[..colon], value.strip_prefix(b" ").unwrap_or(value))
}

#[cfg(test)]
mod tests;
