//! Key of a client for `private_key_jwt` (RFC 7523 §2.2).

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::rsa::{self, PublicKeyComponents};
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, RSA_PKCS1_SHA256, RSA_PSS_SHA256,
    RsaEncoding,
};
use serde_json::{Value, json};

use crate::{Time, random};

const RSA_KEY: &[u8] = include_bytes!("../okta/testkeys/test-key-1.pkcs8.der");

/// Key pair with its `kid`.
pub struct Key {
    id: String,
    time: Time,
    pair: Pair,
}

enum Pair {
    P256(Box<EcdsaKeyPair>),
    Rsa(&'static str, Box<rsa::KeyPair>),
}

impl Key {
    /// Generates a key for ES256.
    pub fn es256(id: &str) -> Self {
        let random = SystemRandom::new();
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random);
        let pkcs8 = pkcs8.expect("the system provides randomness");
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8.as_ref(), &random);
        let pair = Pair::P256(Box::new(pair.expect("the key was generated above")));
        Self { id: id.to_owned(), time: Time::default(), pair }
    }

    /// Test key for RS256 or PS256.
    pub fn rsa(id: &str, algorithm: &'static str) -> Self {
        let pair = rsa::KeyPair::from_pkcs8(RSA_KEY).expect("the shipped test keys are PKCS #8");
        let pair = Pair::Rsa(algorithm, Box::new(pair));
        Self { id: id.to_owned(), time: Time::default(), pair }
    }

    /// Replaces the time source.
    #[must_use]
    pub fn by(self, time: Time) -> Self {
        Self { time, ..self }
    }

    /// Public key as a JWK.
    pub fn jwk(&self) -> Value {
        let encoded = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        match &self.pair {
            Pair::P256(pair) => {
                let (x, y) = pair.public_key().as_ref()[1..].split_at(32);
                json!({ "kty": "EC", "crv": "P-256", "use": "sig", "kid": self.id, "x": encoded(x), "y": encoded(y) })
            }
            Pair::Rsa(_, pair) => {
                let public = PublicKeyComponents::<Vec<u8>>::from(pair.public());
                json!({ "kty": "RSA", "use": "sig", "kid": self.id, "n": encoded(&public.n), "e": encoded(&public.e) })
            }
        }
    }

    /// JWS header of its signatures.
    pub fn header(&self) -> Value {
        let algorithm = match &self.pair {
            Pair::P256(_) => "ES256",
            Pair::Rsa(algorithm, _) => algorithm,
        };
        json!({ "alg": algorithm, "typ": "JWT", "kid": self.id })
    }

    /// Signs any header and claims as a compact JWS.
    pub fn sign(&self, header: &Value, claims: &Value) -> String {
        let encoded = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let input = format!("{}.{}", encoded(header), encoded(claims));
        let random = SystemRandom::new();
        let signature = match &self.pair {
            Pair::P256(pair) => {
                pair.sign(&random, input.as_bytes()).expect("a P-256 key signs").as_ref().to_vec()
            }
            Pair::Rsa(algorithm, pair) => {
                let padding: &dyn RsaEncoding =
                    if *algorithm == "PS256" { &RSA_PSS_SHA256 } else { &RSA_PKCS1_SHA256 };
                let mut signature = vec![0; pair.public().modulus_len()];
                let signed = pair.sign(padding, &random, input.as_bytes(), &mut signature);
                signed.expect("the signature has the length of the modulus");
                signature
            }
        };
        format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    /// Claims of an assertion for this issuer, valid for five minutes.
    pub fn claims(&self, client_id: &str, issuer: &str) -> Value {
        let now = self.time.now();
        json!({
            "iss": client_id, "sub": client_id, "aud": issuer, "jti": random::token(), "iat": now, "exp": now + 300,
        })
    }

    /// Signed assertion for this issuer.
    pub fn assertion(&self, client_id: &str, issuer: &str) -> String {
        self.sign(&self.header(), &self.claims(client_id, issuer))
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({})", self.id)
    }
}
