//! A connection to a server, with at most one request on it. It has no task and no buffers of its own: the request
//! that uses it polls it, and reads through what its thread has.

use super::deadline::Deadline;
use super::http1::{BodyFraming, ParsedHead, ResponseHead, parse_response_head};
use super::request_body::{BodyChunk, RequestBody};
use super::request_writer::RequestWriter;
use super::stream::Stream;
use super::{ProxyError, UpstreamError};
use bytes::{BufMut, Bytes, BytesMut};
use http::Method;
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, ReadBuf};

/// The largest head of an answer, in bytes; of interim answers as many, and no more.
const MAX_HEAD_BYTES: usize = 64 * 1024;
/// How much is read at once until it is known how long the answer is.
const FIRST_READ_BYTES: usize = 16 * 1024;
/// Later; and the most that a slow client keeps of what was read.
const READ_BYTES: usize = 64 * 1024;

/// What all connections of a thread read and write through.
pub(super) struct IoBuffers {
    read: Box<[u8]>,
    /// For what is not copied; given away piece by piece.
    large: BytesMut,
    /// For the head of the next request.
    pub(super) write: Vec<u8>,
}

impl IoBuffers {
    pub(super) fn new() -> Self {
        Self { read: vec![0; READ_BYTES].into(), large: BytesMut::new(), write: Vec::new() }
    }
}

pub(super) struct UpstreamConnection {
    stream: Stream,
    writer: RequestWriter,
    /// What was read of a head that is not whole.
    part: Vec<u8>,
    /// How far the answer has come.
    framing: BodyFraming,
    persistent: bool,
    /// How long the server may take for the head of its answer.
    pub(super) response_deadline: Deadline,
}

impl UpstreamConnection {
    pub(super) fn new(stream: Stream, response_deadline: Duration) -> Self {
        Self {
            stream,
            writer: RequestWriter::default(),
            part: Vec::new(),
            framing: BodyFraming::Length(0),
            persistent: true,
            response_deadline: Deadline::after(response_deadline),
        }
    }

    /// Begins a request with this head, and with the first piece of its body if that is there; they are written
    /// while the line is polled.
    pub(super) fn begin(&mut self, head: Vec<u8>, first: Option<&BodyChunk>) {
        self.writer.begin(head);
        if let Some(first) = first {
            self.writer.put(first.clone());
        }
        // Where its answer ends is known once its head is read.
        (self.framing, self.persistent) = (BodyFraming::UntilClose, false);
    }

    /// Sends on as far as client and server let it; `request_body` is nothing once all of it is on its way.
    pub(super) fn poll_send(
        &mut self,
        request_body: &mut Option<Box<RequestBody>>,
        context: &mut Context<'_>,
        buffers: &mut IoBuffers,
    ) -> Result<(), ProxyError> {
        loop {
            if self.writer.poll_write(&mut self.stream, context, &mut buffers.write).is_pending() {
                return Ok(());
            }
            // Another connection may still get all of it: then no more of the body must be gone.
            if self.writer.is_refused() {
                return Ok(());
            }
            let Some(sending) = request_body else { return Ok(()) };
            let Poll::Ready(chunk) = sending.poll_chunk(context) else { return Ok(()) };
            let chunk = chunk?;
            if chunk.is_last {
                *request_body = None;
            }
            self.writer.put(chunk);
        }
    }

