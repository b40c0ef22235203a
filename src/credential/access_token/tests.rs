use super::*;
use crate::base::clock::Clock;
use crate::base::entropy::Entropy;
use crate::base::secret::SecretBytes;
use crate::crypto::seal::Keys;

const DICE: &str = "https://mcp.example.com/mcp/dice";
const GRANT: GrantId = GrantId([7; 16]);

/// Audience of the route of [`DICE`].
fn dice() -> RouteAudience<'static> {
    RouteAudience { resource: DICE, includes: &|aud| aud.starts_with(DICE) }
}

/// Credentials, a token for [`DICE`] in their cache, and their clock.
fn cached() -> (Credentials, String, Clock) {
    let keys = Keys::new(vec![SecretBytes::new(vec![1; 32])]);
    let (clock, ttl) = (Clock::manual(Timestamp::from_seconds(1_800_000_000)), Duration::from_mins(10));
    let issuer = "https://mcp.example.com";
    let credentials = Credentials::new(&keys, issuer, ttl, clock.clone(), Entropy::seeded(1));
    let token = credentials.sign_access_token(&AccessToken {
        subject: "00u1".into(),
        audience: DICE.into(),
        client_id: "client".into(),
        scopes: ["mcp:dice".to_owned()].into(),
        grant: GRANT,
        expires_at: clock.now().after(ttl),
    });
    let token = token.unwrap();
    credentials.verify_access_token(&token, DICE).unwrap();
    (credentials, token, clock)
}

#[test]
fn a_cached_token_has_the_same_content() {
    let (credentials, token, _) = cached();
    let again = credentials.verify_access_token(&token, DICE).unwrap();
    assert_eq!((&*again.subject, again.grant), ("00u1", GRANT));
}

#[test]
fn a_cached_token_is_valid_only_for_its_own_audience() {
    let (credentials, token, _) = cached();
    let other_audience = credentials.verify_access_token(&token, "https://mcp.example.com/mcp/uuid");
    assert_eq!(other_audience.unwrap_err(), TokenError::InvalidClaims);
}

#[test]
fn a_token_for_a_resource_below_a_route_is_a_token_of_the_route() {
    let (credentials, token, _) = cached();
    let issued = AccessToken {
        audience: format!("{DICE}/mcp").into(),
        ..AccessToken::clone(&credentials.verify_access_token(&token, DICE).unwrap())
    };
    let below = credentials.sign_access_token(&issued).unwrap();
    for attempt in ["uncached", "cached"] {
        let verified = credentials.verify(&below, Key([1; 32]), dice(), |_| true).unwrap();
        assert_eq!(&*verified.audience, DICE, "{attempt}");
    }
    let other = RouteAudience { resource: "https://mcp.example.com/mcp/uuid", includes: &|_| false };
    for digest in [Key([1; 32]), Key([2; 32])] {
        let refused = credentials.verify(&below, digest, other, |_| true).unwrap_err();
        assert_eq!(refused, TokenError::InvalidClaims);
    }
}

#[test]
fn a_cached_token_still_expires() {
    let (credentials, token, clock) = cached();
    clock.advance(Duration::from_mins(12).checked_sub(Duration::from_millis(1)).unwrap());
    assert!(credentials.verify_access_token(&token, DICE).is_ok(), "another replica may be behind");
    clock.advance(Duration::from_millis(1));
    assert_eq!(credentials.verify_access_token(&token, DICE).unwrap_err(), TokenError::InvalidClaims);
}

#[test]
fn a_signed_token_verifies_whatever_its_times_with_every_secret_until_its_key_is_retired() {
    let (_, token, clock) = cached();
    let ttl = Duration::from_mins(10);
    let with = |secrets: &[u8], days: i64| {
        let secrets = secrets.iter().map(|fill| SecretBytes::new(vec![*fill; 32])).collect();
        let (issuer, clock) = ("https://mcp.example.com", clock.skewed(days * 24 * 60 * 60 * 1000));
        let credentials = Credentials::new(&Keys::new(secrets), issuer, ttl, clock, Entropy::seeded(1));
        credentials.signed_access_token(&token).map(|token| (token.grant, token.client_id))
    };
    let known = Some((GRANT, "client".to_owned()));
    // A key verifies in its own period, the one before and the one after.
    for days in [-30, -1, 0, 1, 30] {
        assert_eq!(with(&[1], days), known, "{days} days");
        assert_eq!(with(&[2, 1], days), known, "{days} days, by an older secret");
    }
    assert_eq!((with(&[1], 61), with(&[1], -61), with(&[2], 0)), (None, None, None));
}

