//! Signing keys of the gateway, and public keys for verification.

use super::{Algorithm, Family, JoseError};
use crate::base::encoding;
use biscuit::Empty;
use biscuit::jwa::SignatureAlgorithm;
use biscuit::jwk::{AlgorithmParameters, EllipticCurve, EllipticCurveKeyParameters, JWK, RSAKeyParameters};
use biscuit::jws::{Compact, Header, RegisteredHeader, Secret};
use p256::elliptic_curve::sec1::ToSec1Point as _;
use p256::pkcs8::EncodePrivateKey as _;
use serde::Serialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::fmt;
use std::sync::Arc;

const MAX_KEY_SET_BYTES: usize = 64 * 1024;
const MAX_KEYS: usize = 100;
const MIN_RSA_BITS: u64 = 2048;
const MAX_RSA_BITS: u64 = 8192;

/// ES256 signing key.
#[derive(Clone)]
pub struct SigningKey(Arc<Inner>);

struct Inner {
    id: String,
    x: Vec<u8>,
    y: Vec<u8>,
    secret: Secret,
}

impl SigningKey {
    /// Derives the key of a seed deterministically. The scalar is SHA-256(seed ‖ counter) for the first counter from 0
    /// whose digest is in the range of P-256; a second one is needed for one in 2³² seeds.
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        let scalar = |counter: u8| {
            let digest = Sha256::new().chain_update(seed).chain_update([counter]).finalize();
            p256::SecretKey::from_slice(&digest).ok()
        };
        let key = (0..=u8::MAX).find_map(scalar).expect("256 digests are not all out of range");
        let point = key.public_key().to_sec1_point(false);
        let (_, coordinates) = point.as_bytes().split_at(1);
        let (x, y) = coordinates.split_at(32);
        let pkcs8 = key.to_pkcs8_der().expect("a P-256 key has a PKCS #8 form");
        let pair = ring::signature::EcdsaKeyPair::from_pkcs8(
            &ring::signature::ECDSA_P256_SHA256_FIXED_SIGNING,
            pkcs8.as_bytes(),
            &ring::rand::SystemRandom::new(),
        )
        .expect("ring reads the PKCS #8 form of a P-256 key");
        let secret = Secret::EcdsaKeyPair(Arc::new(pair));
        Self(Arc::new(Inner { id: thumbprint(x, y), x: x.to_vec(), y: y.to_vec(), secret }))
    }

    /// Returns the `kid`: the key's thumbprint (RFC 7638).
    pub fn key_id(&self) -> &str {
        &self.0.id
    }

    /// Returns the public key as a JWK (RFC 7517).
    pub fn public_jwk(&self) -> Value {
        json!({
            "kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": self.0.id,
            "x": encoding::encode(&self.0.x), "y": encoding::encode(&self.0.y),
        })
    }

    /// Signs claims as a compact JWS with this `typ`.
    ///
    /// # Errors
    /// [`JoseError::Signing`] when the claims cannot be serialized or signing fails.
    pub fn sign(&self, typ: &str, claims: &impl Serialize) -> Result<String, JoseError> {
        let header = RegisteredHeader {
            algorithm: SignatureAlgorithm::ES256,
            media_type: Some(typ.to_owned()),
            key_id: Some(self.0.id.clone()),
            ..RegisteredHeader::default()
        };
        let payload = serde_json::to_vec(claims).map_err(|_| JoseError::Signing)?;
        let jws: Compact<Vec<u8>, Empty> = Compact::new_decoded(Header::from(header), payload);
        let signed = jws.into_encoded(&self.0.secret).map_err(|_| JoseError::Signing)?;
        Ok(signed.unwrap_encoded().encode())
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({})", self.0.id)
    }
}

