use super::*;
use crate::base::clock::Timestamp;
use crate::base::encoding;
use serde_json::{Value, json};
use std::time::Duration;

const ES256: &[Algorithm] = &[Algorithm::Es256];
const NOW: Timestamp = Timestamp::from_seconds(1_000_000);

fn key() -> SigningKey {
    SigningKey::from_seed(&[7; 32])
}

fn good() -> Value {
    json!({ "iss": "i", "aud": "a", "exp": 1_000_100, "iat": 1_000_000 })
}

fn verify(token: &str, keys: &KeySet) -> Result<Claims, JoseError> {
    UnverifiedJwt::parse(token)?.verify(keys, Expected { algorithms: ES256, typ: Some("at+jwt") })
}

fn check(claims: &Value) -> Result<(), JoseError> {
    let token = key().sign("at+jwt", claims).unwrap();
    let against = Check { issuer: "i", audience: "a", now: NOW, leeway: Duration::from_secs(5) };
    verify(&token, &KeySet::of(&[key()]))?.check(&against)
}

fn with(change: impl FnOnce(&mut Value)) -> Result<(), JoseError> {
    let mut claims = good();
    change(&mut claims);
    check(&claims)
}

/// The token with another header, signed for it.
fn with_header(header: &Value) -> String {
    let token = key().sign("at+jwt", &good()).unwrap();
    let (_, rest) = token.split_once('.').unwrap();
    format!("{}.{rest}", encoding::encode(header.to_string()))
}

#[test]
fn a_signed_token_verifies_with_its_claims() {
    assert_eq!(check(&good()), Ok(()));
    let token = key().sign("at+jwt", &good()).unwrap();
    let claims = verify(&token, &KeySet::of(&[key()])).unwrap();
    assert_eq!((claims.str("iss"), claims.strings("aud")), (Some("i"), Some(vec!["a"])));
}

#[test]
fn a_seed_always_yields_the_same_key() {
    assert_eq!(key().public_jwk(), key().public_jwk());
    assert_eq!(key().key_id(), "PwAtwtz6NiB0uzkucSNgAA-ar6oSPowhNnAdAVs5X6c");
    assert_ne!(SigningKey::from_seed(&[8; 32]).key_id(), key().key_id());
}

#[test]
fn an_altered_byte_is_rejected_without_a_panic() {
    let token = key().sign("at+jwt", &good()).unwrap();
    let keys = KeySet::of(&[key()]);
    for place in 0..token.len() {
        for byte in [b'A', b'.', b'_', b'z', 0x7f] {
            let mut altered = token.clone().into_bytes();
            if altered[place] == byte {
                continue;
            }
            altered[place] = byte;
            let altered = String::from_utf8(altered).unwrap();
            assert!(verify(&altered, &keys).is_err(), "byte {place} as {byte}");
        }
    }
}

#[test]
fn exp_aud_and_iss_are_required_and_checked() {
    assert_eq!(with(|claims| claims["iss"] = json!("other")), Err(JoseError::Issuer));
    assert_eq!(with(|claims| claims["iss"] = json!(null)), Err(JoseError::Issuer));
    assert_eq!(with(|claims| claims["aud"] = json!(["b"])), Err(JoseError::Audience));
    assert_eq!(with(|claims| claims["aud"] = json!(["b", "a"])), Ok(()));
    assert_eq!(with(|claims| claims["aud"] = json!(null)), Err(JoseError::Audience));
    assert_eq!(with(|claims| drop(claims.as_object_mut().unwrap().remove("exp"))), Err(JoseError::Time));
}

#[test]
fn times_out_of_range_are_rejected_without_a_panic() {
    for exp in [json!(i64::MAX), json!(u64::MAX), json!(1e300), json!(-1), json!("1000100")] {
        assert_eq!(with(|claims| claims["exp"] = exp.clone()), Err(JoseError::Time), "{exp}");
    }
    assert_eq!(with(|claims| claims["exp"] = json!(999_995.5)), Ok(()), "a NumericDate may have a fraction");
    for (exp, ago) in [(999_995, 5), (999_000, 1000)] {
        let expired = Err(JoseError::Expired(Duration::from_secs(ago)));
        assert_eq!(with(|claims| claims["exp"] = json!(exp)), expired, "{exp}");
    }
    assert_eq!(with(|claims| claims["exp"] = json!(999_996)), Ok(()), "clocks differ");
    let early = Err(JoseError::Early(Duration::from_mins(1)));
    assert_eq!(with(|claims| claims["iat"] = json!(1_000_060)), early);
    assert_eq!(with(|claims| claims["nbf"] = json!(1_000_060)), early);
    assert_eq!(with(|claims| claims["iat"] = json!(1_000_004)), Ok(()), "clocks differ");
}

