//! Authorization codes: a random text with a tag, by which a code of this gateway is recognized without the store.

use super::Credentials;
use crate::base::encoding;
use crate::base::secret::Secret;

/// Length of the random part.
const RANDOM_BYTES: usize = 32;

impl Credentials {
    /// Creates an authorization code.
    pub fn mint_code(&self) -> Secret {
        let random = self.random::<RANDOM_BYTES>();
        Secret::new(encoding::encode([random, self.codes.tag(&[&random])].concat()))
    }

    /// Returns whether this gateway issued the code; says nothing about its expiry and use.
    pub fn is_own_code(&self, code: &str) -> bool {
        let bytes = encoding::decode(code);
        let parts = bytes.as_deref().and_then(|bytes| bytes.split_first_chunk::<RANDOM_BYTES>());
        parts.is_some_and(|(random, tag)| self.codes.verify(&[random], tag))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::clock::Clock;
    use crate::base::entropy::Entropy;
    use crate::base::secret::SecretBytes;
    use crate::crypto::seal::Keys;
    use std::time::Duration;

    fn credentials(secrets: &[u8]) -> Credentials {
        let keys = Keys::new(secrets.iter().map(|fill| SecretBytes::new(vec![*fill; 32])).collect());
        let (clock, entropy) = (Clock::system(), Entropy::seeded(1));
        Credentials::new(&keys, "https://mcp.example.com", Duration::from_mins(10), clock, entropy)
    }

    #[test]
    fn a_code_is_recognized_and_an_altered_or_foreign_text_is_not() {
        let own = credentials(&[1]);
        let code = own.mint_code().expose().to_owned();
        assert!(own.is_own_code(&code));
        assert!(credentials(&[2, 1]).is_own_code(&code), "after the rotation of the secret");
        assert!(!credentials(&[2]).is_own_code(&code), "of another gateway");
        assert_ne!(code, *own.mint_code().expose());
        let altered = format!("{}{}", if code.starts_with('A') { 'B' } else { 'A' }, &code[1..]);
        for foreign in [altered.as_str(), &code[1..], &code[..43], "", "x", own.mint().expose()] {
            assert!(!own.is_own_code(foreign), "{foreign}");
        }
    }
}