/// Computes the thumbprint of a key (RFC 7638 §3): the required members in lexicographic order, without white space.
fn thumbprint(x: &[u8], y: &[u8]) -> String {
    let (x, y) = (encoding::encode(x), encoding::encode(y));
    encoding::encode(Sha256::digest(format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#)))
}

/// Set of public keys for verification (RFC 7517 §5).
#[derive(Default)]
pub struct KeySet(Vec<PublicKey>);

pub(super) struct PublicKey {
    id: Option<String>,
    family: Family,
    /// Algorithm that the key is restricted to (`alg`).
    only: Option<Algorithm>,
    pub(super) secret: Secret,
}

impl KeySet {
    /// Parses a JWKS. Skips unusable keys (unknown type or algorithm, for encryption, short RSA key), so that they do not
    /// make the others unusable.
    ///
    /// # Errors
    /// [`JoseError::KeySet`] when it is no JSON object with `keys`, larger than 64 KiB, or has more than 100 keys.
    pub fn parse(jwks: &[u8]) -> Result<Self, JoseError> {
        if jwks.len() > MAX_KEY_SET_BYTES {
            return Err(JoseError::KeySet);
        }
        let document: Value = serde_json::from_slice(jwks).map_err(|_| JoseError::KeySet)?;
        let keys = document.get("keys").and_then(Value::as_array).ok_or(JoseError::KeySet)?;
        if keys.len() > MAX_KEYS {
            return Err(JoseError::KeySet);
        }
        Ok(Self::read(keys))
    }

    /// Parses keys, and skips unusable ones.
    pub fn read(keys: &[Value]) -> Self {
        Self(keys.iter().filter_map(PublicKey::parse).collect())
    }

    /// Key set of the public keys of these signing keys.
    pub fn of(keys: &[SigningKey]) -> Self {
        let public = |key: &SigningKey| PublicKey {
            id: Some(key.0.id.clone()),
            family: Family::P256,
            only: Some(Algorithm::Es256),
            secret: Secret::PublicKey([&[4], &*key.0.x, &*key.0.y].concat()),
        };
        Self(keys.iter().map(public).collect())
    }

    /// Returns whether a key has this `kid`.
    pub fn has(&self, key_id: &str) -> bool {
        self.0.iter().any(|key| key.id.as_deref() == Some(key_id))
    }

    /// Selects the key to verify a token with: the one with its `kid`; without a `kid`, the only one of the matching type.
    pub(super) fn select(&self, key_id: Option<&str>, algorithm: Algorithm) -> Option<&PublicKey> {
        let matches = |key: &&PublicKey| {
            key.family == algorithm.family()
                && key.only.is_none_or(|only| only == algorithm)
                && key_id.is_none_or(|id| key.id.as_deref() == Some(id))
        };
        let mut candidates = self.0.iter().filter(matches);
        candidates.next().filter(|_| candidates.next().is_none())
    }
}

impl PublicKey {
    pub(super) fn parse(key: &Value) -> Option<Self> {
        let text = |name: &str| key.get(name).and_then(Value::as_str);
        if text("use").is_some_and(|purpose| purpose != "sig") {
            return None;
        }
        let only = match key.get("alg") {
            None => None,
            Some(name) => Some(Algorithm::parse(name.as_str()?)?),
        };
        // biscuit gets only these members, since it rejects keys with unknown ones.
        let family = match (text("kty")?, text("crv")) {
            ("EC", Some("P-256")) => Family::P256,
            ("EC", Some("P-384")) => Family::P384,
            ("RSA", _) => Family::Rsa,
            _ => return None,
        };
        if only.is_some_and(|only| only.family() != family) {
            return None;
        }
        let secret = match family {
            Family::Rsa => rsa(text("n")?, text("e")?)?,
            Family::P256 => elliptic(EllipticCurve::P256, 32, text("x")?, text("y")?)?,
            Family::P384 => elliptic(EllipticCurve::P384, 48, text("x")?, text("y")?)?,
        };
        Some(Self { id: text("kid").map(str::to_owned), family, only, secret })
    }
}

fn elliptic(curve: EllipticCurve, coordinate_bytes: usize, x: &str, y: &str) -> Option<Secret> {
    let (x, y) = (encoding::decode(x)?, encoding::decode(y)?);
    let is_valid = x.len() == coordinate_bytes && y.len() == coordinate_bytes;
    let key = EllipticCurveKeyParameters { curve, x, y, ..EllipticCurveKeyParameters::default() };
    is_valid.then(|| key.jws_public_key_secret())
}

fn rsa(n: &str, e: &str) -> Option<Secret> {
    let jwk: JWK<Empty> = serde_json::from_value(json!({ "kty": "RSA", "n": n, "e": e })).ok()?;
    match jwk.algorithm {
        AlgorithmParameters::RSA(key) if is_strong(&key) => Some(key.jws_public_key_secret()),
        _ => None,
    }
}

fn is_strong(key: &RSAKeyParameters) -> bool {
    (MIN_RSA_BITS..=MAX_RSA_BITS).contains(&key.n.bits()) && key.e.bits() <= 33
}
