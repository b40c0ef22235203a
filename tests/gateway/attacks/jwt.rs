//! Forged access tokens: all known forms of JWT confusion (RFC 8725).

use super::TARGET;
use crate::harness::{World, http};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use p256::ecdsa::signature::Signer as _;
use p256::ecdsa::{Signature, SigningKey};
use serde_json::{Value, json};
use sha2::Sha256;

fn encoded(json: &Value) -> String {
    URL_SAFE_NO_PAD.encode(json.to_string())
}

fn part(token: &str, number: usize) -> Value {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(token.split('.').nth(number).unwrap()).unwrap()).unwrap()
}

fn hs256(header: &Value, claims: &Value, key: &[u8]) -> String {
    let input = format!("{}.{}", encoded(header), encoded(claims));
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    mac.update(input.as_bytes());
    format!("{input}.{}", URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes()))
}

fn es256(header: &Value, claims: &Value, key: &SigningKey) -> String {
    let input = format!("{}.{}", encoded(header), encoded(claims));
    let signature: Signature = key.sign(input.as_bytes());
    format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature.to_bytes()))
}

/// Genuine token with its decoded parts.
struct Genuine {
    world: World,
    token: String,
    header: Value,
    claims: Value,
    jwk: Value,
}

impl Genuine {
    async fn new() -> Self {
        let world = World::start().await;
        let (_, tokens) = world.sign_in(TARGET, "alice").await;
        let token = tokens.access_token;
        let (header, claims) = (part(&token, 0), part(&token, 1));
        let jwks: Value =
            http().get(world.url("/.well-known/jwks.json")).send().await.unwrap().json().await.unwrap();
        let keys = jwks["keys"].as_array().unwrap();
        let jwk = keys.iter().find(|key| key["kid"] == header["kid"]).unwrap().clone();
        Self { world, token, header, claims, jwk }
    }

    fn header(&self, changes: &Value) -> Value {
        let mut header = self.header.clone();
        for (name, value) in changes.as_object().unwrap() {
            header[name] = value.clone();
        }
        header
    }

    async fn status(&self, token: &str) -> u16 {
        let request = http().get(self.world.url(TARGET)).header("authorization", format!("Bearer {token}"));
        request.send().await.unwrap().status().as_u16()
    }

    async fn assert_rejected(&self, token: &str, what: &str) {
        assert_eq!(self.status(token).await, 401, "{what}");
    }
}

#[tokio::test]
async fn an_unsigned_token_is_rejected_in_every_spelling() {
    let genuine = Genuine::new().await;
    assert_eq!(genuine.status(&genuine.token).await, 200);
    let signature = genuine.token.rsplit('.').next().unwrap();
    for alg in ["none", "None", "NONE", "nOnE", "", "null"] {
        let head =
            format!("{}.{}", encoded(&genuine.header(&json!({ "alg": alg }))), encoded(&genuine.claims));
        genuine.assert_rejected(&format!("{head}."), alg).await;
        genuine.assert_rejected(&format!("{head}.{signature}"), alg).await;
        genuine.assert_rejected(&head, alg).await;
    }
    let unsigned = genuine.token.rsplit_once('.').unwrap().0;
    genuine.assert_rejected(&format!("{unsigned}."), "the signature removed").await;
}

#[tokio::test]
async fn a_public_key_as_hmac_secret_is_rejected() {
    let genuine = Genuine::new().await;
    let decode = |name: &str| URL_SAFE_NO_PAD.decode(genuine.jwk[name].as_str().unwrap()).unwrap();
    let point = [&[4][..], &decode("x"), &decode("y")].concat();
    // SubjectPublicKeyInfo of a P-256 key: a fixed prefix, then the point.
    let head = STANDARD.decode("MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE").unwrap();
    let der = [&head[..], &point[1..]].concat();
    let pem = format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", STANDARD.encode(&der));
    for (what, key) in [
        ("point", &point[..]),
        ("coordinates", &point[1..]),
        ("DER", &der),
        ("PEM", pem.as_bytes()),
        ("PEM without the last line break", pem.trim_end().as_bytes()),
        ("JWK", genuine.jwk.to_string().as_bytes()),
        ("nothing", b""),
    ] {
        for alg in ["HS256", "HS384", "HS512"] {
            let token = hs256(&genuine.header(&json!({ "alg": alg })), &genuine.claims, key);
            genuine.assert_rejected(&token, what).await;
        }
    }
}

