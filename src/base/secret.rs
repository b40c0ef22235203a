//! Secrets, which are never printed.

use std::fmt;
use std::hint::black_box;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// Secret text: a password, a token, a client secret. `Debug` prints only the type's name, there is no `Display`, and
/// the memory is zeroed on drop.
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Wraps the text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    /// Returns the text: only for transmission, digests or encryption.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Compares with `other` in constant time.
    pub fn matches(&self, other: &str) -> bool {
        self.0.as_bytes().ct_eq(other.as_bytes()).into()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// Secret bytes, such as the input of a key derivation. Printed and zeroed like [`Secret`].
#[derive(Clone)]
pub struct SecretBytes(Zeroizing<Vec<u8>>);

impl SecretBytes {
    /// Wraps the bytes.
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// Returns the bytes: only for key derivation.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// Compares with `other` in a time that depends only on the lengths. The fold without early exit lets the compiler
    /// vectorize it, and `black_box` keeps the compiler from adding such an exit.
    pub fn matches(&self, other: &[u8]) -> bool {
        let differing =
            self.0.iter().zip(other).fold(0, |differing, (ours, theirs)| differing | (ours ^ theirs));
        self.0.len() == other.len() && black_box(differing) == 0
    }
}

impl fmt::Debug for SecretBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretBytes")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_does_not_print() {
        let printed = format!("{:?} {:?}", Secret::new("hunter2"), SecretBytes::new(b"hunter2".to_vec()));
        assert_eq!(printed, "Secret SecretBytes");
    }

    #[test]
    fn a_secret_matches_only_itself() {
        assert!(Secret::new("hunter2").matches("hunter2"));
        assert!(!Secret::new("hunter2").matches("hunter"));
        let bytes = SecretBytes::new(b"hunter2".to_vec());
        assert!(bytes.matches(b"hunter2"));
        for other in ["hunter1", "Hunter2", "hunter", "hunter22", ""] {
            assert!(!bytes.matches(other.as_bytes()), "{other}");
        }
    }
}
