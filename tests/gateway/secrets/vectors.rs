//! Compatibility of derived keys, ids, tokens and records with earlier releases. `tests/gateway/vectors/v1.json` is
//! never generated again; a change that breaks it logs all users out.

use gateway::base::clock::{Clock, Timestamp};
use gateway::base::entropy::Entropy;
use gateway::base::secret::SecretBytes;
use gateway::credential::{Credentials, RefreshToken};
use gateway::crypto::seal::{Keys, Purpose};
use gateway::grants::Grants;
use gateway::store::{Format, GrantId, GrantRecord, Reuse, Store};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

const ISSUER: &str = "https://mcp.example.com";
/// A time in the 30-day period 688.
const NOW: Timestamp = Timestamp::from_seconds(1_784_000_000);
const GRANT: GrantId = GrantId(*b"grant of vectors");

fn vectors() -> Value {
    serde_json::from_str(include_str!("../vectors/v1.json")).unwrap()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

/// Secret of the vectors: the bytes 0 to 31.
fn secret() -> SecretBytes {
    SecretBytes::new((0..32).collect())
}

fn credentials(secrets: Vec<SecretBytes>) -> Credentials {
    let (clock, ttl) = (Clock::manual(NOW), Duration::from_mins(10));
    Credentials::new(&Keys::new(secrets), ISSUER, ttl, clock, Entropy::seeded(1))
}

#[test]
fn derived_keys_match_the_stored_vectors() {
    let keys = Keys::new(vec![secret()]);
    let derived: serde_json::Map<String, Value> = [
        ("client-id", Purpose::ClientId),
        ("client-secret", Purpose::ClientSecret),
        ("consent-request", Purpose::ConsentRequest),
        ("record", Purpose::Record),
        ("refresh-token", Purpose::RefreshToken),
        ("index", Purpose::Index),
        ("access-token-signing/688", Purpose::AccessTokenSigning(688)),
    ]
    .into_iter()
    .map(|(name, purpose)| (name.to_owned(), json!(hex(&*keys.derive(purpose)[0]))))
    .collect();
    assert_eq!(Value::from(derived), vectors()["keys"]);
    // Not in the vectors, because it is newer.
    let claims = "a36b0db32fbec492e23842c19160c1c92c2b0608473fa3d6eb04ef79fd330615";
    assert_eq!(hex(&*keys.derive(Purpose::AccessTokenClaims)[0]), claims);
}

#[test]
fn tokens_and_client_secrets_match_the_stored_vectors() {
    let (credentials, vectors) = (credentials(vec![secret()]), vectors());
    let token = RefreshToken { grant: GRANT, generation: 7 };
    assert_eq!(credentials.refresh_token(token).expose(), vectors["refresh_token"]);
    let client_id = vectors["client_id"].as_str().unwrap();
    assert_eq!(credentials.client_secret(client_id).expose(), vectors["client_secret"]);
    assert_eq!(credentials.jwks()["keys"][0], vectors["signing_key"]);
}

#[test]
fn a_stored_client_id_and_access_token_open_after_a_rotation() {
    let vectors = vectors();
    let text = |name: &str| vectors[name].as_str().unwrap().to_owned();
    for secrets in [vec![secret()], vec![SecretBytes::new(vec![9; 33]), secret()]] {
        let credentials = credentials(secrets);
        let client = credentials.open_client(&text("client_id")).unwrap();
        assert_eq!(client.name, "Vector client");
        assert!(client.redirect(Some("https://claude.ai/api/mcp/auth_callback"), &[]).is_ok());
        let resource = "https://mcp.example.com/mcp/dice";
        let token = credentials.verify_access_token(&text("access_token"), resource).unwrap();
        assert_eq!((&*token.subject, token.grant), ("00u1", GRANT));
    }
}

#[tokio::test]
async fn a_stored_record_opens_after_a_rotation_and_is_sealed_again() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Clock::manual(NOW);
    let store = Arc::new(
        Store::embedded(folder.path(), clock.clone(), &Entropy::system(), Format::default()).unwrap(),
    );
    let record = GrantRecord {
        id: GRANT,
        sealed: unhex(vectors()["record"].as_str().unwrap()),
        generation: 1,
        previous: None,
        rotated_at: NOW,
        created_at: NOW,
        expires_at: NOW.after(Duration::from_hours(1)),
        index_entries: Vec::new(),
    };
    store.create_grant(record).await.unwrap();
    let newer = || SecretBytes::new(vec![9; 33]);
    let grants =
        |secrets| Grants::new(Arc::clone(&store), &Keys::new(secrets), clock.clone(), Entropy::seeded(1));
    let opened = grants(vec![secret()]).read(GRANT).await.unwrap().unwrap();
    assert_eq!((&*opened.client_name, &*opened.route), ("Vector client", "/mcp/dice/"));
    assert_eq!(opened.subject.user().email.as_deref(), Some("alice@example.com"));
    assert!(grants(vec![newer()]).read(GRANT).await.unwrap().is_none());
    let both = grants(vec![newer(), secret()]);
    both.refresh(GRANT, 1, Duration::from_hours(1), Reuse::Revoke).await.unwrap();
    let reread = grants(vec![newer()]).read(GRANT).await.unwrap().expect("the older secret can be removed");
    assert_eq!(reread.subject.user().sub, "00u1");
}