#[tokio::test]
async fn a_key_in_or_linked_from_the_token_is_never_used() {
    let genuine = Genuine::new().await;
    let key = SigningKey::from_slice(&[7; 32]).unwrap();
    let point = key.verifying_key().to_sec1_point(false);
    let (x, y) = point.as_bytes()[1..].split_at(32);
    let jwk = json!({
        "kty": "EC", "crv": "P-256", "x": URL_SAFE_NO_PAD.encode(x), "y": URL_SAFE_NO_PAD.encode(y), "kid": "mine",
    });
    for changes in [
        json!({}),
        json!({ "jwk": jwk }),
        json!({ "jwk": jwk, "kid": "mine" }),
        json!({ "jku": "https://evil.example.com/jwks.json", "kid": "mine" }),
        json!({ "x5u": "https://evil.example.com/cert.pem" }),
        json!({ "x5c": [STANDARD.encode("certificate")] }),
        json!({ "kid": null }),
    ] {
        let token = es256(&genuine.header(&changes), &genuine.claims, &key);
        genuine.assert_rejected(&token, &changes.to_string()).await;
    }
}

#[tokio::test]
async fn a_kid_is_only_compared() {
    let genuine = Genuine::new().await;
    let key = SigningKey::from_slice(&[7; 32]).unwrap();
    let long = "k".repeat(8_000);
    for kid in
        ["", "../../../../dev/null", "' OR '1'='1", "|/usr/bin/id", "\u{0}", "http://127.0.0.1/", &long]
    {
        let token = es256(&genuine.header(&json!({ "kid": kid })), &genuine.claims, &key);
        genuine.assert_rejected(&token, kid).await;
        let token = hs256(&genuine.header(&json!({ "kid": kid, "alg": "HS256" })), &genuine.claims, b"");
        genuine.assert_rejected(&token, kid).await;
    }
    for kid in [json!(1), json!(["a"]), json!({ "a": 1 })] {
        let token = es256(&genuine.header(&json!({ "kid": kid })), &genuine.claims, &key);
        genuine.assert_rejected(&token, "a kid that is not a string").await;
    }
}

#[tokio::test]
async fn header_extensions_and_other_token_types_are_rejected() {
    let genuine = Genuine::new().await;
    let key = SigningKey::from_slice(&[7; 32]).unwrap();
    for changes in [
        json!({ "crit": ["b64"], "b64": false }),
        json!({ "crit": [] }),
        json!({ "crit": ["exp"], "exp": 1 }),
        json!({ "b64": false }),
        json!({ "zip": "DEF" }),
        json!({ "cty": "JWT" }),
        json!({ "typ": "JWT" }),
        json!({ "typ": "id_token+jwt" }),
        json!({ "alg": "ES384" }),
        json!({ "alg": "RS256" }),
        json!({ "alg": "dir", "enc": "A256GCM" }),
        json!({ "alg": 1 }),
    ] {
        let header = genuine.header(&changes);
        genuine.assert_rejected(&es256(&header, &genuine.claims, &key), &changes.to_string()).await;
        // Genuine signature over another header.
        let signature = genuine.token.rsplit('.').next().unwrap();
        let moved = format!("{}.{}.{signature}", encoded(&header), encoded(&genuine.claims));
        genuine.assert_rejected(&moved, &changes.to_string()).await;
    }
}

#[tokio::test]
async fn a_zero_der_or_altered_signature_is_rejected() {
    let genuine = Genuine::new().await;
    let (signed, signature) = genuine.token.rsplit_once('.').unwrap();
    let good = URL_SAFE_NO_PAD.decode(signature).unwrap();
    let der = Signature::from_slice(&good).unwrap().to_der().as_bytes().to_vec();
    let mut changed = good.clone();
    changed[63] ^= 1;
    let longer = [&good[..], &[0]].concat();
    for (what, bytes) in [
        ("zeros", &[0; 64][..]),
        ("ones", &[0xff; 64]),
        ("empty", &[]),
        ("half", &good[..32]),
        ("DER", &der),
        ("one bit", &changed),
        ("one more byte", &longer),
    ] {
        genuine.assert_rejected(&format!("{signed}.{}", URL_SAFE_NO_PAD.encode(bytes)), what).await;
    }
    // Another encoding of the same bytes is rejected: a token has one spelling.
    for other in [format!("{signed}.{signature}="), format!("{signed}.{}", STANDARD.encode(&good))] {
        genuine.assert_rejected(&other, "another encoding").await;
    }
}

#[tokio::test]
async fn the_jwks_has_no_private_keys() {
    let genuine = Genuine::new().await;
    let mut members: Vec<&String> = genuine.jwk.as_object().unwrap().keys().collect();
    members.sort();
    assert_eq!(members, ["alg", "crv", "kid", "kty", "use", "x", "y"]);
}
