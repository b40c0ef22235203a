//! Correctly signed tokens with arbitrary claims: a valid signature does not replace the other checks.

use super::go_program_site::SITE;
use super::{Target, text};
use gateway::base::clock::Timestamp;
use gateway::crypto::jose::{Algorithm, Check, Expected, KeySet, SigningKey, UnverifiedJwt};
use gateway::oauth::resource::{self, RequestedResource};
use gateway::okta::{ExpectedIdToken, LoginBinding, Metadata, verify_id_token};
use serde_json::Value;
use std::sync::LazyLock;
use std::time::Duration;
use url::Url;

const ISSUER: &str = "https://acme.okta.com";
const CLIENT_ID: &str = "0oa1";
const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);
const LEEWAY: Duration = Duration::from_mins(1);
static KEY: LazyLock<SigningKey> = LazyLock::new(|| SigningKey::from_seed(&[7; 32]));

/// Accepted claims have this issuer, this audience, and have not expired by more than the leeway.
pub(super) const CLAIMS: Target = Target {
    name: "claims",
    run: claims,
    seeds: &[
        r#"{"iss":"https://acme.okta.com","aud":"0oa1","exp":1800000100,"iat":1799999990.5,"nbf":0}"#,
        r#"{"iss":"https://acme.okta.com","aud":["0oa1","b"],"exp":9223372036854775807}"#,
        r#"{"iss":"https://acme.okta.com","aud":"0oa1","exp":1799999941}"#,
        r#"{"iss":["https://acme.okta.com"],"aud":{},"exp":-1e308}"#,
    ],
};

fn claims(input: &[u8]) {
    let Some((json, signed)) = signed(input) else { return };
    let keys = KeySet::of(std::slice::from_ref(&KEY));
    let expected = Expected { algorithms: &[Algorithm::Es256], typ: Some("JWT") };
    let read = UnverifiedJwt::parse(&signed).and_then(|jwt| jwt.verify(&keys, expected));
    let Ok(read) = read else { return };
    let check = Check { issuer: ISSUER, audience: CLIENT_ID, now: NOW, leeway: LEEWAY };
    if read.check(&check).is_ok() {
        assert_eq!(json["iss"], ISSUER);
        let earliest = 1_800_000_000.0 - LEEWAY.as_secs_f64();
        assert!(json["exp"].as_f64().is_some_and(|exp| exp >= earliest));
    }
}

/// An accepted ID token is for this app and this login, and has a subject.
pub(super) const ID_TOKEN: Target = Target {
    name: "id_token",
    run: id_token,
    seeds: &[
        r#"{"iss":"https://acme.okta.com","aud":"0oa1","sub":"00u1","exp":1800000100,"iat":1800000000,"nonce":"n"}"#,
        r#"{"iss":"https://acme.okta.com","aud":["0oa1","b"],"azp":"0oa1","sub":"x","exp":1800000100,"iat":1,"nonce":"n","at_hash":"x"}"#,
        r#"{"iss":"https://acme.okta.com","aud":"0oa1","sub":"","exp":1800000100,"iat":null,"nonce":["n"]}"#,
    ],
};

fn id_token(input: &[u8]) {
    let Some((json, signed)) = signed(input) else { return };
    let keys = KeySet::of(std::slice::from_ref(&KEY));
    for login in [Some(LoginBinding { nonce: "n", access_token: "access token" }), None] {
        let expected = ExpectedIdToken { issuer: ISSUER, client_id: CLIENT_ID, now: NOW, login };
        let Ok(read) = verify_id_token(&signed, &keys, &expected) else { continue };
        assert!(read.strings("aud").is_some_and(|audiences| audiences.contains(&CLIENT_ID)));
        assert!(read.str("sub").is_some_and(|sub| !sub.is_empty()));
        assert!(login.is_none() || json["nonce"] == "n");
    }
}

/// Okta's discovery document from arbitrary bytes.
pub(super) const OKTA_METADATA: Target = Target {
    name: "okta_metadata",
    run: |input| drop(serde_json::from_slice::<Metadata>(input)),
    seeds: &[
        r#"{"issuer":"https://a","authorization_endpoint":"https://a/x","token_endpoint":"https://a/t","jwks_uri":"https://a/k"}"#,
    ],
};

/// A selected route is below the gateway's origin and matches the path. One `resource` per line.
pub(super) const RESOURCE: Target = Target {
    name: "resource",
    run: resource,
    seeds: &[
        "https://mcp.example.com/mcp/dice/mcp",
        "https://MCP.example.com:443/mcp/dice\nhttps://mcp.example.com",
        "https://mcp.example.com/mcp/x/../dice/?a=b",
        "https://mcp.example.com@evil.example.com/mcp/dice",
    ],
};

fn resource(input: &[u8]) {
    const BASE_URL: &str = "https://mcp.example.com";
    let Some(input) = text(input) else { return };
    let Ok(RequestedResource::Route(route)) = resource::requested(input.lines(), BASE_URL, &SITE.table)
    else {
        return;
    };
    for line in input.lines() {
        let url = Url::parse(line).expect("it was accepted");
        assert_eq!(url.origin().ascii_serialization(), BASE_URL, "{line}");
        let path = format!("{}/", url.path().trim_end_matches('/'));
        assert!(path == "/" || path.starts_with(route.pattern), "{line}");
    }
}

fn signed(input: &[u8]) -> Option<(Value, String)> {
    let claims = serde_json::from_slice(input).ok()?;
    let signed = KEY.sign("JWT", &claims).ok()?;
    Some((claims, signed))
}
