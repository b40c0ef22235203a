//! Response bodies that record whether they were read completely.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame};
use tokio::sync::mpsc;

use super::Shared;

/// Exchange that counts as aborted if it is dropped before it is finished.
pub(super) struct Exchange {
    shared: Arc<Shared>,
    finished: bool,
}

impl Exchange {
    pub(super) fn begin(shared: &Arc<Shared>) -> Self {
        Self { shared: Arc::clone(shared), finished: false }
    }

    pub(super) fn finish(&mut self) {
        self.finished = true;
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        if !self.finished {
            self.shared.aborted.add(1);
        }
    }
}

/// Chunk of a [`Feed`]: bytes, or an error that closes the connection.
pub(super) type Chunk = Result<Bytes, io::Error>;

/// Body that another task writes; it ends when all senders are dropped.
pub(super) struct Feed {
    chunks: mpsc::Receiver<Chunk>,
    exchange: Exchange,
}

impl Feed {
    /// Returns the sender and the body.
    pub(super) fn new(shared: &Arc<Shared>) -> (mpsc::Sender<Chunk>, Self) {
        let (sender, chunks) = mpsc::channel(64);
        (sender, Self { chunks, exchange: Exchange::begin(shared) })
    }
}

impl Body for Feed {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let chunk = std::task::ready!(self.chunks.poll_recv(cx));
        if !matches!(chunk, Some(Ok(_))) {
            self.exchange.finish();
        }
        Poll::Ready(chunk.map(|chunk| chunk.map(Frame::data)))
    }
}

/// Body of `left` bytes that are generated while they are read, so that a test can measure back-pressure.
pub(super) struct Big {
    pub(super) left: u64,
    pub(super) exchange: Exchange,
}

const CHUNK: &[u8] = &[b'x'; 64 * 1024];

impl Body for Big {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if self.left == 0 {
            self.exchange.finish();
            return Poll::Ready(None);
        }
        let size = usize::try_from(self.left).map_or(CHUNK.len(), |left| left.min(CHUNK.len()));
        self.left -= size as u64;
        self.exchange.shared.produced.add(size);
        // With a Content-Length, the end of the stream is not polled.
        if self.left == 0 {
            self.exchange.finish();
        }
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(&CHUNK[..size])))))
    }
}
