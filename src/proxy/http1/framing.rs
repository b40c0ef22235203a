//! Framing of response bodies (RFC 9112 §6).

use super::Violation;
use super::chunks::Chunks;
use bytes::Bytes;

/// Framing of a response body, with the reader's position in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyFraming {
    /// Ends after this many more bytes.
    Length(u64),
    /// Ends with the last chunk.
    Chunked(Chunks),
    /// Ends when the server closes the connection.
    UntilClose,
}

impl BodyFraming {
    /// Returns true at the end of the body.
    pub fn is_at_end(&self) -> bool {
        match self {
            Self::Length(left) => *left == 0,
            Self::Chunked(chunks) => chunks.is_at_end(),
            Self::UntilClose => false,
        }
    }

    /// Returns the number of remaining bytes, if it is known.
    pub fn remaining(&self) -> Option<u64> {
        match self {
            Self::Length(left) => Some(*left),
            Self::Chunked(_) | Self::UntilClose => self.is_at_end().then_some(0),
        }
    }

    /// Decodes the next bytes; returns the body data and the number of bytes consumed: all of them, unless the body
    /// ends before.
    ///
    /// # Errors
    ///
    /// The chunked coding is malformed.
    pub fn take(&mut self, bytes: &[u8]) -> Result<(Bytes, usize), Violation> {
        match self {
            Self::Length(left) => {
                let here = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
                *left -= here as u64;
                Ok((Bytes::copy_from_slice(&bytes[..here]), here))
            }
            Self::Chunked(chunks) => {
                let mut data = Vec::with_capacity(bytes.len());
                let taken = chunks.take(bytes, &mut data)?;
                Ok((data.into(), taken))
            }
            Self::UntilClose => Ok((Bytes::copy_from_slice(bytes), bytes.len())),
        }
    }

    /// Advances by this many bytes of a known length, which were read without a copy.
    pub(in crate::proxy) fn advance(&mut self, bytes: usize) {
        if let Self::Length(left) = self {
            *left = left.saturating_sub(bytes as u64);
        }
    }

    /// Handles the end of the connection.
    ///
    /// # Errors
    ///
    /// The body is incomplete.
    pub fn close(&mut self) -> Result<(), Violation> {
        if *self != Self::UntilClose && !self.is_at_end() {
            return Err(Violation::IncompleteBody);
        }
        *self = Self::Length(0);
        Ok(())
    }
}
