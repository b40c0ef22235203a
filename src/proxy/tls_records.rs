//! Socket of a TLS session that tracks the boundaries of TLS records.

use socket2::SockRef;
use std::io::{self, IoSlice, Read};
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// Length of a record header in bytes: type, version and length (RFC 8446 §5.1).
const HEADER_BYTES: u8 = 5;

/// Socket that carries TLS records. rustls does not expose whether it holds an incomplete record, so that their
/// headers are parsed here.
pub(super) struct Records {
    pub(super) socket: TcpStream,
    position: Position,
}

/// Read position within the sequence of records.
#[derive(Debug, Default)]
struct Position {
    /// Bytes read of the record header; 0 within the fragment.
    header: u8,
    /// Remaining bytes of the fragment.
    remaining: u16,
}

impl Records {
    pub(super) fn new(socket: TcpStream) -> Self {
        Self { socket, position: Position::default() }
    }

    /// Returns true between two records.
    pub(super) fn is_at_boundary(&self) -> bool {
        self.position.header == 0 && self.position.remaining == 0
    }

    /// Returns a reader of the bytes in the socket buffer, including those that the runtime has not noticed yet.
    pub(super) fn socket_buffer(&mut self) -> impl Read {
        SocketBuffer(self)
    }
}

impl Position {
    fn advance(&mut self, mut bytes: &[u8]) {
        while let [first, rest @ ..] = bytes {
            if self.header == 0 && self.remaining > 0 {
                let here = bytes.len().min(usize::from(self.remaining));
                self.remaining -= u16::try_from(here).unwrap_or(self.remaining);
                bytes = &bytes[here..];
                continue;
            }
            self.header += 1;
            if self.header >= HEADER_BYTES - 1 {
                self.remaining = self.remaining << 8 | u16::from(*first);
            }
            if self.header == HEADER_BYTES {
                self.header = 0;
            }
            bytes = rest;
        }
    }
}

/// Returns `true` if the socket buffer is empty and the peer has not closed the connection. Costs a system call: the
/// runtime notices received bytes only at its next poll, and a request may be sent before that.
pub(super) fn is_silent(socket: &TcpStream) -> bool {
    let peeked = SockRef::from(socket).peek(&mut [MaybeUninit::uninit()]);
    matches!(peeked, Err(error) if error.kind() == io::ErrorKind::WouldBlock)
}

struct SocketBuffer<'a>(&'a mut Records);

impl Read for SocketBuffer<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = (&*SockRef::from(&self.0.socket)).read(buffer)?;
        self.0.position.advance(&buffer[..length]);
        Ok(length)
    }
}

impl AsyncRead for Records {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Self { socket, position } = self.get_mut();
        let before = buffer.filled().len();
        ready!(Pin::new(socket).poll_read(context, buffer))?;
        position.advance(&buffer.filled()[before..]);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Records {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().socket).poll_write(context, data)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        data: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().socket).poll_write_vectored(context, data)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().socket).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().socket).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn record_boundaries_are_tracked_however_the_input_is_split() {
        let mut bytes = Vec::new();
        let mut ends = vec![0];
        for length in [0_u16, 1, 255, 256, 700] {
            bytes.extend_from_slice(&[23, 3, 3]);
            bytes.extend_from_slice(&length.to_be_bytes());
            bytes.extend(std::iter::repeat_n(0xff, length.into()));
            ends.push(bytes.len());
        }
        for size in [1, 2, 3, 4, 5, 6, 250, 4096] {
            let mut position = Position::default();
            let mut read = 0;
            for chunk in bytes.chunks(size) {
                position.advance(chunk);
                read += chunk.len();
                let is_at_boundary = position.header == 0 && position.remaining == 0;
                assert_eq!(is_at_boundary, ends.contains(&read), "{read} in chunks of {size}");
            }
        }
    }
}
