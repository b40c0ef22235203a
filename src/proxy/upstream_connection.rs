//! HTTP/1.1 client connection with at most one request in flight. It has neither a task nor buffers of its own: the
//! request polls it, and all connections of a thread share its I/O buffers.

use super::UpstreamError;
use super::deadline::Deadline;
use super::http1::{BodyFraming, KeepAlive, ParsedHead, ResponseHead, Violation, parse_response_head};
use super::request_body::{BodyChunk, RequestBody, RequestBodyError};
use super::request_writer::RequestWriter;
use super::stream::Stream;

use bytes::{BufMut, Bytes, BytesMut};
use http::Method;
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, ReadBuf};

/// Maximum size of a response head, including interim responses, in bytes.
const MAX_HEAD_BYTES: usize = 64 * 1024;
/// Size of a read before the response head is complete, in bytes; a longer rest of a body is read without a copy.
const FIRST_READ_BYTES: usize = 16 * 1024;
/// Size of later reads, in bytes; also the maximum that is buffered for a slow client.
const READ_BYTES: usize = 64 * 1024;

/// Time before the announced end of an idle connection in which it is not used: a request takes some time to arrive.
const IDLE_TIMEOUT_MARGIN: Duration = Duration::from_secs(1);

/// I/O buffers that all connections of a thread share.
pub(super) struct IoBuffers {
    read: Box<[u8]>,
    /// Buffer for reads without a copy; filled parts are split off.
    large: BytesMut,
    /// Buffer for the head of the next request.
    pub(super) write: Vec<u8>,
}

impl IoBuffers {
    pub(super) fn new() -> Self {
        Self { read: vec![0; READ_BYTES].into(), large: BytesMut::new(), write: Vec::new() }
    }
}

/// HTTP/1.1 client connection to an MCP server.
pub(super) struct UpstreamConnection {
    stream: Stream,
    writer: RequestWriter,
    /// Incomplete response head.
    partial_head: Vec<u8>,
    /// Framing of the response body, with the position in it.
    framing: BodyFraming,
    persistent: bool,
    /// Idle timeout of the server, less a margin, if it has announced one.
    idle_timeout: Option<Duration>,
    /// Number of further requests that the server accepts.
    requests_left: u64,
    /// Deadline for the response head; during an upload, for its progress; within the body, for the next byte.
    pub(super) response_deadline: Deadline,
    /// Unwritten bytes of the request when `response_deadline` was set for the next byte of the body, if it is set.
    unwritten_at_wait: Option<usize>,
}

impl UpstreamConnection {
    pub(super) fn new(stream: Stream, response_deadline: Duration) -> Self {
        Self {
            stream,
            writer: RequestWriter::default(),
            partial_head: Vec::new(),
            framing: BodyFraming::Length(0),
            persistent: true,
            idle_timeout: None,
            requests_left: u64::MAX,
            response_deadline: Deadline::after(response_deadline),
            unwritten_at_wait: None,
        }
    }

    /// Starts a request with this head and the first body chunk, if any; polling writes them.
    pub(super) fn begin(&mut self, head: Vec<u8>, first: Option<&BodyChunk>) {
        self.writer.begin(head);
        if let Some(first) = first {
            self.writer.put(first.clone());
        }
        // Not reusable until the response head says how the response ends.
        (self.framing, self.persistent) = (BodyFraming::UntilClose, false);
    }

    /// Sends as much of the request as client and server allow; sets `request_body` to `None` after the last chunk.
    pub(super) fn poll_send(
        &mut self,
        request_body: &mut Option<Box<RequestBody>>,
        context: &mut Context<'_>,
        buffers: &mut IoBuffers,
    ) -> Result<(), RequestBodyError> {
        loop {
            if self.writer.poll_write(&mut self.stream, context, &mut buffers.write).is_pending() {
                return Ok(());
            }
            // The request may be retried on another connection, so that no more of the body may be consumed.
            if self.writer.is_unsent() {
                return Ok(());
            }
            let Some(sending) = request_body else { return Ok(()) };
            let Poll::Ready(chunk) = sending.poll_chunk(context) else { return Ok(()) };
            let chunk = chunk?;
            if chunk.is_last {
                *request_body = None;
            }
            self.writer.put(chunk);
            self.unwritten_at_wait = None;
        }
    }

