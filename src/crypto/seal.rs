//! Authenticated encryption and MACs, with one key for each purpose, derived from `GATEWAY_SECRET`.
//!
//! The first secret encrypts and signs; all of them decrypt and verify, so that a secret can be rotated without logging
//! anyone out.

use crate::base::entropy::Entropy;
use crate::base::secret::SecretBytes;
use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305, XNonce};
use hkdf::Hkdf;
use hmac::{Hmac, Mac as _};
use sha2::{Digest as _, Sha256};
use std::fmt;
use zeroize::Zeroizing;

/// Derived key of 256 bits.
type Key = Zeroizing<[u8; 32]>;

/// Length of the nonce of XChaCha20-Poly1305.
const NONCE_BYTES: usize = 24;

/// Secrets of this gateway; the first one encrypts and signs.
#[derive(Debug, Clone)]
pub struct Keys(Vec<SecretBytes>);

/// Purposes that keys are derived for; their labels separate the keys (RFC 5869 §3.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Encrypts the metadata of a registered client in its `client_id`.
    ClientId,
    /// Derives the secret of a registered client from its `client_id`.
    ClientSecret,
    /// Encrypts the authorization request in the consent page.
    ConsentRequest,
    /// Encrypts records in the store.
    Record,
    /// Derives refresh tokens from grant and generation.
    RefreshToken,
    /// Authenticates authorization codes.
    Code,
    /// Digests users, clients and routes for the index of grants.
    Index,
    /// Digests addresses and clients for rate limits.
    Limit,
    /// Authenticates the claims of an access token, in addition to its signature.
    AccessTokenClaims,
    /// Signs access tokens in this 30-day period since the epoch.
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
            Self::Code => "code",
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
    /// Keys from at least one secret of at least 32 bytes, which the settings validate.
    pub fn new(secrets: Vec<SecretBytes>) -> Self {
        assert!(!secrets.is_empty(), "a gateway has at least one secret");
        Self(secrets)
    }

    /// Derives one key from each secret, in order.
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

    /// Creates the cipher for this purpose.
    pub fn sealer(&self, purpose: Purpose) -> Sealer {
        Sealer(self.derive(purpose).iter().map(|key| XChaCha20Poly1305::new((&**key).into())).collect())
    }

    /// Creates the MAC for this purpose.
    pub fn mac(&self, purpose: Purpose) -> Mac {
        Mac(self.derive(purpose))
    }
}

/// Authenticated encryption with XChaCha20-Poly1305 and random nonces.
#[derive(Clone)]
pub struct Sealer(Vec<XChaCha20Poly1305>);

impl Sealer {
    /// Encrypts to nonce and ciphertext. `aad` is the associated data, which [`Sealer::open`] needs as well.
    pub fn seal(&self, entropy: &Entropy, plaintext: &[u8], aad: &[u8]) -> Vec<u8> {
        let nonce: [u8; NONCE_BYTES] = entropy.bytes();
        let payload = Payload { msg: plaintext, aad };
        let ciphertext = self.0[0]
            .encrypt(&XNonce::from(nonce), payload)
            .expect("plaintexts are far below the cipher's limit of 256 GiB");
        [nonce.as_slice(), &ciphertext].concat()
    }

    /// Decrypts with any of the secrets; `None` when the ciphertext or the associated data does not match.
    pub fn open(&self, sealed: &[u8], aad: &[u8]) -> Option<Vec<u8>> {
        self.0.iter().find_map(|key| decrypt(key, sealed, aad))
    }

    /// Returns whether the first secret encrypted this. Records under an older secret are encrypted again when they are
    /// written, so that the older secret can be removed.
    pub fn is_current(&self, sealed: &[u8], aad: &[u8]) -> bool {
        decrypt(&self.0[0], sealed, aad).is_some()
    }
}

fn decrypt(key: &XChaCha20Poly1305, sealed: &[u8], aad: &[u8]) -> Option<Vec<u8>> {
    let (nonce, ciphertext) = sealed.split_first_chunk::<NONCE_BYTES>()?;
    key.decrypt(&XNonce::from(*nonce), Payload { msg: ciphertext, aad }).ok()
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealer")
    }
}

/// MAC with HMAC-SHA-256.
#[derive(Clone)]
pub struct Mac(Vec<Key>);

impl Mac {
    /// Computes the tag with the first secret. The parts are length-prefixed, so that different parts never yield the same
    /// input.
    pub fn tag(&self, parts: &[&[u8]]) -> [u8; 32] {
        hmac(&self.0[0], parts).finalize().into_bytes().into()
    }

    /// Verifies the tag of `parts` with any of the secrets, in constant time.
    pub fn verify(&self, parts: &[&[u8]], tag: &[u8]) -> bool {
        self.0.iter().any(|key| hmac(key, parts).verify_slice(tag).is_ok())
    }

    /// Verifies the first half of the tag of `parts` with any of the secrets, in constant time.
    pub fn verify_half(&self, parts: &[&[u8]], half: &[u8; 16]) -> bool {
        self.0.iter().any(|key| hmac(key, parts).verify_truncated_left(half).is_ok())
    }
}

impl fmt::Debug for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Mac")
    }
}

fn hmac(key: &Key, parts: &[&[u8]]) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(&**key).expect("HMAC takes a key of any length");
    for part in parts {
        mac.update(&(part.len() as u64).to_be_bytes());
        mac.update(part);
    }
    mac
}

/// SHA-256 of a high-entropy secret, by which the store looks it up.
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
    fn a_ciphertext_decrypts_only_with_its_associated_data_and_purpose() {
        let entropy = Entropy::seeded(1);
        let key = keys(&[1]).sealer(Purpose::ClientId);
        let sealed = key.seal(&entropy, b"metadata", b"https://mcp.example.com");
        assert_eq!(key.open(&sealed, b"https://mcp.example.com").as_deref(), Some(&b"metadata"[..]));
        assert_eq!(key.open(&sealed, b"https://other.example.com"), None);
        assert_eq!(keys(&[1]).sealer(Purpose::Record).open(&sealed, b"https://mcp.example.com"), None);
    }

    #[test]
    fn one_altered_bit_does_not_decrypt() {
        let key = keys(&[1]).sealer(Purpose::ClientId);
        let sealed = key.seal(&Entropy::seeded(1), b"metadata", b"");
        for bit in 0..sealed.len() * 8 {
            let mut altered = sealed.clone();
            altered[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(key.open(&altered, b""), None, "bit {bit}");
        }
    }

    #[test]
    fn a_rotated_secret_still_decrypts_and_verifies() {
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
    fn different_parts_have_different_tags() {
        let mac = keys(&[1]).mac(Purpose::Index);
        assert_ne!(mac.tag(&[b"ab", b"c"]), mac.tag(&[b"a", b"bc"]));
    }
}
