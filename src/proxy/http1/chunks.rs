//! The chunked transfer coding (RFC 9112 §7.1).

/// The longest size line, and the longest trailer section, in bytes.
const MAX_LINE_BYTES: u16 = 4096;

/// Where in a chunked body a reader stands; fed with pieces of any length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chunks {
    place: Place,
    /// What is left of the chunk, or what its size line says so far.
    left: u64,
    /// Bytes of the line that is being read: of a size line, or of all trailers.
    connection: u16,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Before the first digit of a size.
    Size,
    /// Behind it.
    Digits,
    /// In what a size line says beside the size.
    Extension,
    /// Between the two bytes that end a size line.
    SizeEnd,
    Data,
    /// Before the two bytes that end a chunk, and between them.
    DataReturn,
    DataEnd,
    /// At the beginning of a line of the trailers, in it, and between the bytes that end it.
    Trailer,
    TrailerLine,
    TrailerEnd,
    /// Between the last two bytes.
    LastEnd,
    End,
}

impl Chunks {
    /// Before the first byte.
    pub(super) const START: Self = Self { place: Place::Size, left: 0, connection: 0 };

    /// Whether the body is over.
    pub(super) fn is_at_end(&self) -> bool {
        self.place == Place::End
    }

    /// Reads on, copies what is data to `data`, and returns how many bytes it has taken: all of them, unless the
    /// body ends before.
    pub(super) fn take(&mut self, bytes: &[u8], data: &mut Vec<u8>) -> Result<usize, &'static str> {
        let mut at = 0;
        while at < bytes.len() && !self.is_at_end() {
            if self.place == Place::Data {
                let here = usize::try_from(self.left).unwrap_or(usize::MAX).min(bytes.len() - at);
                data.extend_from_slice(&bytes[at..at + here]);
                self.left -= here as u64;
                at += here;
                if self.left == 0 {
                    self.place = Place::DataReturn;
                }
            } else {
                self.place = self.next(bytes[at])?;
                at += 1;
            }
        }
        Ok(at)
    }

    /// The place behind this byte. Lines end with both of their bytes here: who takes one for an end where another
    /// does not reads another message.
    fn next(&mut self, byte: u8) -> Result<Place, &'static str> {
        Ok(match (self.place, byte) {
            (Place::Size | Place::Digits, b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') => {
                self.digit(byte)?;
                Place::Digits
            }
            (Place::Digits, b';' | b' ' | b'\t') => Place::Extension,
            (Place::Digits | Place::Extension, b'\r') => Place::SizeEnd,
            (Place::Extension, b'\t' | b' '..=b'~' | 0x80..) => {
                self.count()?;
                Place::Extension
            }
            (Place::SizeEnd, b'\n') => {
                self.connection = 0;
                if self.left == 0 { Place::Trailer } else { Place::Data }
            }
            (Place::DataReturn, b'\r') => Place::DataEnd,
            (Place::DataEnd, b'\n') => Place::Size,
            (Place::Trailer, b'\r') => Place::LastEnd,
            (Place::Trailer | Place::TrailerLine, b'\t' | b' '..=b'~' | 0x80..) => {
                self.count()?;
                Place::TrailerLine
            }
            (Place::TrailerLine, b'\r') => Place::TrailerEnd,
            (Place::TrailerEnd, b'\n') => Place::Trailer,
            (Place::LastEnd, b'\n') => Place::End,
            _ => return Err("its chunks are malformed"),
        })
    }

    fn digit(&mut self, byte: u8) -> Result<(), &'static str> {
        self.count()?;
        let digit = match byte {
            b'0'..=b'9' => byte - b'0',
            _ => (byte | 0x20) - b'a' + 10,
        };
        let size = self.left.checked_mul(16).ok_or("a chunk is too large")?;
        self.left = size | u64::from(digit);
        Ok(())
    }

    fn count(&mut self) -> Result<(), &'static str> {
        self.connection += 1;
        if self.connection > MAX_LINE_BYTES { Err("its chunks have too long lines") } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is read of these bytes, fed in pieces of that length, and whether it ends.
    fn read(bytes: &str, chunk: usize) -> Result<(String, bool), &'static str> {
        let (mut chunks, mut data, mut taken) = (Chunks::START, Vec::new(), 0);
        for chunk in bytes.as_bytes().chunks(chunk) {
            taken += chunks.take(chunk, &mut data)?;
        }
        assert!(taken == bytes.len() || chunks.is_at_end());
        Ok((String::from_utf8(data).unwrap(), chunks.is_at_end()))
    }

    #[test]
    fn data_are_what_the_sizes_say_however_the_bytes_come() {
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
    fn whatever_another_reader_might_see_otherwise_is_refused() {
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
