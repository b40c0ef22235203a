//! A refresh token is computed from (key, grant, generation): the store knows the generation alone, and a lost
//! response can be answered with the same token again.

use super::Credentials;
use crate::base::encoding;
use crate::base::secret::Secret;

/// What a genuine refresh token says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RefreshToken {
    /// The grant's id.
    pub grant: [u8; 16],
    /// Which of the grant's tokens it is.
    pub generation: u32,
}

impl Credentials {
    /// The token of a grant and generation; always the same text.
    pub fn refresh_token(&self, token: RefreshToken) -> Secret {
        let generation = token.generation.to_be_bytes();
        let tag = self.refresh_tokens.tag(&[&token.grant, &generation]);
        Secret::new(encoding::encode([&token.grant[..], &generation, &tag].concat()))
    }

    /// What a token says that we made; `None` for every other text.
    pub fn open_refresh_token(&self, token: &Secret) -> Option<RefreshToken> {
        let bytes = encoding::decode(token.expose())?;
        let (grant, rest) = bytes.split_first_chunk::<16>()?;
        let (generation, tag) = rest.split_first_chunk::<4>()?;
        self.refresh_tokens
            .verify(&[grant, generation], tag)
            .then(|| RefreshToken { grant: *grant, generation: u32::from_be_bytes(*generation) })
    }
}
