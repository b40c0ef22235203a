//! Every key is derived from `GATEWAY_SECRET`, one for each purpose; here they seal and authenticate.
//!
//! The first secret seals and signs, all of them open and verify, so that a secret can be rotated without
//! logging anyone out.

use crate::base::entropy::Entropy;
use crate::base::secret::SecretBytes;
use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305, XNonce};
use hkdf::Hkdf;
use hmac::{Hmac, Mac as _};
use sha2::{Digest as _, Sha256};
use std::fmt;
use zeroize::Zeroizing;

/// A derived key of 256 bits.
type Key = Zeroizing<[u8; 32]>;

const NONCE: usize = 24;

/// The secrets of this gateway, first the one that seals and signs.
#[derive(Debug, Clone)]
pub struct Keys(Vec<SecretBytes>);

/// The purposes that keys are derived for; the label separates them (RFC 5869 §3.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Registered clients travel sealed in their `client_id`.
    ClientId,
    /// The secret of a registered client is computed from its `client_id`.
    ClientSecret,
    /// An authorization request travels sealed through the consent page.
    ConsentRequest,
    /// Records in the store.
    Record,
    /// Refresh tokens are computed from grant and generation.
    RefreshToken,
    /// Look-ups by user, client and route.
    Index,
    /// Addresses and clients, where their requests are counted.
    Limit,
    /// The claims of an access token are authenticated, beside its signature.
    AccessTokenClaims,
    /// Access tokens are signed with a key of this 30-day period since the epoch.
    AccessTokenSigning(u64),
}

impl Purpose {
    fn label(self) -> String {
        let label = match self {
            Self::ClientId => "client-id",
            Self::ClientSecret => "client-secret",
            Self::ConsentRequest => "consent-request",
            Self::Record => "record",
            Self::RefreshToken => "refresh-token",
            Self::Index => "index",
            Self::Limit => "limit",
            Self::AccessTokenClaims => "access-token-claims",
            Self::AccessTokenSigning(period) => {
                return format!("mcp-gateway/v1/access-token-signing/{period}");
            }
        };
        format!("mcp-gateway/v1/{label}")
    }
}

impl Keys {
    /// From at least one secret of at least 32 bytes; the settings check that.
    pub fn new(secrets: Vec<SecretBytes>) -> Self {
        assert!(!secrets.is_empty(), "a gateway has at least one secret");
        Self(secrets)
    }

    /// One key for each secret, in their order.
    pub fn derive(&self, purpose: Purpose) -> Vec<Key> {
        let label = purpose.label();
        self.0
            .iter()
            .map(|secret| {
                let mut key = Zeroizing::new([0; 32]);
                Hkdf::<Sha256>::new(None, secret.expose())
                    .expand(label.as_bytes(), key.as_mut())
                    .expect("32 bytes are a valid HKDF-SHA-256 length");
                key
            })
            .collect()
    }

    /// What seals for this purpose.
    pub fn sealer(&self, purpose: Purpose) -> Sealer {
        Sealer(self.derive(purpose).iter().map(|key| XChaCha20Poly1305::new((&**key).into())).collect())
    }

    /// What authenticates for this purpose.
    pub fn mac(&self, purpose: Purpose) -> Mac {
        Mac(self.derive(purpose))
    }
}

/// Seals with XChaCha20-Poly1305 under a random nonce.
#[derive(Clone)]
pub struct Sealer(Vec<XChaCha20Poly1305>);

impl Sealer {
    /// Nonce and ciphertext; `context` must be the same at [`Sealer::open`].
    pub fn seal(&self, entropy: &Entropy, plaintext: &[u8], context: &[u8]) -> Vec<u8> {
        let nonce: [u8; NONCE] = entropy.bytes();
        let payload = Payload { msg: plaintext, aad: context };
        let ciphertext = self.0[0]
            .encrypt(&XNonce::from(nonce), payload)
            .expect("what the gateway seals is far below the cipher's limit of 256 GiB");
        [nonce.as_slice(), &ciphertext].concat()
    }

    /// What was sealed in this context under any of the secrets; `None` for everything else.
    pub fn open(&self, sealed: &[u8], context: &[u8]) -> Option<Vec<u8>> {
        self.0.iter().find_map(|key| opened(key, sealed, context))
    }

    /// Whether the first secret sealed this. What an older one sealed is to be sealed again when it is written, so
    /// that the older one can be dropped.
    pub fn is_current(&self, sealed: &[u8], context: &[u8]) -> bool {
        opened(&self.0[0], sealed, context).is_some()
    }
}

