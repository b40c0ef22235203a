//! Write buffer of an upstream connection: at most the request head and one body chunk, so that a server that stops
//! reading slows its client down.

use super::request_body::BodyChunk;
use super::stream::Stream;
use bytes::{Buf, Bytes};
use std::io::{self, IoSlice, Write as _};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::AsyncWrite;

/// Largest chunk that is copied into the head buffer, in bytes: a copy costs less than a vectored write.
const MAX_COPIED_BYTES: usize = 4096;
/// Largest buffer that is reused for the next request, in bytes.
const MAX_REUSED_BYTES: usize = 64 * 1024;

/// Bytes of a request that are waiting to be written.
#[derive(Default)]
pub(super) struct RequestWriter {
    /// Request head, chunk size line, or a small chunk.
    front: Vec<u8>,
    /// Bytes of `front` that have been written.
    written: usize,
    /// Large chunk, written without a copy.
    data: Bytes,
    /// Delimiter that follows `data` in its framing.
    end: &'static [u8],
    /// True once everything has been flushed: TLS may buffer bytes that it accepted.
    is_flushed: bool,
    /// True once the connection has accepted a byte of this request.
    pub(super) has_begun: bool,
    /// True once a write has failed.
    is_closed: bool,
}

impl RequestWriter {
    /// Starts a request with this head.
    pub(super) fn begin(&mut self, head: Vec<u8>) {
        *self = Self { front: head, ..Self::default() };
    }

    /// Adds the next body chunk; everything before it must have been written.
    pub(super) fn put(&mut self, BodyChunk { data, is_chunked, is_last }: BodyChunk) {
        self.is_flushed = false;
        self.end = match (is_chunked, is_last) {
            (false, _) => b"",
            (true, false) => b"\r\n",
            (true, true) if data.is_empty() => b"0\r\n\r\n",
            (true, true) => b"\r\n0\r\n\r\n",
        };
        if is_chunked && !data.is_empty() {
            // Writing to a `Vec` cannot fail.
            let _ = write!(self.front, "{:x}\r\n", data.len());
        }
        if data.len() <= MAX_COPIED_BYTES {
            self.front.extend_from_slice(&data);
            self.front.extend_from_slice(self.end);
            self.end = b"";
        } else {
            self.data = data;
        }
    }

    /// Returns `true` if everything has been written and the connection is still writable.
    pub(super) fn is_done(&self) -> bool {
        self.is_flushed && !self.is_closed
    }

    /// Returns `true` if the first write of the request failed: the server has received nothing of it.
    pub(super) fn is_unsent(&self) -> bool {
        self.is_closed && !self.has_begun
    }

    /// Returns the number of bytes that the connection has not accepted yet.
    pub(super) fn unwritten_bytes(&self) -> usize {
        self.front.len() - self.written + self.data.len() + self.end.len()
    }

    fn is_empty(&self) -> bool {
        self.unwritten_bytes() == 0
    }

    /// Becomes ready when everything is written, and returns the buffer in `spare`. A server may respond and close
    /// before it has read the request: unwritable bytes are dropped then, so that the response can still be read.
    pub(super) fn poll_write(
        &mut self,
        stream: &mut Stream,
        context: &mut Context<'_>,
        spare: &mut Vec<u8>,
    ) -> Poll<()> {
        if self.is_closed || ready!(self.poll(stream, context)).is_err() {
            self.data = Bytes::new();
            (self.is_closed, self.end) = (true, b"");
        }
        self.is_flushed = true;
        let mut front = std::mem::take(&mut self.front);
        self.written = 0;
        if (1..=MAX_REUSED_BYTES).contains(&front.capacity()) {
            front.clear();
            *spare = front;
        }
        Poll::Ready(())
    }

    fn poll(&mut self, stream: &mut Stream, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut stream = Pin::new(stream);
        while !self.is_empty() {
            let front = &self.front[self.written..];
            let written = if self.data.is_empty() && self.end.is_empty() {
                ready!(stream.as_mut().poll_write(context, front))?
            } else {
                let slices = [IoSlice::new(front), IoSlice::new(&self.data), IoSlice::new(self.end)];
                ready!(stream.as_mut().poll_write_vectored(context, &slices))?
            };
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.has_begun = true;
            self.advance(written);
        }
        stream.poll_flush(context)
    }

    fn advance(&mut self, written: usize) {
        let of_front = written.min(self.front.len() - self.written);
        self.written += of_front;
        let of_data = (written - of_front).min(self.data.len());
        self.data.advance(of_data);
        self.end = &self.end[written - of_front - of_data..];
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;
    use tokio::io::AsyncReadExt;
    use tokio::net::{TcpListener, TcpStream};

    fn chunk(data: &'static [u8], is_chunked: bool, is_last: bool) -> BodyChunk {
        BodyChunk { data: Bytes::from_static(data), is_chunked, is_last }
    }

    async fn pair() -> (Stream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let near = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        (Stream::Plain(near), listener.accept().await.unwrap().0)
    }

    async fn write(writer: &mut RequestWriter, stream: &mut Stream) {
        let mut spare = Vec::new();
        poll_fn(|context| writer.poll_write(stream, context, &mut spare)).await;
    }

    #[tokio::test]
    async fn chunks_of_any_size_are_written_in_their_framing() {
        const LONG: [u8; 2 * MAX_COPIED_BYTES] = [b'x'; 2 * MAX_COPIED_BYTES];
        let (mut near, mut far) = pair().await;
        let mut writer = RequestWriter::default();
        writer.begin(b"head ".to_vec());
        writer.put(chunk(b"hello", true, false));
        write(&mut writer, &mut near).await;
        writer.put(chunk(&LONG, true, false));
        write(&mut writer, &mut near).await;
        writer.put(chunk(b"", true, true));
        write(&mut writer, &mut near).await;
        writer.begin(b" head ".to_vec());
        writer.put(chunk(&LONG, false, false));
        write(&mut writer, &mut near).await;
        assert!(writer.is_done());
        drop(near);
        let mut seen = Vec::new();
        far.read_to_end(&mut seen).await.unwrap();
        let long = str::from_utf8(&LONG).unwrap();
        let expected = format!("head 5\r\nhello\r\n2000\r\n{long}\r\n0\r\n\r\n head {long}");
        assert_eq!(str::from_utf8(&seen).unwrap(), expected);
    }

    #[tokio::test]
    async fn a_request_on_a_reset_connection_is_unsent() {
        let (mut near, far) = pair().await;
        far.set_zero_linger().unwrap();
        drop(far);
        while near.is_idle() {
            tokio::task::yield_now().await;
        }
        let mut writer = RequestWriter::default();
        writer.begin(b"head".to_vec());
        write(&mut writer, &mut near).await;
        assert!(writer.is_unsent() && !writer.is_done());
    }

    #[tokio::test]
    async fn a_request_that_tls_still_buffers_is_not_done() {
        let (mut near, _far) = crate::proxy::stream::tests::tls_pair().await;
        let (mut writer, mut spare) = (RequestWriter::default(), Vec::new());
        writer.begin(b"head".to_vec());
        // Until the socket buffer is full and TLS starts to buffer.
        loop {
            let polled = poll_fn(|context| Poll::Ready(writer.poll_write(&mut near, context, &mut spare)));
            if polled.await.is_pending() {
                break;
            }
            assert!(writer.is_done());
            writer.put(chunk(&[b'x'; MAX_COPIED_BYTES], false, false));
        }
        assert!(!writer.is_done());
    }
}
