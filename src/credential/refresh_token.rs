//! Refresh tokens, derived from key, grant and generation: the store contains only the generation, and a repeated request
//! gets the same token again.

use super::Credentials;
use crate::base::encoding;
use crate::base::ids::GrantId;
use crate::base::secret::Secret;

/// Content of a genuine refresh token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RefreshToken {
    /// Grant that it belongs to.
    pub grant: GrantId,
    /// Number of the token among those of its grant, from 1.
    pub generation: u32,
}

impl Credentials {
    /// Derives the token of a grant and generation; always the same text.
    pub fn refresh_token(&self, token: RefreshToken) -> Secret {
        let generation = token.generation.to_be_bytes();
        let tag = self.refresh_tokens.tag(&[&token.grant.0, &generation]);
        Secret::new(encoding::encode([&token.grant.0[..], &generation, &tag].concat()))
    }

    /// Verifies a refresh token; `None` when this gateway did not issue it.
    pub fn open_refresh_token(&self, token: &Secret) -> Option<RefreshToken> {
        let bytes = encoding::decode(token.expose())?;
        let (grant, rest) = bytes.split_first_chunk::<16>()?;
        let (generation, tag) = rest.split_first_chunk::<4>()?;
        self.refresh_tokens
            .verify(&[grant, generation], tag)
            .then(|| RefreshToken { grant: GrantId(*grant), generation: u32::from_be_bytes(*generation) })
    }
}
