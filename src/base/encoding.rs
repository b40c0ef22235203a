//! base64url without padding (RFC 4648 §5), with exactly one encoding of each value.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// Encodes bytes.
pub fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Decodes text; `None` for padding, characters outside the alphabet and non-canonical encodings.
pub fn decode(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_canonical_encoding_decodes() {
        assert_eq!(decode("_-8").as_deref(), Some(&[0xff, 0xef][..]));
        for other in ["_-8=", "/+8", "_-9", "_-8\n", " _-8"] {
            assert_eq!(decode(other), None, "{other:?}");
        }
    }
}
