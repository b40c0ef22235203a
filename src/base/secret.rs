//! What must never be printed.

use std::fmt;
use std::hint::black_box;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// A secret text: a password, a token, a client secret. Its `Debug` prints the type's name alone, it has no
/// `Display`, its memory is wiped when it is dropped.
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes the text over.
    pub fn new(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    /// The text itself: only for the wire, a digest or a seal.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether `other` is the same text, in a time that does not depend on where they differ.
    pub fn matches(&self, other: &str) -> bool {
        self.0.as_bytes().ct_eq(other.as_bytes()).into()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// Secret bytes, from which keys are derived. Prints and wipes like [`Secret`].
#[derive(Clone)]
pub struct SecretBytes(Zeroizing<Vec<u8>>);

impl SecretBytes {
    /// Takes the bytes over.
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The bytes themselves: only for a derivation.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// Whether `other` is the same, in a time that depends on their lengths alone. Folded to the end: the compiler
    /// then looks at many bytes at once, and is kept from seeing that it could stop before.
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
