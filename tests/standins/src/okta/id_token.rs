//! ID tokens: valid ones, and each kind of invalid one that a client must reject.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::claims;
use super::keys::{Keys, mac, unsigned};
use super::options::ClaimsIn;
use super::org::{Memory, Org, Session};
use super::server::AuthServer;
use crate::random;

const LIFETIME: u64 = 3600;

/// Fault of the ID tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdTokenFault {
    /// Another issuer.
    WrongIssuer,
    /// Audience of another client.
    WrongAudience,
    /// The app's audience and an untrusted one, without `azp`.
    ExtraAudience,
    /// `azp` of another client.
    WrongAzp,
    /// Another nonce.
    WrongNonce,
    /// No nonce.
    NoNonce,
    /// `sub` of another user (OIDC Core §12.2 forbids it at a refresh).
    WrongSubject,
    /// No `sub`.
    NoSubject,
    /// `exp` an hour ago.
    Expired,
    /// No `exp`.
    NoExp,
    /// Maximum signed 64-bit integer as `exp`.
    HugeExp,
    /// `iat` in an hour.
    IssuedInFuture,
    /// No `iat`.
    NoIat,
    /// `at_hash` of another access token.
    WrongAtHash,
    /// `alg: none` and an empty signature.
    AlgNone,
    /// Valid HMAC with the client secret as its key.
    Hs256,
    /// Valid HMAC with the public key as its key.
    Hs256WithPublicKey,
    /// `crit` header with an unknown extension.
    UnknownCrit,
    /// The org's `kid`, signed with another key.
    ForeignKey,
    /// `kid` that is not in the JWKS.
    UnknownKid,
    /// Signature with one flipped bit.
    BrokenSignature,
    /// Not a JWT.
    Garbage,
    /// No ID token in the response.
    Missing,
}

/// Subject and context of an ID token.
pub(super) struct Subject<'a> {
    pub(super) server: &'a AuthServer,
    pub(super) session: &'a Session,
    pub(super) scopes: &'a [String],
    /// Nonce of the authorization request; none at a refresh.
    pub(super) nonce: Option<&'a str>,
    pub(super) access_token: &'a str,
}

/// Signed ID token with the current fault; `None` if the fault omits it.
pub(super) fn id_token(org: &Org, memory: &Memory, subject: &Subject<'_>) -> Option<String> {
    let mut claims = valid_claims(org, memory, subject);
    let mut header = json!({ "alg": "RS256", "kid": memory.keys.kid() });
    let Some(fault) = memory.fault else {
        return Some(memory.keys.sign(&header, &claims));
    };
    apply_claims_fault(&mut claims, fault, org.now());
    if fault == IdTokenFault::UnknownCrit {
        header["crit"] = json!(["https://example.com/unknown"]);
        header["https://example.com/unknown"] = json!(true);
    }
    sign_with_fault(&memory.keys, fault, (header, claims), memory.client_secret.as_bytes())
}

fn valid_claims(org: &Org, memory: &Memory, subject: &Subject<'_>) -> Value {
    let now = org.now();
    let mut claims = json!({
        "ver": 1,
        "iss": subject.server.issuer(&org.origin),
        "aud": org.options.client_id,
        "iat": now,
        "exp": now + LIFETIME,
        "jti": format!("ID.{}", random::token()),
        "amr": ["pwd"],
        "idp": "00ostandinidp0000h7",
        "auth_time": subject.session.auth_time,
        "at_hash": at_hash(subject.access_token),
    });
    if let Some(nonce) = subject.nonce {
        claims["nonce"] = json!(nonce);
    }
    if let Some(user) = memory.user(&subject.session.username) {
        claims["sub"] = json!(user.sub);
        claims::base(&mut claims, user, subject.scopes);
        if org.options.claims_in == ClaimsIn::IdToken {
            claims::profile(&mut claims, user, subject.scopes, &org.options.id_token_email_verified);
            claims::groups(&mut claims, user, &org.options, subject.server, subject.scopes);
        }
    }
    claims
}

fn apply_claims_fault(claims: &mut Value, fault: IdTokenFault, now: u64) {
    match fault {
        IdTokenFault::WrongIssuer => claims["iss"] = json!("https://evil.example.com"),
        IdTokenFault::WrongAudience => claims["aud"] = json!("0oasomeoneelse"),
        IdTokenFault::ExtraAudience => claims["aud"] = json!([claims["aud"], "0oasomeoneelse"]),
        IdTokenFault::WrongAzp => claims["azp"] = json!("0oasomeoneelse"),
        IdTokenFault::WrongNonce => claims["nonce"] = json!("another-nonce"),
        IdTokenFault::WrongSubject => claims["sub"] = json!("00usomeoneelse"),
        IdTokenFault::Expired => {
            claims["iat"] = json!(now.saturating_sub(2 * LIFETIME));
            claims["exp"] = json!(now.saturating_sub(LIFETIME));
        }
        IdTokenFault::HugeExp => claims["exp"] = json!(i64::MAX),
        IdTokenFault::IssuedInFuture => claims["iat"] = json!(now + LIFETIME),
        IdTokenFault::WrongAtHash => claims["at_hash"] = json!(at_hash("another-token")),
        IdTokenFault::NoNonce => remove(claims, "nonce"),
        IdTokenFault::NoSubject => remove(claims, "sub"),
        IdTokenFault::NoExp => remove(claims, "exp"),
        IdTokenFault::NoIat => remove(claims, "iat"),
        _ => {}
    }
}

fn sign_with_fault(
    keys: &Keys,
    fault: IdTokenFault,
    (mut header, claims): (Value, Value),
    client_secret: &[u8],
) -> Option<String> {
    match fault {
        IdTokenFault::Missing => return None,
        IdTokenFault::Garbage => return Some("this.is.no-jwt".to_owned()),
        IdTokenFault::AlgNone => {
            header["alg"] = json!("none");
            return Some(unsigned(&header, &claims));
        }
        IdTokenFault::Hs256 | IdTokenFault::Hs256WithPublicKey => {
            header["alg"] = json!("HS256");
            let modulus = keys.public_modulus();
            let secret = if fault == IdTokenFault::Hs256 { client_secret } else { &modulus };
            return Some(mac(secret, &header, &claims));
        }
        IdTokenFault::ForeignKey => return Some(keys.sign_with_foreign_key(&header, &claims)),
        IdTokenFault::UnknownKid => header["kid"] = json!("a-kid-that-does-not-exist"),
        _ => {}
    }
    let token = keys.sign(&header, &claims);
    Some(if fault == IdTokenFault::BrokenSignature { flip_bit(&token) } else { token })
}

fn flip_bit(token: &str) -> String {
    let dot = token.rfind('.').expect("a compact JWS has dots");
    let mut signature = URL_SAFE_NO_PAD.decode(&token[dot + 1..]).expect("our own signature is base64url");
    signature[0] ^= 1;
    format!("{}.{}", &token[..dot], URL_SAFE_NO_PAD.encode(signature))
}

fn remove(claims: &mut Value, name: &str) {
    if let Some(claims) = claims.as_object_mut() {
        claims.remove(name);
    }
}

/// OIDC Core §3.1.3.6: the left half of the SHA-256.
fn at_hash(access_token: &str) -> String {
    URL_SAFE_NO_PAD.encode(&Sha256::digest(access_token.as_bytes())[..16])
}
