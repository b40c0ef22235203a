//! A connection's bytes, with TLS or without.

#[cfg(test)]
pub(super) mod tests;

use super::records::{Records, has_nothing};
use rustls::ClientConnection;
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

/// The most that a server may say to TLS between two requests, in reads of the socket: session tickets take one or
/// two. One that says more is not waited for.
const MAX_IDLE_READS: usize = 8;

pub(super) enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<Records>>),
}

impl Stream {
    /// Whether the server has neither closed an idle connection nor begun to say anything on it, by now. Costs one
    /// system call: the runtime learns of what has arrived only when it next polls.
    pub(super) fn is_idle(&mut self) -> bool {
        match self {
            Self::Plain(socket) => has_nothing(socket),
            Self::Tls(stream) => {
                let (records, session) = stream.get_mut();
                process_arrived(records, session) && is_drained(records, session)
            }
        }
    }

    /// Whether all that was read from the socket was also read from here: TLS holds neither data, nor a part of a
    /// record, nor the end of the session. Costs no system call.
    pub(super) fn is_drained(&mut self) -> bool {
        match self {
            Self::Plain(_) => true,
            Self::Tls(stream) => {
                let (records, session) = stream.get_mut();
                is_drained(records, session)
            }
        }
    }

    /// Waits until a new connection is quiet: its server may be in the middle of a session ticket.
    ///
    /// # Errors
    /// The server has closed it, or has sent data before it was asked for any.
    pub(super) async fn settle(&mut self) -> io::Result<()> {
        poll_fn(|context| {
            while !self.is_idle() {
                if self.is_at_boundary() || self.poll_byte(context).is_ready() {
                    return Poll::Ready(Err(io::Error::other("it closed, or answered before it was asked")));
                }
                // The read may have ended the record, and then nothing would wake us.
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

/// Hands what has arrived to TLS, and returns whether it could do anything with it.
fn process_arrived(records: &mut Records, session: &mut ClientConnection) -> bool {
    for _ in 0..MAX_IDLE_READS {
        if has_nothing(&records.socket) {
            return true;
        }
        let read = session.read_tls(&mut records.arrived());
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
