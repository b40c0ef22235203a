//! A connection to a server, with at most one request on it. It has no task and no buffers of its own: the request
//! that uses it polls it, and reads through what its thread has.

use super::deadline::Deadline;
use super::http1::{Answer, Content, Read, read_answer};
use super::outgoing::Outgoing;
use super::stream::Stream;
use super::upload::{Piece, Upload};
use super::{Broken, Failed};
use bytes::{BufMut, Bytes, BytesMut};
use http::Method;
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, ReadBuf};

/// The largest head of an answer, in bytes; of interim answers as many, and no more.
const LARGEST_HEAD: usize = 64 * 1024;
/// How much is read at once until it is known how long the answer is.
const FIRST_READ: usize = 16 * 1024;
/// Later; and the most that a slow client keeps of what was read.
const READ: usize = 64 * 1024;

/// What all connections of a thread read and write through.
pub(super) struct Scratch {
    read: Box<[u8]>,
    /// For what is not copied; given away piece by piece.
    large: BytesMut,
    /// For the head of the next request.
    pub(super) write: Vec<u8>,
}

impl Scratch {
    pub(super) fn new() -> Self {
        Self { read: vec![0; READ].into(), large: BytesMut::new(), write: Vec::new() }
    }
}

pub(super) struct Line {
    stream: Stream,
    outgoing: Outgoing,
    /// What was read of a head that is not whole.
    part: Vec<u8>,
    /// How far the answer has come.
    content: Content,
    persistent: bool,
    /// How long the server may take for the head of its answer.
    pub(super) patience: Deadline,
}

impl Line {
    pub(super) fn new(stream: Stream, patience: Duration) -> Self {
        Self {
            stream,
            outgoing: Outgoing::default(),
            part: Vec::new(),
            content: Content::Length(0),
            persistent: true,
            patience: Deadline::after(patience),
        }
    }

    /// Begins a request with this head, and with the first piece of its body if that is there; they are written
    /// while the line is polled.
    pub(super) fn begin(&mut self, head: Vec<u8>, first: Option<&Piece>) {
        self.outgoing.begin(head);
        if let Some(first) = first {
            self.outgoing.put(first.clone());
        }
        // Where its answer ends is known once its head is read.
        (self.content, self.persistent) = (Content::UntilClose, false);
    }

    /// Sends on as far as client and server let it; `upload` is nothing once all of it is on its way.
    pub(super) fn poll_send(
        &mut self,
        upload: &mut Option<Box<Upload>>,
        context: &mut Context<'_>,
        scratch: &mut Scratch,
    ) -> Result<(), Failed> {
        loop {
            if self.outgoing.poll_write(&mut self.stream, context, &mut scratch.write).is_pending() {
                return Ok(());
            }
            // Another connection may still get all of it: then no more of the body must be gone.
            if self.outgoing.is_refused() {
                return Ok(());
            }
            let Some(sending) = upload else { return Ok(()) };
            let Poll::Ready(piece) = sending.poll_piece(context) else { return Ok(()) };
            let piece = piece?;
            if piece.is_last {
                *upload = None;
            }
            self.outgoing.put(piece);
        }
    }

    /// Ready with the head of the answer to a request of that method, and with what came of its body along with it.
    pub(super) fn poll_answer(
        &mut self,
        method: &Method,
        context: &mut Context<'_>,
        scratch: &mut Scratch,
    ) -> Poll<Result<(Box<Answer>, Bytes), Broken>> {
        loop {
            let read = ready!(self.poll_read(FIRST_READ, context, scratch))?;
            if read.is_empty() {
                return Poll::Ready(Err(Broken::Answer("it closed the connection without an answer")));
            }
            if !self.outgoing.has_begun {
                return Poll::Ready(Err(Broken::Answer("it answered before it was asked")));
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
                match read_answer(&bytes[passed..], method)? {
                    Read::Interim(length) => passed += length,
                    Read::Whole(answer, length) => {
                        let rest = &bytes[passed + length..];
                        self.content = answer.content;
                        let (data, taken) = self.content.take(rest)?;
                        // Who speaks unasked could answer somebody else's request.
                        self.persistent = answer.persistent && taken == rest.len();
                        self.part = Vec::new();
                        return Poll::Ready(Ok((answer, data)));
                    }
                    Read::Part => may_be_whole = false,
                }
            }
            if bytes.len() > LARGEST_HEAD {
                return Poll::Ready(Err(Broken::Answer("the head of its answer is too large")));
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
        scratch: &mut Scratch,
    ) -> Poll<Option<Result<Bytes, Broken>>> {
        while !self.content.is_at_end() {
            let data = match self.content {
                Content::Length(left) if left >= FIRST_READ as u64 => {
                    ready!(self.poll_large(left, context, scratch))
                }
                _ => ready!(self.poll_small(context, scratch)),
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
        scratch: &mut Scratch,
    ) -> Poll<Result<Bytes, Broken>> {
        let bytes = ready!(self.poll_read(READ, context, scratch))?;
        if bytes.is_empty() {
            self.content.close()?;
            return Poll::Ready(Ok(Bytes::new()));
        }
        let (data, taken) = self.content.take(bytes)?;
        self.persistent &= taken == bytes.len();
        Poll::Ready(Ok(data))
    }

    /// Read to where it stays, since a copy would cost more than a buffer.
    fn poll_large(
        &mut self,
        left: u64,
        context: &mut Context<'_>,
        scratch: &mut Scratch,
    ) -> Poll<Result<Bytes, Broken>> {
        let most = usize::try_from(left).unwrap_or(READ).min(READ);
        scratch.large.reserve(most);
        let mut buffer = (&mut scratch.large).limit(most);
        if ready!(pin!(self.stream.read_buf(&mut buffer)).poll(context))? == 0 {
            self.content.close()?;
        }
        let data = scratch.large.split().freeze();
        self.content.pass(data.len());
        Poll::Ready(Ok(data))
    }

    fn poll_read<'a>(
        &mut self,
        most: usize,
        context: &mut Context<'_>,
        scratch: &'a mut Scratch,
    ) -> Poll<io::Result<&'a [u8]>> {
        let mut buffer = ReadBuf::new(&mut scratch.read[..most]);
        ready!(Pin::new(&mut self.stream).poll_read(context, &mut buffer))?;
        let length = buffer.filled().len();
        Poll::Ready(Ok(&scratch.read[..length]))
    }

    /// How far the body of the answer has come.
    pub(super) fn content(&self) -> &Content {
        &self.content
    }

    /// Whether the request can be made again on another connection: the server said nothing, and has either got
    /// nothing of it or may be asked twice.
    pub(super) fn can_be_repeated(&self, is_idempotent: bool) -> bool {
        self.part.is_empty() && (is_idempotent || !self.outgoing.has_begun)
    }

    /// Whether all that was put into it is written.
    pub(super) fn is_sent(&self) -> bool {
        self.outgoing.is_done()
    }

    /// Closes the connection after this response.
    pub(super) fn retire(&mut self) {
        self.persistent = false;
    }

    /// Whether it can take another request, once all of the last one's body was sent, and nothing beyond its answer
    /// was read.
    pub(super) fn is_free(&mut self) -> bool {
        self.persistent && self.content.is_at_end() && self.outgoing.is_done() && self.stream.is_drained()
    }

    /// Whether it can still take a request after a rest: the server may have closed it, or said something that is
    /// no answer to that request. To be asked right before the request.
    pub(super) fn is_alive(&mut self) -> bool {
        self.stream.is_quiet()
    }
}