#[test]
fn a_wrong_key_type_or_algorithm_is_rejected() {
    let token = SigningKey::from_seed(&[8; 32]).sign("at+jwt", &good()).unwrap();
    assert_eq!(verify(&token, &KeySet::of(&[key()])).unwrap_err(), JoseError::UnknownKey);
    let typed = key().sign("JWT", &good()).unwrap();
    assert_eq!(verify(&typed, &KeySet::of(&[key()])).unwrap_err(), JoseError::Type);
    let long = key().sign("application/AT+jwt", &good()).unwrap();
    assert!(verify(&long, &KeySet::of(&[key()])).is_ok());
    for algorithm in ["none", "None", "HS256", "RS256", "ES384", "EdDSA"] {
        let token = with_header(&json!({ "alg": algorithm, "typ": "at+jwt", "kid": key().key_id() }));
        assert_eq!(verify(&token, &KeySet::of(&[key()])).unwrap_err(), JoseError::Algorithm, "{algorithm}");
    }
}

#[test]
fn a_token_signed_with_the_public_key_as_an_hmac_secret_is_refused() {
    use hmac::{KeyInit as _, Mac as _};
    let header =
        encoding::encode(json!({ "alg": "HS256", "typ": "at+jwt", "kid": key().key_id() }).to_string());
    let signed = format!("{header}.{}", encoding::encode(good().to_string()));
    let public = key().public_jwk().to_string();
    let mut mac = hmac::Hmac::<sha2::Sha256>::new_from_slice(public.as_bytes()).unwrap();
    mac.update(signed.as_bytes());
    let token = format!("{signed}.{}", encoding::encode(mac.finalize().into_bytes()));
    assert_eq!(verify(&token, &KeySet::of(&[key()])).unwrap_err(), JoseError::Algorithm);
}

#[test]
fn an_unknown_critical_header_is_refused() {
    let token =
        with_header(&json!({ "alg": "ES256", "typ": "at+jwt", "kid": key().key_id(), "crit": ["b64"] }));
    assert_eq!(verify(&token, &KeySet::of(&[key()])).unwrap_err(), JoseError::Critical);
}

#[test]
fn an_rsa_key_without_alg_does_not_panic_at_a_token_that_says_es256() {
    let rsa = json!({ "kty": "RSA", "kid": key().key_id(), "n": encoding::encode([0xff; 256]), "e": "AQAB" });
    let keys = KeySet::parse(json!({ "keys": [rsa] }).to_string().as_bytes()).unwrap();
    assert!(keys.has(key().key_id()));
    let token = key().sign("at+jwt", &good()).unwrap();
    assert_eq!(verify(&token, &keys).unwrap_err(), JoseError::UnknownKey);
}

#[test]
fn an_unusable_key_is_skipped() {
    let strange = [
        json!({ "kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo", "kid": "1" }),
        json!({ "kty": "EC", "crv": "P-521", "x": "AA", "y": "AA", "kid": "2" }),
        json!({ "kty": "RSA", "n": "AQAB", "e": "AQAB", "kid": "3" }),
        json!({ "kty": "oct", "k": "AAAA", "kid": "4" }),
        json!({ "kty": "EC", "crv": "P-256", "x": "AA", "y": "AA", "alg": "ES1", "kid": "5" }),
        json!({ "kty": "EC", "crv": "P-256", "x": "AA", "y": "AA", "kid": "6" }),
        json!({ "use": "enc", "kty": "RSA", "n": encoding::encode([0xff; 256]), "e": "AQAB", "kid": "7" }),
        json!("not a key"),
    ];
    let keys: Vec<Value> = strange.iter().cloned().chain([key().public_jwk()]).collect();
    let keys = KeySet::parse(json!({ "keys": keys }).to_string().as_bytes()).unwrap();
    assert!((1..=7).all(|id| !keys.has(&id.to_string())));
    assert!(verify(&key().sign("at+jwt", &good()).unwrap(), &keys).is_ok());
}

#[test]
fn a_key_set_is_bounded() {
    assert!(KeySet::parse(b"[]").is_err());
    assert!(KeySet::parse(json!({ "keys": vec![json!({}); 101] }).to_string().as_bytes()).is_err());
    assert!(KeySet::parse(format!("{{\"keys\":[]{}}}", " ".repeat(70_000)).as_bytes()).is_err());
}
