//! Documents that clients publish, and assertions that they sign.

use super::{Target, text};
use gateway::base::clock::Timestamp;
use gateway::crypto::jose::{KeySet, SigningKey};
use gateway::oauth::client::AuthMethod;
use gateway::oauth::client::DocumentUrl;
use gateway::oauth::client::assertion::{self, Expected};
use gateway::oauth::client::keys::KeySource;
use gateway::oauth::client::metadata_document;
use gateway::oauth::redirect::RedirectUri;
use serde_json::Value;
use std::sync::LazyLock;
use url::{Host, Url};

const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);
const ISSUER: &str = "https://mcp.example.com";

/// An accepted URL is https, has a public host name, and is read the same by every parser.
pub(super) const DOCUMENT_URL: Target = Target {
    name: "document_url",
    run: document_url,
    seeds: &[
        "https://claude.ai/oauth/claude-code-client-metadata",
        "https://chatgpt.com/oauth/tU1UVEq8rRTK/client.json",
        "https://user@example.com:8443/a/../client?version=2#x",
        "https://xn--bcher-kva.example/client%20one",
        "https://127.0.0.1/client",
        "https://[::ffff:10.0.0.1]/client",
    ],
};

fn document_url(input: &[u8]) {
    let Some(input) = text(input) else { return };
    let Ok(url) = DocumentUrl::parse(input) else { return };
    assert_eq!(url.as_str(), input);
    let plain = Url::parse(input).expect("a URL parser accepts it");
    assert_eq!((plain.as_str(), plain.scheme()), (input, "https"));
    assert!(plain.username().is_empty() && plain.password().is_none() && plain.fragment().is_none());
    assert!(matches!(plain.host(), Some(Host::Domain(name)) if name.contains('.')));
    let authority = &input["https://".len()..];
    assert!(authority.starts_with(url.host()), "{input}");
    assert!(input.is_ascii() && !plain.path().split('/').any(|segment| segment == "." || segment == ".."));
    assert!(url.check_fetch_allowed(plain.authority(), &[]).is_err());
}

/// An accepted document has all required members and none that are forbidden.
pub(super) const CLIENT_DOCUMENT: Target = Target {
    name: "client_document",
    run: client_document,
    seeds: &[
        r#"{"client_id":"https://client.example.com/c","client_name":"C","redirect_uris":["http://localhost/cb"]}"#,
        r#"{"client_id":"https://client.example.com/c","client_name":"C","redirect_uris":["https://a.example/cb"],"token_endpoint_auth_method":"private_key_jwt","token_endpoint_auth_methods_supported":["none","private_key_jwt"],"token_endpoint_auth_signing_alg":"RS256","jwks_uri":"https://client.example.com/jwks.json"}"#,
        r#"{"client_id":"https://client.example.com/c","client_name":"C","redirect_uris":["https://a.example/cb"],"token_endpoint_auth_method":"private_key_jwt","jwks":{"keys":[{"kty":"EC","crv":"P-256","x":"PwAtwtz6NiB0uzkucSNgAA-ar6oSPowhNnAdAVs5X6c","y":"PwAtwtz6NiB0uzkucSNgAA-ar6oSPowhNnAdAVs5X6c","d":"x"}]}}"#,
        r#"{"client_id":"https://client.example.com/c","client_secret":"s","token_endpoint_auth_method":"client_secret_basic"}"#,
    ],
};

fn client_document(input: &[u8]) {
    let url = DocumentUrl::parse("https://client.example.com/c").expect("a good one");
    let Ok(client) = metadata_document::parse(input, &url, &[], NOW) else { return };
    let document: Value = serde_json::from_slice(input).expect("it was accepted");
    assert_eq!(document["client_id"], url.as_str());
    assert!(document.get("client_secret").is_none());
    assert!(!client.name.trim().is_empty() && client.name.chars().count() <= 120);
    assert!((1..=12).contains(&client.redirect_uris.len()));
    assert!(client.redirect_uris.iter().all(|uri| RedirectUri::parse(uri.as_str(), &[]).is_ok()));
    match (client.auth_method, client.keys.map(|keys| keys.source)) {
        (AuthMethod::None, None) => assert_ne!(document["token_endpoint_auth_method"], "private_key_jwt"),
        (AuthMethod::PrivateKeyJwt, Some(KeySource::At(url))) => {
            assert!(DocumentUrl::parse(url.as_str()).is_ok());
        }
        (AuthMethod::PrivateKeyJwt, Some(KeySource::Inline(keys))) => {
            assert!(!keys.is_empty() && !Value::from(keys).to_string().contains("\"d\":"));
        }
        other => panic!("{other:?}"),
    }
}

/// An accepted assertion names its client, has only this audience, expires in minutes and has an id. Unsigned input
/// is never accepted.
pub(super) const ASSERTION: Target = Target {
    name: "assertion",
    run: assertion,
    seeds: &[
        r#"{"iss":"client","sub":"client","aud":"https://mcp.example.com","jti":"1","exp":1800000300,"iat":1800000000}"#,
        r#"{"iss":"client","sub":"client","aud":["https://mcp.example.com"],"jti":"1","exp":1800000300.5,"nbf":1800000000}"#,
        r#"{"iss":"client","sub":"other","aud":["https://mcp.example.com","https://a.example"],"exp":1e300}"#,
        "eyJhbGciOiJub25lIn0.eyJpc3MiOiJjbGllbnQifQ.",
    ],
};

fn assertion(input: &[u8]) {
    static KEY: LazyLock<SigningKey> = LazyLock::new(|| SigningKey::from_seed(&[1; 32]));
    static KEYS: LazyLock<KeySet> = LazyLock::new(|| KeySet::of(std::slice::from_ref(&*KEY)));
    let expected = Expected { client_id: "client", audiences: &[ISSUER], algorithm: None, now: NOW };
    let Some(input) = text(input) else { return };
    assert!(assertion::verify(input, &KEYS, &expected).is_err(), "{input}");
    let Ok(claims) = serde_json::from_str::<Value>(input) else { return };
    let signed = KEY.sign("JWT", &claims).expect("JSON signs");
    let Ok(verified) = assertion::verify(&signed, &KEYS, &expected) else { return };
    assert_eq!((&claims["iss"], &claims["sub"]), (&"client".into(), &"client".into()));
    assert!(claims["aud"] == ISSUER || claims["aud"] == serde_json::json!([ISSUER]), "{claims}");
    assert_eq!(claims["jti"], *verified.id);
    let seconds = claims["exp"].as_f64().expect("a time") - 1_800_000_000.0;
    assert!((-120.0..=720.0).contains(&seconds), "{claims}");
    assert!(verified.expires_at > NOW);
}
