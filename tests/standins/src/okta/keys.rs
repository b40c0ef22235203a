//! Signing keys of the org and its JWKS.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::rsa::{KeyPair, PublicKeyComponents};
use ring::signature::RSA_PKCS1_SHA256;
use ring::{hmac, signature};
use serde_json::{Value, json};

const FIRST: &[u8] = include_bytes!("testkeys/test-key-1.pkcs8.der");
const SECOND: &[u8] = include_bytes!("testkeys/test-key-2.pkcs8.der");
const FOREIGN: &[u8] = include_bytes!("testkeys/test-key-3.pkcs8.der");

/// Current key, previous key, and other keys of the JWKS.
pub(super) struct Keys {
    generation: usize,
    foreign_in_jwks: bool,
    /// `true` if the JWKS lacks the current key.
    withheld: bool,
    pairs: [KeyPair; 2],
    foreign: KeyPair,
}

impl Keys {
    pub(super) fn new() -> Self {
        Self {
            generation: 0,
            foreign_in_jwks: false,
            withheld: false,
            pairs: [pair(FIRST), pair(SECOND)],
            foreign: pair(FOREIGN),
        }
    }

    /// Signs with the next key from now on, under a new `kid`.
    pub(super) fn rotate(&mut self) {
        self.generation += 1;
    }

    /// Leaves the current key out of the JWKS, or publishes it.
    pub(super) fn withhold(&mut self, withheld: bool) {
        self.withheld = withheld;
    }

    /// Adds keys to the JWKS that the gateway cannot use, before and after the org's.
    pub(super) fn add_foreign(&mut self) {
        self.foreign_in_jwks = true;
    }

    pub(super) fn kid(&self) -> String {
        kid(self.generation)
    }

    pub(super) fn jwks(&self) -> Value {
        let mut keys = Vec::new();
        if self.foreign_in_jwks {
            keys.push(
                json!({"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig", "kid": "foreign-okp",
                "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}),
            );
            keys.push(json!({"kty": "FUTURE", "alg": "XX999", "kid": "foreign-kty", "pub": "AAAA"}));
        }
        if !self.withheld {
            keys.push(self.jwk(self.generation));
        }
        if let Some(last) = self.generation.checked_sub(1) {
            keys.push(self.jwk(last));
        }
        if self.foreign_in_jwks {
            keys.push(json!({"kty": "EC", "crv": "secp256k1", "alg": "ES256K", "use": "sig", "kid": "foreign-ec",
                "x": "WbbZ3AC7uY-5xG8JxUkV2Lk5ZkN0MoGZPxZVbxWPpCk", "y": "Y3v4RYgxHRl7fKUCyFF0VrWj0TqCqCDRgBqCvXz2G0k"}));
        }
        json!({ "keys": keys })
    }

    /// Signs a compact JWS with the current key; `header` is not checked.
    pub(super) fn sign(&self, header: &Value, claims: &Value) -> String {
        signed(self.pair(self.generation), header, claims)
    }

    /// Signs a compact JWS with a key that is not in the JWKS; `header` is not checked.
    pub(super) fn sign_with_foreign_key(&self, header: &Value, claims: &Value) -> String {
        signed(&self.foreign, header, claims)
    }

    /// Modulus of the current key as a big-endian number, for use as a MAC key in algorithm confusion.
    pub(super) fn public_modulus(&self) -> Vec<u8> {
        PublicKeyComponents::<Vec<u8>>::from(self.pair(self.generation).public()).n
    }

    fn pair(&self, generation: usize) -> &KeyPair {
        &self.pairs[generation % self.pairs.len()]
    }

    fn jwk(&self, generation: usize) -> Value {
        let public = PublicKeyComponents::<Vec<u8>>::from(self.pair(generation).public());
        json!({
            "kty": "RSA", "alg": "RS256", "use": "sig", "kid": kid(generation),
            "e": URL_SAFE_NO_PAD.encode(public.e), "n": URL_SAFE_NO_PAD.encode(public.n),
        })
    }
}

/// Compact JWS with an HMAC-SHA-256.
pub(super) fn mac(secret: &[u8], header: &Value, claims: &Value) -> String {
    let input = signing_input(header, claims);
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), input.as_bytes());
    format!("{input}.{}", URL_SAFE_NO_PAD.encode(tag))
}

/// Compact JWS with an empty signature.
pub(super) fn unsigned(header: &Value, claims: &Value) -> String {
    format!("{}.", signing_input(header, claims))
}

fn signed(pair: &KeyPair, header: &Value, claims: &Value) -> String {
    let input = signing_input(header, claims);
    let mut signature = vec![0; pair.public().modulus_len()];
    let padding: &dyn signature::RsaEncoding = &RSA_PKCS1_SHA256;
    pair.sign(padding, &SystemRandom::new(), input.as_bytes(), &mut signature)
        .expect("the signature has the length of the modulus");
    format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature))
}

fn signing_input(header: &Value, claims: &Value) -> String {
    let encoded = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}", encoded(header), encoded(claims))
}

fn pair(pkcs8: &[u8]) -> KeyPair {
    KeyPair::from_pkcs8(pkcs8).expect("the shipped test keys are PKCS #8")
}

fn kid(generation: usize) -> String {
    format!("stand-in-key-{generation}")
}
