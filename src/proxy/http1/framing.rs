//! The body of an answer, as its connection carries it.

use super::chunks::Chunks;
use bytes::Bytes;

/// How a body ends, and how far it has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyFraming {
    /// After so many more bytes.
    Length(u64),
    /// With its last chunk.
    Chunked(Chunks),
    /// With the connection.
    UntilClose,
}

impl BodyFraming {
    /// Whether nothing more belongs to it.
    pub fn is_at_end(&self) -> bool {
        match self {
            Self::Length(left) => *left == 0,
            Self::Chunked(chunks) => chunks.is_at_end(),
            Self::UntilClose => false,
        }
    }

    /// How many bytes are to come, when it is known.
    pub fn left(&self) -> Option<u64> {
        match self {
            Self::Length(left) => Some(*left),
            Self::Chunked(_) | Self::UntilClose => self.is_at_end().then_some(0),
        }
    }

    /// What of these bytes, which came next, are data of the body, and how many bytes it has taken: all of them,
    /// unless it ends before.
    ///
    /// # Errors
    ///
    /// Says what is wrong with the bytes.
    pub fn take(&mut self, bytes: &[u8]) -> Result<(Bytes, usize), &'static str> {
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

    /// So many bytes of a known length were read elsewhere.
    pub(in crate::proxy) fn pass(&mut self, bytes: usize) {
        if let Self::Length(left) = self {
            *left = left.saturating_sub(bytes as u64);
        }
    }

    /// The connection was closed.
    ///
    /// # Errors
    ///
    /// When that is not how the body ends.
    pub fn close(&mut self) -> Result<(), &'static str> {
        if *self != Self::UntilClose && !self.is_at_end() {
            return Err("it closed the connection in the middle of its answer");
        }
        *self = Self::Length(0);
        Ok(())
    }
}
