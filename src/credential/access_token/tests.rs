use super::*;
use crate::base::clock::Clock;
use crate::base::entropy::Entropy;
use crate::base::secret::SecretBytes;
use crate::crypto::seal::Keys;

const DICE: &str = "https://mcp.example.com/mcp/dice";

/// Credentials, a token for [`DICE`] that they have seen, and their clock.
fn seen() -> (Credentials, String, Clock) {
    let keys = Keys::new(vec![SecretBytes::new(vec![1; 32])]);
    let (clock, ttl) = (Clock::manual(Timestamp::from_seconds(1_800_000_000)), Duration::from_mins(10));
    let clock_and_rng = (clock.clone(), Entropy::seeded(1));
    let credentials = Credentials::new(&keys, "https://mcp.example.com", ttl, clock_and_rng);
    let token = credentials.sign_access_token(&AccessToken {
        subject: "00u1".into(),
        audience: DICE.into(),
        client_id: "client".into(),
        scopes: ["mcp:dice".to_owned()].into(),
        grant: [7; 16],
        expires_at: clock.now().after(ttl),
    });
    let token = token.unwrap();
    credentials.verify_access_token(&token, DICE).unwrap();
    (credentials, token, clock)
}

#[test]
fn a_token_seen_before_says_the_same_again() {
    let (credentials, token, _) = seen();
    let again = credentials.verify_access_token(&token, DICE).unwrap();
    assert_eq!((&*again.subject, again.grant), ("00u1", [7; 16]));
}

#[test]
fn a_token_seen_before_still_counts_for_its_own_server_alone() {
    let (credentials, token, _) = seen();
    let elsewhere = credentials.verify_access_token(&token, "https://mcp.example.com/mcp/uuid");
    assert_eq!(elsewhere.unwrap_err(), Rejected::Elsewhere);
}

#[test]
fn a_token_seen_before_still_expires() {
    let (credentials, token, clock) = seen();
    clock.advance(Duration::from_mins(12).checked_sub(Duration::from_millis(1)).unwrap());
    assert!(credentials.verify_access_token(&token, DICE).is_ok(), "another replica may be behind");
    clock.advance(Duration::from_millis(1));
    assert_eq!(credentials.verify_access_token(&token, DICE).unwrap_err(), Rejected::Elsewhere);
}

#[test]
fn a_token_is_known_for_ours_whatever_its_times_say_with_every_secret_and_until_its_key_is_gone() {
    let (_, token, clock) = seen();
    let ttl = Duration::from_mins(10);
    let with = |secrets: &[u8], days: i64| {
        let secrets = secrets.iter().map(|fill| SecretBytes::new(vec![*fill; 32])).collect();
        let clock_and_rng = (clock.skewed(days * 24 * 60 * 60 * 1000), Entropy::seeded(1));
        let credentials =
            Credentials::new(&Keys::new(secrets), "https://mcp.example.com", ttl, clock_and_rng);
        credentials.signed_access_token(&token).map(|token| (token.grant, token.client_id))
    };
    let known = Some(([7; 16], "client".to_owned()));
    // Its key counts in the period before its own, in its own and in the next one.
    for days in [-30, -1, 0, 1, 30] {
        assert_eq!(with(&[1], days), known, "{days} days");
        assert_eq!(with(&[2, 1], days), known, "{days} days, by an older secret");
    }
    assert_eq!((with(&[1], 61), with(&[1], -61), with(&[2], 0)), (None, None, None));
}

#[test]
fn a_connection_remembers_a_token_that_came_twice_in_a_row_and_no_other() {
    let (credentials, token, clock) = seen();
    let last = LastToken::default();
    let other = credentials.sign_access_token(&credentials.verify_access_token(&token, DICE).unwrap());
    let other = other.unwrap();
    let remembered = |token: &str| {
        let recalled = credentials.recall(token.as_bytes(), &last).is_some();
        credentials.verify_on_connection((token, token.as_bytes()), DICE, &last, |_| true).unwrap();
        recalled
    };
    let order = [&token, &other, &token, &token, &token, &other, &token];
    let recalled = order.map(|token| remembered(token));
    assert_eq!(recalled, [false, false, false, false, true, false, false]);
    remembered(&token);
    assert!(credentials.recall(&token.as_bytes()[..token.len() - 1], &last).is_none());
    clock.advance(Duration::from_mins(12));
    assert!(credentials.recall(token.as_bytes(), &last).is_none(), "it has expired");
}

/// What is told of a token that was not seen, and what its caller was told before its signature was verified.
fn told(credentials: &Credentials, token: &str, may_verify: bool) -> (Option<Rejected>, Option<bool>) {
    let mut has_our_claims = None;
    let verified = credentials.verify(token, [0; 32], DICE, |tag| {
        has_our_claims = Some(tag.is_some());
        may_verify
    });
    (verified.err(), has_our_claims)
}

#[test]
fn claims_of_others_are_known_before_the_signature_is_looked_at() {
    let (credentials, token, _) = seen();
    let (unsigned, _) = token.rsplit_once('.').unwrap();
    let resigned = format!("{unsigned}.{}", encoding::encode([7; 64]));
    let parts: Vec<&str> = token.split('.').collect();
    let mut claims: Value = serde_json::from_slice(&encoding::decode(parts[1]).unwrap()).unwrap();
    let author = |claims: &Value| credentials.author(claims.as_object().unwrap());
    let Author::Us(tag) = author(&claims) else { panic!("{claims}") };
    assert_eq!(told(&credentials, &resigned, true), (Some(Rejected::Forged(Some(tag))), Some(true)));
    assert_eq!(told(&credentials, &resigned, false), (Some(Rejected::NotVerified), Some(true)));
    for (name, value) in [("sub", json!("00u2")), ("exp", json!(1_800_000_601)), ("new", json!(1))] {
        let mut changed = claims.clone();
        changed[name] = value;
        assert_eq!(author(&changed), Author::Another, "{name}");
    }
    for (id, expected) in [([7; 16].to_vec(), Author::Unknown), (vec![7; 32], Author::Another)] {
        claims["jti"] = encoding::encode(id).into();
        assert_eq!(author(&claims), expected);
    }
    for id in [json!(""), json!(7), json!(null), json!(encoding::encode([7; 33]))] {
        claims["jti"] = id;
        assert_eq!(author(&claims), Author::Another);
    }
}

#[test]
fn what_no_signature_can_save_is_refused_without_asking_for_one() {
    let (credentials, token, clock) = seen();
    assert_eq!(told(&credentials, "a.b.c", true), (Some(Rejected::NotOurs), None));
    assert_eq!(told(&credentials, &"a".repeat(20_000), true), (Some(Rejected::NotOurs), None));
    clock.advance(Duration::from_mins(12));
    assert_eq!(told(&credentials, &token, true), (Some(Rejected::Elsewhere), None));
}

#[test]
fn an_altered_token_is_not_the_one_that_was_seen() {
    let (credentials, token, _) = seen();
    for at in 0..token.len() {
        let mut altered = token.clone().into_bytes();
        altered[at] = if altered[at] == b'A' { b'B' } else { b'A' };
        let altered = String::from_utf8(altered).unwrap();
        assert!(credentials.verify_access_token(&altered, DICE).is_err(), "character {at}");
    }
}