fn opened(key: &XChaCha20Poly1305, sealed: &[u8], context: &[u8]) -> Option<Vec<u8>> {
    let (nonce, ciphertext) = sealed.split_first_chunk::<NONCE>()?;
    key.decrypt(&XNonce::from(*nonce), Payload { msg: ciphertext, aad: context }).ok()
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealer")
    }
}

/// Authenticates with HMAC-SHA-256.
#[derive(Clone)]
pub struct Mac(Vec<Key>);

impl Mac {
    /// The tag under the first secret. The parts are length-prefixed, so that they cannot run into each other.
    pub fn tag(&self, parts: &[&[u8]]) -> [u8; 32] {
        tagged(&self.0[0], parts).finalize().into_bytes().into()
    }

    /// The tags under all secrets, the sealing one first: for look-ups that must find older entries.
    pub fn tags(&self, parts: &[&[u8]]) -> Vec<[u8; 32]> {
        self.0.iter().map(|key| tagged(key, parts).finalize().into_bytes().into()).collect()
    }

    /// Whether `tag` is the tag of `parts` under any of the secrets, compared in constant time.
    pub fn verify(&self, parts: &[&[u8]], tag: &[u8]) -> bool {
        self.0.iter().any(|key| tagged(key, parts).verify_slice(tag).is_ok())
    }

    /// Whether `half` is the first half of the tag of `parts` under any of the secrets, compared in constant time.
    pub fn verify_half(&self, parts: &[&[u8]], half: &[u8; 16]) -> bool {
        self.0.iter().any(|key| tagged(key, parts).verify_truncated_left(half).is_ok())
    }
}

impl fmt::Debug for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Mac")
    }
}

fn tagged(key: &Key, parts: &[&[u8]]) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(&**key).expect("HMAC takes a key of any length");
    for part in parts {
        mac.update(&(part.len() as u64).to_be_bytes());
        mac.update(part);
    }
    mac
}

/// The SHA-256 of a high-entropy secret: what a store may see of it.
pub fn digest(secret: &[u8]) -> [u8; 32] {
    Sha256::digest(secret).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(secrets: &[u8]) -> Keys {
        Keys::new(secrets.iter().map(|fill| SecretBytes::new(vec![*fill; 32])).collect())
    }

    #[test]
    fn what_is_sealed_opens_in_its_context_and_purpose_alone() {
        let entropy = Entropy::seeded(1);
        let key = keys(&[1]).sealer(Purpose::ClientId);
        let sealed = key.seal(&entropy, b"metadata", b"https://mcp.example.com");
        assert_eq!(key.open(&sealed, b"https://mcp.example.com").as_deref(), Some(&b"metadata"[..]));
        assert_eq!(key.open(&sealed, b"https://other.example.com"), None);
        assert_eq!(keys(&[1]).sealer(Purpose::Record).open(&sealed, b"https://mcp.example.com"), None);
    }

    #[test]
    fn one_altered_bit_does_not_open() {
        let key = keys(&[1]).sealer(Purpose::ClientId);
        let sealed = key.seal(&Entropy::seeded(1), b"metadata", b"");
        for bit in 0..sealed.len() * 8 {
            let mut altered = sealed.clone();
            altered[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(key.open(&altered, b""), None, "bit {bit}");
        }
    }

    #[test]
    fn a_rotated_secret_still_opens_and_verifies() {
        let old = keys(&[1]);
        let sealed = old.sealer(Purpose::Record).seal(&Entropy::seeded(1), b"grant", b"");
        let tag = old.mac(Purpose::RefreshToken).tag(&[b"grant"]);
        let both = keys(&[2, 1]);
        assert!(both.sealer(Purpose::Record).open(&sealed, b"").is_some());
        assert!(!both.sealer(Purpose::Record).is_current(&sealed, b""));
        assert!(old.sealer(Purpose::Record).is_current(&sealed, b""));
        assert!(both.mac(Purpose::RefreshToken).verify(&[b"grant"], &tag));
        let dropped = keys(&[2]);
        assert!(dropped.sealer(Purpose::Record).open(&sealed, b"").is_none());
        assert!(!dropped.mac(Purpose::RefreshToken).verify(&[b"grant"], &tag));
    }

    #[test]
    fn parts_cannot_run_into_each_other() {
        let mac = keys(&[1]).mac(Purpose::Index);
        assert_ne!(mac.tag(&[b"ab", b"c"]), mac.tag(&[b"a", b"bc"]));
    }
}
