//! Credentials of the gateway, and key sets of Okta.

use super::{Target, text};
use gateway::base::clock::{Clock, Timestamp};
use gateway::base::entropy::Entropy;
use gateway::base::secret::{Secret, SecretBytes};
use gateway::credential::Credentials;
use gateway::crypto::jose::{Algorithm, Expected, KeySet, SigningKey, UnverifiedJwt};
use gateway::crypto::seal::Keys;
use serde_json::json;
use std::sync::LazyLock;
use std::time::Duration;

const ISSUER: &str = "https://mcp.example.com";

static CREDENTIALS: LazyLock<Credentials> = LazyLock::new(|| {
    let keys = Keys::new(vec![SecretBytes::new(vec![7; 32])]);
    let clock = Clock::manual(Timestamp::from_seconds(1_800_000_000));
    Credentials::new(&keys, ISSUER, Duration::from_mins(10), clock, Entropy::seeded(1))
});

/// No text without a valid signature is accepted, neither with the gateway's keys nor with a set of RSA and EC keys.
pub(super) const JWT: Target = Target {
    name: "jwt",
    run: jwt,
    seeds: &[
        "eyJhbGciOiJFUzI1NiIsInR5cCI6ImF0K2p3dCJ9.eyJpc3MiOiJodHRwczovL21jcC5leGFtcGxlLmNvbSJ9.AAAA",
        "eyJhbGciOiJub25lIn0.e30.",
        "eyJhbGciOiJFUzI1NiIsImtpZCI6ImEifQ.eyJleHAiOjkyMjMzNzIwMzY4NTQ3NzU4MDd9.AAAA",
        "eyJhbGciOiJSUzI1NiIsImNyaXQiOlsiYjY0Il19.e30.AAAA",
    ],
};

fn jwt(input: &[u8]) {
    static KEYS: LazyLock<KeySet> = LazyLock::new(|| KeySet::of(&[SigningKey::from_seed(&[1; 32])]));
    static OTHERS: LazyLock<KeySet> = LazyLock::new(|| {
        let ec = SigningKey::from_seed(&[2; 32]).public_jwk();
        let rsa = json!({ "kty": "RSA", "n": "AQAB".repeat(86), "e": "AQAB" });
        KeySet::parse(json!({ "keys": [rsa, ec] }).to_string().as_bytes()).expect("a key set")
    });
    let Some(input) = text(input) else { return };
    for keys in [&*KEYS, &*OTHERS] {
        let algorithms = &[Algorithm::Es256, Algorithm::Rs256, Algorithm::Es384];
        let verified =
            UnverifiedJwt::parse(input).and_then(|jwt| jwt.verify(keys, Expected { algorithms, typ: None }));
        assert!(verified.is_err(), "{input}");
    }
    assert!(CREDENTIALS.verify_access_token(input, ISSUER).is_err());
}

/// Key sets are parsed key by key; unknown keys are skipped.
pub(super) const KEY_SET: Target = Target {
    name: "key_set",
    run: key_set,
    seeds: &[
        r#"{"keys":[{"kty":"EC","crv":"P-256","x":"AAAA","y":"AAAA","kid":"a","use":"sig","alg":"ES256"}]}"#,
        r#"{"keys":[{"kty":"RSA","n":"AQAB","e":"AQAB","kid":"b"},{"kty":"OKP","crv":"Ed25519","x":"AA"}]}"#,
        r#"{"keys":[{"kty":"EC","crv":"P-384","x":"","y":""},1,null,[]]}"#,
    ],
};

fn key_set(input: &[u8]) {
    if let Ok(keys) = KeySet::parse(input) {
        let token = "eyJhbGciOiJFUzI1NiJ9.e30.AAAA";
        let jwt = UnverifiedJwt::parse(token).expect("well-formed");
        assert!(jwt.verify(&keys, Expected { algorithms: &[Algorithm::Es256], typ: None }).is_err());
    }
}

/// Only text that the gateway sealed is opened.
pub(super) const SEALED: Target = Target {
    name: "sealed",
    run: sealed,
    seeds: &[
        "",
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        "eyJhIjoxfQ",
        "_-8=",
    ],
};

fn sealed(input: &[u8]) {
    let Some(input) = text(input) else { return };
    assert!(CREDENTIALS.open_client(input).is_none());
    assert!(CREDENTIALS.open_refresh_token(&Secret::new(input)).is_none());
    assert!(CREDENTIALS.open_request::<serde_json::Value>(input).is_none());
    assert!(!CREDENTIALS.is_client_secret("client", &Secret::new(input)));
}
