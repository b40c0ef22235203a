//! Decoder for the chunked transfer coding (RFC 9112 §7.1).

use super::Violation;

/// Maximum length of a chunk-size line, and of the trailer section, in bytes.
const MAX_LINE_BYTES: u16 = 4096;

/// Incremental decoder of a chunked body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chunks {
    state: State,
    /// Remaining bytes of the chunk, or its size as far as it has been parsed.
    remaining: u64,
    /// Bytes of the current chunk-size line, or of the trailer section, so far.
    line_bytes: u16,
}

/// Parser state: the position before the next byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Before the first digit of a chunk size.
    Size,
    /// After a digit of a chunk size.
    Digits,
    /// In a chunk extension.
    Extension,
    /// Between CR and LF of a chunk-size line.
    SizeLf,
    Data,
    /// Before the CR after chunk data.
    DataCr,
    /// Between CR and LF after chunk data.
    DataLf,
    /// At the start of a trailer line.
    Trailer,
    TrailerLine,
    /// Between CR and LF of a trailer line.
    TrailerLf,
    /// Between the final CR and LF.
    FinalLf,
    End,
}

impl Chunks {
    /// Decoder before the first byte.
    pub(super) const START: Self = Self { state: State::Size, remaining: 0, line_bytes: 0 };

    /// Returns true at the end of the body.
    pub(super) fn is_at_end(&self) -> bool {
        self.state == State::End
    }

    /// Decodes `bytes`, appends chunk data to `data`, and returns the number of bytes consumed: all of them, unless
    /// the body ends before.
    pub(super) fn take(&mut self, bytes: &[u8], data: &mut Vec<u8>) -> Result<usize, Violation> {
        let mut at = 0;
        while at < bytes.len() && !self.is_at_end() {
            if self.state == State::Data {
                let here = usize::try_from(self.remaining).unwrap_or(usize::MAX).min(bytes.len() - at);
                data.extend_from_slice(&bytes[at..at + here]);
                self.remaining -= here as u64;
                at += here;
                if self.remaining == 0 {
                    self.state = State::DataCr;
                }
            } else {
                self.state = self.next(bytes[at])?;
                at += 1;
            }
        }
        Ok(at)
    }

    /// Returns the state after this byte. Lines must end with CR LF: parsers disagree about a bare CR or LF, which
    /// would make the message ambiguous.
    fn next(&mut self, byte: u8) -> Result<State, Violation> {
        Ok(match (self.state, byte) {
            (State::Size | State::Digits, b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') => {
                self.digit(byte)?;
                State::Digits
            }
            (State::Digits, b';' | b' ' | b'\t') => State::Extension,
            (State::Digits | State::Extension, b'\r') => State::SizeLf,
            (State::Extension, b'\t' | b' '..=b'~' | 0x80..) => {
                self.count()?;
                State::Extension
            }
            (State::SizeLf, b'\n') => {
                self.line_bytes = 0;
                if self.remaining == 0 { State::Trailer } else { State::Data }
            }
            (State::DataCr, b'\r') => State::DataLf,
            (State::DataLf, b'\n') => State::Size,
            (State::Trailer, b'\r') => State::FinalLf,
            (State::Trailer | State::TrailerLine, b'\t' | b' '..=b'~' | 0x80..) => {
                self.count()?;
                State::TrailerLine
            }
            (State::TrailerLine, b'\r') => State::TrailerLf,
            (State::TrailerLf, b'\n') => State::Trailer,
            (State::FinalLf, b'\n') => State::End,
            _ => return Err(Violation::MalformedChunk),
        })
    }

    fn digit(&mut self, byte: u8) -> Result<(), Violation> {
        self.count()?;
        let digit = match byte {
            b'0'..=b'9' => byte - b'0',
            _ => (byte | 0x20) - b'a' + 10,
        };
        let size = self.remaining.checked_mul(16).ok_or(Violation::ChunkTooLarge)?;
        self.remaining = size | u64::from(digit);
        Ok(())
    }

    fn count(&mut self) -> Result<(), Violation> {
        self.line_bytes += 1;
        if self.line_bytes > MAX_LINE_BYTES { Err(Violation::ChunkLineTooLong) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Decodes these bytes in chunks of this length; returns the data and whether the body has ended.
    fn read(bytes: &str, chunk: usize) -> Result<(String, bool), Violation> {
        let (mut chunks, mut data, mut taken) = (Chunks::START, Vec::new(), 0);
        for chunk in bytes.as_bytes().chunks(chunk) {
            taken += chunks.take(chunk, &mut data)?;
        }
        assert!(taken == bytes.len() || chunks.is_at_end());
        Ok((String::from_utf8(data).unwrap(), chunks.is_at_end()))
    }

    #[test]
    fn chunks_are_decoded_however_the_input_is_split() {
        for chunk in 1..40 {
            for (bytes, data, ends) in [
                ("5\r\nhello\r\n0\r\n\r\n", "hello", true),
                ("005\r\nhel\r\n\r\n1\r\n!\r\n0\r\n\r\n", "hel\r\n!", true),
                ("A;name=\"v\"\r\n0123456789\r\n0 ;x\r\nDigest: y\r\nA: b\r\n\r\n", "0123456789", true),
                ("5\r\nhe", "he", false),
                ("0\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", "", true),
                ("", "", false),
            ] {
                assert_eq!(read(bytes, chunk), Ok((data.to_owned(), ends)), "{bytes:?} by {chunk}");
            }
        }
    }

    #[test]
    fn ambiguous_chunks_are_rejected() {
        for bytes in [
            "\r\n",
            " 5\r\nhello\r\n",
            "5\nhello\r\n0\r\n\r\n",
            "5\r\nhello\n0\r\n\r\n",
            "5\r\nhello0\r\n\r\n",
            "5;a\nhello\r\n0\r\n\r\n",
            "5\r\r\nhello",
            "+5\r\nhello",
            "-5\r\nhello",
            "0x5\r\nhello",
            "5_0\r\n",
            "g\r\n",
            "10000000000000000\r\n",
            "0\r\nA: b\n\r\n",
            "0\r\n\n",
        ] {
            assert!(read(bytes, 3).is_err(), "{bytes:?}");
        }
        assert!(read(&format!("5;{}\r\n", "x".repeat(5000)), 999).is_err());
        assert!(read(&format!("0\r\n{}", "a: b\r\n".repeat(5000)), 999).is_err());
        assert!(read(&"0".repeat(5000), 999).is_err());
    }
}
