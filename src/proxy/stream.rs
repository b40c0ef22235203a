//! Byte stream of an upstream connection, with or without TLS.

#[cfg(test)]
pub(super) mod tests;

use super::tls_records::{Records, is_silent};
use rustls::ClientConnection;
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

/// Maximum number of socket reads for TLS messages that arrive on an idle connection: session tickets take one or two.
/// A connection with more is closed.
const MAX_IDLE_READS: usize = 8;

/// TCP connection, or TLS session over one.
pub(super) enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<Records>>),
}

impl Stream {
    /// Returns `true` if the server has neither closed the idle connection nor sent data on it. Costs one system call:
    /// the runtime notices received bytes only at its next poll.
    pub(super) fn is_idle(&mut self) -> bool {
        match self {
            Self::Plain(socket) => is_silent(socket),
            Self::Tls(stream) => {
                let (records, session) = stream.get_mut();
                process_idle_messages(records, session) && is_drained(records, session)
            }
        }
    }

    /// Returns `true` if everything read from the socket was also read from here: TLS buffers neither data, nor an
    /// incomplete record, nor the end of the session. Costs no system call.
    pub(super) fn is_drained(&mut self) -> bool {
        match self {
            Self::Plain(_) => true,
            Self::Tls(stream) => {
                let (records, session) = stream.get_mut();
                is_drained(records, session)
            }
        }
    }

    /// Waits until a new connection is idle: the server may be in the middle of a session ticket.
    ///
    /// # Errors
    /// The server has closed the connection, or sent data before the first request.
    pub(super) async fn settle(&mut self) -> io::Result<()> {
        poll_fn(|context| {
            while !self.is_idle() {
                if self.is_at_boundary() || self.poll_byte(context).is_ready() {
                    let error = "the server closed the connection or sent data before the first request";
                    return Poll::Ready(Err(io::Error::other(error)));
                }
                // The read may have completed the record; then no wake-up would follow.
                if !self.is_at_boundary() {
                    return Poll::Pending;
                }
            }
            Poll::Ready(Ok(()))
        })
        .await
    }

    fn is_at_boundary(&self) -> bool {
        match self {
            Self::Plain(_) => true,
            Self::Tls(stream) => stream.get_ref().0.is_at_boundary(),
        }
    }

    fn poll_byte(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(self).poll_read(context, &mut ReadBuf::new(&mut [0]))
    }
}

/// Feeds received bytes to TLS; returns false at the end of the connection, on a TLS error, or if there are too many.
fn process_idle_messages(records: &mut Records, session: &mut ClientConnection) -> bool {
    for _ in 0..MAX_IDLE_READS {
        if is_silent(&records.socket) {
            return true;
        }
        let read = session.read_tls(&mut records.socket_buffer());
        if !matches!(read, Ok(1..)) || session.process_new_packets().is_err() {
            return false;
        }
    }
    false
}

fn is_drained(records: &Records, session: &mut ClientConnection) -> bool {
    let state = session.process_new_packets();
    records.is_at_boundary()
        && state.is_ok_and(|state| state.plaintext_bytes_to_read() == 0 && !state.peer_has_closed())
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::Tls(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(context, data),
            Self::Tls(stream) => Pin::new(stream).poll_write(context, data),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        data: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write_vectored(context, data),
            Self::Tls(stream) => Pin::new(stream).poll_write_vectored(context, data),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(context),
            Self::Tls(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}