#[test]
fn a_connection_caches_a_token_that_is_sent_twice_in_a_row() {
    let (credentials, token, clock) = cached();
    let last = LastToken::default();
    let other = credentials.sign_access_token(&credentials.verify_access_token(&token, DICE).unwrap());
    let other = other.unwrap();
    let send = |token: &str| {
        let is_cached = credentials.recall(token.as_bytes(), &last).is_some();
        credentials.verify_on_connection(token, token.as_bytes(), dice(), &last, |_| true).unwrap();
        is_cached
    };
    let order = [&token, &other, &token, &token, &token, &other, &token];
    let hits = order.map(|token| send(token));
    assert_eq!(hits, [false, false, false, false, true, false, false]);
    send(&token);
    assert!(credentials.recall(&token.as_bytes()[..token.len() - 1], &last).is_none());
    clock.advance(Duration::from_mins(12));
    assert!(credentials.recall(token.as_bytes(), &last).is_none(), "it has expired");
}

/// Verifies an uncached token; returns the error, and whether `may_verify` got a tag, if it was called.
fn verify(credentials: &Credentials, token: &str, may_verify: bool) -> (Option<TokenError>, Option<bool>) {
    let mut has_valid_tag = None;
    let verified = credentials.verify(token, Key([0; 32]), dice(), |tag| {
        has_valid_tag = Some(tag.is_some());
        may_verify
    });
    (verified.err(), has_valid_tag)
}

#[test]
fn foreign_claims_are_detected_before_the_signature_is_verified() {
    let (credentials, token, _) = cached();
    let (unsigned, _) = token.rsplit_once('.').unwrap();
    let resigned = format!("{unsigned}.{}", encoding::encode([7; 64]));
    let parts: Vec<&str> = token.split('.').collect();
    let mut claims: Value = serde_json::from_slice(&encoding::decode(parts[1]).unwrap()).unwrap();
    let origin = |claims: &Value| credentials.claims_origin(claims.as_object().unwrap());
    let ClaimsOrigin::Gateway(tag) = origin(&claims) else { panic!("{claims}") };
    assert_eq!(verify(&credentials, &resigned, true), (Some(TokenError::Forged(Some(tag))), Some(true)));
    assert_eq!(verify(&credentials, &resigned, false), (Some(TokenError::RateLimited), Some(true)));
    for (name, value) in [("sub", json!("00u2")), ("exp", json!(1_800_000_601)), ("new", json!(1))] {
        let mut changed = claims.clone();
        changed[name] = value;
        assert_eq!(origin(&changed), ClaimsOrigin::Foreign, "{name}");
    }
    for (id, expected) in [([7; 16].to_vec(), ClaimsOrigin::Untagged), (vec![7; 32], ClaimsOrigin::Foreign)] {
        claims["jti"] = encoding::encode(id).into();
        assert_eq!(origin(&claims), expected);
    }
    for id in [json!(""), json!(7), json!(null), json!(encoding::encode([7; 33]))] {
        claims["jti"] = id;
        assert_eq!(origin(&claims), ClaimsOrigin::Foreign);
    }
}

#[test]
fn a_token_that_fails_other_checks_is_rejected_before_its_signature_is_verified() {
    let (credentials, token, clock) = cached();
    assert_eq!(verify(&credentials, "a.b.c", true), (Some(TokenError::Unrecognized), None));
    assert_eq!(verify(&credentials, &"a".repeat(20_000), true), (Some(TokenError::Unrecognized), None));
    clock.advance(Duration::from_mins(12));
    assert_eq!(verify(&credentials, &token, true), (Some(TokenError::InvalidClaims), None));
}

#[test]
fn an_altered_token_is_not_found_in_the_cache() {
    let (credentials, token, _) = cached();
    for at in 0..token.len() {
        let mut altered = token.clone().into_bytes();
        altered[at] = if altered[at] == b'A' { b'B' } else { b'A' };
        let altered = String::from_utf8(altered).unwrap();
        assert!(credentials.verify_access_token(&altered, DICE).is_err(), "character {at}");
    }
}
