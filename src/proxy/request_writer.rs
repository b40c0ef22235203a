//! What is on its way to a server: at most a head and one piece of the body, so that a server that takes nothing
//! holds its client back.

use super::request_body::BodyChunk;
use super::stream::Stream;
use bytes::{Buf, Bytes};
use std::io::{self, IoSlice, Write as _};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::AsyncWrite;

/// Pieces up to this length are copied behind what goes before them: a copy costs less than a second slice.
const SMALL: usize = 4096;
/// The largest buffer that is kept for the next request.
const KEPT: usize = 64 * 1024;

/// Bytes that wait to be written.
#[derive(Default)]
pub(super) struct RequestWriter {
    /// A head, a chunk's size, a small piece.
    front: Vec<u8>,
    /// How much of it is written.
    at: usize,
    /// A piece of the body that is not copied.
    data: Bytes,
    /// What ends its chunk.
    end: &'static [u8],
    /// Whether all of it has left: TLS may hold what it has taken.
    is_flushed: bool,
    /// Whether the connection has taken any byte of this request.
    pub(super) has_begun: bool,
    /// Whether it takes no more.
    is_closed: bool,
}

impl RequestWriter {
    /// A request begins with these bytes.
    pub(super) fn begin(&mut self, head: Vec<u8>) {
        *self = Self { front: head, ..Self::default() };
    }

    /// The next piece of a body, after all before it was written.
    pub(super) fn put(&mut self, BodyChunk { data, is_chunk, is_last }: BodyChunk) {
        self.is_flushed = false;
        self.end = match (is_chunk, is_last) {
            (false, _) => b"",
            (true, false) => b"\r\n",
            (true, true) if data.is_empty() => b"0\r\n\r\n",
            (true, true) => b"\r\n0\r\n\r\n",
        };
        if is_chunk && !data.is_empty() {
            // Writing to a vector does not fail.
            let _ = write!(self.front, "{:x}\r\n", data.len());
        }
        if data.len() <= SMALL {
            self.front.extend_from_slice(&data);
            self.front.extend_from_slice(self.end);
            self.end = b"";
        } else {
            self.data = data;
        }
    }

    /// Whether all was written, and more could be.
    pub(super) fn is_done(&self) -> bool {
        self.is_flushed && !self.is_closed
    }

    /// Whether the connection took nothing of the request and will not.
    pub(super) fn is_refused(&self) -> bool {
        self.is_closed && !self.has_begun
    }

    fn is_empty(&self) -> bool {
        self.at == self.front.len() && self.data.is_empty() && self.end.is_empty()
    }

    /// Ready when all is written; `spare` gets the buffer then. A server may answer, close, and leave the rest of
    /// the request unread: what can no longer be written is thrown away, since what it said is there to be read.
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
        self.at = 0;
        if (1..=KEPT).contains(&front.capacity()) {
            front.clear();
            *spare = front;
        }
        Poll::Ready(())
    }

    fn poll(&mut self, stream: &mut Stream, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut stream = Pin::new(stream);
        while !self.is_empty() {
            let front = &self.front[self.at..];
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
        let of_front = written.min(self.front.len() - self.at);
        self.at += of_front;
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

    fn chunk(data: &'static [u8], is_chunk: bool, is_last: bool) -> BodyChunk {
        BodyChunk { data: Bytes::from_static(data), is_chunk, is_last }
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
    async fn pieces_go_out_in_their_framing_however_long_they_are() {
        const LONG: [u8; 2 * SMALL] = [b'x'; 2 * SMALL];
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
    async fn a_connection_that_its_server_has_reset_took_nothing() {
        let (mut near, far) = pair().await;
        far.set_zero_linger().unwrap();
        drop(far);
        while near.is_idle() {
            tokio::task::yield_now().await;
        }
        let mut writer = RequestWriter::default();
        writer.begin(b"head".to_vec());
        write(&mut writer, &mut near).await;
        assert!(writer.is_refused() && !writer.is_done());
    }

    #[tokio::test]
    async fn a_request_of_which_tls_still_holds_a_part_is_not_done() {
        let (mut near, _far) = crate::proxy::stream::tests::tls_pair().await;
        let (mut writer, mut spare) = (RequestWriter::default(), Vec::new());
        writer.begin(b"head".to_vec());
        // Until the kernel takes no more, and TLS still does.
        loop {
            let polled = poll_fn(|context| Poll::Ready(writer.poll_write(&mut near, context, &mut spare)));
            if polled.await.is_pending() {
                break;
            }
            assert!(writer.is_done());
            writer.put(chunk(&[b'x'; SMALL], false, false));
        }
        assert!(!writer.is_done());
    }
}