    /// Becomes ready with the response head, and the body bytes that arrived with it.
    pub(super) fn poll_response_head(
        &mut self,
        method: &Method,
        context: &mut Context<'_>,
        buffers: &mut IoBuffers,
    ) -> Poll<Result<(Box<ResponseHead>, Bytes), UpstreamError>> {
        loop {
            let read = ready!(self.poll_read(FIRST_READ_BYTES, context, buffers))?;
            if read.is_empty() {
                return Poll::Ready(Err(Violation::NoResponse.into()));
            }
            if !self.writer.has_begun {
                return Poll::Ready(Err(Violation::EarlyResponse.into()));
            }
            let is_continued = !self.partial_head.is_empty();
            if is_continued {
                self.partial_head.extend_from_slice(read);
            }
            let bytes = if is_continued { &self.partial_head } else { read };
            let mut interim_bytes = 0;
            // Parsed only after a line end: a server that sends single bytes must not cost a parse for each.
            let mut may_be_complete = read.contains(&b'\n');
            while may_be_complete {
                match parse_response_head(&bytes[interim_bytes..], method)? {
                    ParsedHead::Interim(length) => interim_bytes += length,
                    ParsedHead::Whole(head, length) => {
                        let rest = &bytes[interim_bytes + length..];
                        self.framing = head.framing;
                        let (data, taken) = self.framing.take(rest)?;
                        // Bytes beyond the response could be read as the response to another request.
                        self.persistent = head.persistent && taken == rest.len();
                        self.limit(head.keep_alive);
                        self.partial_head = Vec::new();
                        return Poll::Ready(Ok((head, data)));
                    }
                    ParsedHead::Part => may_be_complete = false,
                }
            }
            if bytes.len() > MAX_HEAD_BYTES {
                return Poll::Ready(Err(Violation::HeadTooLarge.into()));
            }
            if !is_continued {
                self.partial_head.extend_from_slice(read);
            }
        }
    }

    /// Applies what a response announces of its connection.
    fn limit(&mut self, KeepAlive { timeout, max_requests }: KeepAlive) {
        if let Some(timeout) = timeout {
            self.idle_timeout = Some(timeout.saturating_sub(IDLE_TIMEOUT_MARGIN));
        }
        let announced = max_requests.map_or(u64::MAX, |max| max.saturating_sub(1));
        self.requests_left = self.requests_left.saturating_sub(1).min(announced);
        self.persistent &= self.requests_left > 0 && self.idle_timeout != Some(Duration::ZERO);
    }

    /// Becomes ready with the next body data, never empty, or with `None` at the end of the body.
    pub(super) fn poll_data(
        &mut self,
        context: &mut Context<'_>,
        buffers: &mut IoBuffers,
    ) -> Poll<Option<Result<Bytes, UpstreamError>>> {
        while !self.framing.is_at_end() {
            let data = match self.framing {
                BodyFraming::Length(remaining) if remaining >= FIRST_READ_BYTES as u64 => {
                    ready!(self.poll_large(remaining, context, buffers))
                }
                _ => ready!(self.poll_small(context, buffers)),
            };
            if !matches!(&data, Ok(data) if data.is_empty()) {
                return Poll::Ready(Some(data));
            }
        }
        Poll::Ready(None)
    }