    /// Ready with the head of the answer to a request of that method, and with what came of its body along with it.
    pub(super) fn poll_response_head(
        &mut self,
        method: &Method,
        context: &mut Context<'_>,
        buffers: &mut IoBuffers,
    ) -> Poll<Result<(Box<ResponseHead>, Bytes), UpstreamError>> {
        loop {
            let read = ready!(self.poll_read(FIRST_READ_BYTES, context, buffers))?;
            if read.is_empty() {
                return Poll::Ready(Err(UpstreamError::ResponseHead(
                    "it closed the connection without an answer",
                )));
            }
            if !self.writer.has_begun {
                return Poll::Ready(Err(UpstreamError::ResponseHead("it answered before it was asked")));
            }
            let goes_on = !self.part.is_empty();
            if goes_on {
                self.part.extend_from_slice(read);
            }
            let bytes = if goes_on { &self.part } else { read };
            let mut passed = 0;
            // A server that sends byte by byte is not to cost us a look at all of them for each.
            let mut may_be_whole = read.contains(&b'\n');
            while may_be_whole {
                match parse_response_head(&bytes[passed..], method)? {
                    ParsedHead::Interim(length) => passed += length,
                    ParsedHead::Whole(head, length) => {
                        let rest = &bytes[passed + length..];
                        self.framing = head.framing;
                        let (data, taken) = self.framing.take(rest)?;
                        // Who speaks unasked could answer somebody else's request.
                        self.persistent = head.persistent && taken == rest.len();
                        self.part = Vec::new();
                        return Poll::Ready(Ok((head, data)));
                    }
                    ParsedHead::Part => may_be_whole = false,
                }
            }
            if bytes.len() > MAX_HEAD_BYTES {
                return Poll::Ready(Err(UpstreamError::ResponseHead("the head of its answer is too large")));
            }
            if !goes_on {
                self.part.extend_from_slice(read);
            }
        }
    }

    /// Ready with more of the answer's body, never empty, or with nothing at its end.
    pub(super) fn poll_data(
        &mut self,
        context: &mut Context<'_>,
        buffers: &mut IoBuffers,
    ) -> Poll<Option<Result<Bytes, UpstreamError>>> {
        while !self.framing.is_at_end() {
            let data = match self.framing {
                BodyFraming::Length(left) if left >= FIRST_READ_BYTES as u64 => {
                    ready!(self.poll_large(left, context, buffers))
                }
                _ => ready!(self.poll_small(context, buffers)),
            };
            if !matches!(&data, Ok(data) if data.is_empty()) {
                return Poll::Ready(Some(data));
            }
        }
        Poll::Ready(None)
    }

    /// Copied from what all connections read into: a stream that waits for its next event holds nothing.
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

    /// Read to where it stays, since a copy would cost more than a buffer.
    fn poll_large(
        &mut self,
        left: u64,
        context: &mut Context<'_>,
        buffers: &mut IoBuffers,
    ) -> Poll<Result<Bytes, UpstreamError>> {
        let most = usize::try_from(left).unwrap_or(READ_BYTES).min(READ_BYTES);
        buffers.large.reserve(most);
        let mut buffer = (&mut buffers.large).limit(most);
        if ready!(pin!(self.stream.read_buf(&mut buffer)).poll(context))? == 0 {
            self.framing.close()?;
        }
        let data = buffers.large.split().freeze();
        self.framing.pass(data.len());
        Poll::Ready(Ok(data))
    }

    fn poll_read<'a>(
        &mut self,
        most: usize,
        context: &mut Context<'_>,
        buffers: &'a mut IoBuffers,
    ) -> Poll<io::Result<&'a [u8]>> {
        let mut buffer = ReadBuf::new(&mut buffers.read[..most]);
        ready!(Pin::new(&mut self.stream).poll_read(context, &mut buffer))?;
        let length = buffer.filled().len();
        Poll::Ready(Ok(&buffers.read[..length]))
    }

    /// How far the body of the answer has come.
    pub(super) fn framing(&self) -> &BodyFraming {
        &self.framing
    }

    /// Whether the request can be made again on another connection: the server said nothing, and has either got
    /// nothing of it or may be asked twice.
    pub(super) fn can_be_repeated(&self, is_idempotent: bool) -> bool {
        self.part.is_empty() && (is_idempotent || !self.writer.has_begun)
    }

    /// Whether all that was put into it is written.
    pub(super) fn is_sent(&self) -> bool {
        self.writer.is_done()
    }

    /// Closes the connection after this response.
    pub(super) fn retire(&mut self) {
        self.persistent = false;
    }

    /// Whether it can take another request, once all of the last one's body was sent, and nothing beyond its answer
    /// was read.
    pub(super) fn is_free(&mut self) -> bool {
        self.persistent && self.framing.is_at_end() && self.writer.is_done() && self.stream.is_drained()
    }

    /// Whether it can still take a request after a rest: the server may have closed it, or said something that is
    /// no answer to that request. To be asked right before the request.
    pub(super) fn is_reusable(&mut self) -> bool {
        self.stream.is_idle()
    }
}
