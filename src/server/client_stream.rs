//! Socket of a client connection, which is never closed with unread bytes.
//!
//! Closing a socket whose receive buffer is not empty resets the connection: the client may lose a response that it has
//! not read yet (RFC 9112 §9.6).

use super::connection_state::ConnectionState;
use rustix::io::Errno;
use rustix::net::{RecvFlags, recv};
use std::future::Future;
use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep};

/// Time for the client to close its side after ours.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);
/// Size of the buffer for bytes that are discarded meanwhile, and the maximum number of them.
const DISCARD_BUFFER_BYTES: usize = 4096;
const MAX_DISCARDED_BYTES: usize = 256 * 1024;

/// Socket that records in its connection's state which data has arrived and which waits to be sent.
pub(super) struct ClientStream {
    stream: TcpStream,
    state: Rc<ConnectionState>,
    /// True once our side is closed.
    is_shut_down: bool,
    discarded_bytes: usize,
    close_timer: Option<Pin<Box<Sleep>>>,
}

impl ClientStream {
    pub(super) fn new(stream: TcpStream, state: Rc<ConnectionState>) -> Self {
        Self { stream, state, is_shut_down: false, discarded_bytes: 0, close_timer: None }
    }

    /// Reads from the socket although the runtime has not been told that there is something to read.
    fn read_now(&self, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match recv(&self.stream, buffer.initialize_unfilled(), RecvFlags::DONTWAIT) {
            Ok((length, _)) => {
                buffer.advance(length);
                Poll::Ready(Ok(()))
            }
            Err(Errno::AGAIN) => Poll::Pending,
            Err(error) => Poll::Ready(Err(error.into())),
        }
    }

    /// Reads and discards until the client has closed its side, sends too much, or the connection is broken.
    fn poll_closed(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let mut bytes = [MaybeUninit::uninit(); DISCARD_BUFFER_BYTES];
        loop {
            let mut discarded = ReadBuf::uninit(&mut bytes);
            let read = ready!(Pin::new(&mut self.stream).poll_read(context, &mut discarded));
            self.discarded_bytes += discarded.filled().len();
            if read.is_err() || discarded.filled().is_empty() || self.discarded_bytes > MAX_DISCARDED_BYTES {
                return Poll::Ready(());
            }
        }
    }
}

impl AsyncRead for ClientStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let unread = buffer.remaining();
        let mut polled = Pin::new(&mut self.stream).poll_read(context, buffer);
        if polled.is_pending() && self.state.is_closing() {
            polled = self.read_now(buffer);
        }
        if buffer.remaining() < unread {
            self.state.note_received();
        }
        polled
    }
}

impl AsyncWrite for ClientStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(context, data);
        self.state.set_write_pending(polled.is_pending());
        polled
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        data: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write_vectored(context, data);
        self.state.set_write_pending(polled.is_pending());
        polled
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.is_shut_down {
            ready!(Pin::new(&mut self.stream).poll_shutdown(context))?;
            self.is_shut_down = true;
        }
        if self.poll_closed(context).is_ready() {
            return Poll::Ready(Ok(()));
        }
        self.close_timer.get_or_insert_with(|| Box::pin(sleep(CLOSE_TIMEOUT))).as_mut().poll(context).map(Ok)
    }
}