    /// Becomes ready when the server has neither sent nor accepted a byte for this long. To be polled only while
    /// [`Self::poll_data`] is pending: a client that does not read stops the reads, and not the server.
    pub(super) fn poll_idle_timeout(&mut self, timeout: Duration, context: &mut Context<'_>) -> Poll<()> {
        let unwritten = self.writer.unwritten_bytes();
        if self.unwritten_at_wait.replace(unwritten) != Some(unwritten) {
            self.response_deadline.set(timeout);
        }
        self.response_deadline.poll(context)
    }

    /// Reads into the shared buffer and copies: a stream that waits for its next event holds no buffer.
    fn poll_small(
        &mut self,
        context: &mut Context<'_>,
        buffers: &mut IoBuffers,
    ) -> Poll<Result<Bytes, UpstreamError>> {
        let bytes = ready!(self.poll_read(READ_BYTES, context, buffers))?;
        if bytes.is_empty() {
            self.framing.close()?;
            return Poll::Ready(Ok(Bytes::new()));
        }
        let (data, taken) = self.framing.take(bytes)?;
        self.persistent &= taken == bytes.len();
        Poll::Ready(Ok(data))
    }

    /// Reads into a buffer of its own: for large bodies a copy would cost more than an allocation.
    fn poll_large(
        &mut self,
        remaining: u64,
        context: &mut Context<'_>,
        buffers: &mut IoBuffers,
    ) -> Poll<Result<Bytes, UpstreamError>> {
        let max_bytes = usize::try_from(remaining).unwrap_or(READ_BYTES).min(READ_BYTES);
        buffers.large.reserve(max_bytes);
        let mut buffer = (&mut buffers.large).limit(max_bytes);
        if ready!(pin!(self.stream.read_buf(&mut buffer)).poll(context))? == 0 {
            self.framing.close()?;
        }
        self.unwritten_at_wait = None;
        let data = buffers.large.split().freeze();
        self.framing.advance(data.len());
        Poll::Ready(Ok(data))
    }

    fn poll_read<'a>(
        &mut self,
        max_bytes: usize,
        context: &mut Context<'_>,
        buffers: &'a mut IoBuffers,
    ) -> Poll<io::Result<&'a [u8]>> {
        let mut buffer = ReadBuf::new(&mut buffers.read[..max_bytes]);
        ready!(Pin::new(&mut self.stream).poll_read(context, &mut buffer))?;
        let length = buffer.filled().len();
        self.unwritten_at_wait = None;
        Poll::Ready(Ok(&buffers.read[..length]))
    }

    /// Returns the framing of the response body, with the position in it.
    pub(super) fn framing(&self) -> &BodyFraming {
        &self.framing
    }

    /// Returns `true` if the request may be retried on another connection (RFC 9110 §9.2.2): no response byte has
    /// arrived, and the request is idempotent or was not sent. Over TLS, a failed write may have sent a part.
    pub(super) fn can_retry(&self, is_idempotent: bool) -> bool {
        let is_unsent = !self.writer.has_begun && matches!(self.stream, Stream::Plain(_));
        self.partial_head.is_empty() && (is_idempotent || is_unsent)
    }

    /// Returns `true` if everything handed to the connection has been written.
    pub(super) fn is_sent(&self) -> bool {
        self.writer.is_done()
    }

    /// Returns the time for which the connection may be idle, if its server has announced that.
    pub(super) fn idle_timeout(&self) -> Option<Duration> {
        self.idle_timeout
    }

    /// Closes the connection after this response.
    pub(super) fn retire(&mut self) {
        self.persistent = false;
    }

    /// Returns `true` if the connection may go back to the pool: the request was sent, the response was read to its end,
    /// and nothing beyond it was read.
    pub(super) fn is_releasable(&mut self) -> bool {
        self.persistent && self.framing.is_at_end() && self.writer.is_done() && self.stream.is_drained()
    }

    /// Returns `true` if an idle connection can carry a request: the server has neither closed it nor sent anything. To
    /// be called right before the request.
    pub(super) fn is_reusable(&mut self) -> bool {
        self.stream.is_idle()
    }
}

#[cfg(test)]
mod tests;
