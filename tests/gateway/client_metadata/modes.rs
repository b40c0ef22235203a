//! `client_metadata.mode`: `pinned` and `off`; the documents that ship, and their checks at build time.

use super::{SERVER, authorize, authorize_error, sign_in};
use crate::harness::metadata_documents::{HOST, PATH, document};
use crate::harness::{World, http};
use crate::workspace;
use gateway::base::clock::Timestamp;
use gateway::oauth::client::{DocumentUrl, metadata_document};
use gateway_routes::ClientMetadataMode::{Fetch, Off, Pinned};
use gateway_routes::compile::compile;
use gateway_standins::client::Client;
use gateway_standins::document_server::DocumentResponse;
use serde_json::{Value, json};
use std::fs;
use std::path::Path;

/// Status and error of the token endpoint for a refresh token that is none.
async fn token_error(client: &Client) -> (u16, String) {
    let form = [("grant_type", "refresh_token"), ("refresh_token", "x")];
    let (status, body) = client.token(&form).await.unwrap();
    (status, body["error"].as_str().unwrap().to_owned())
}

async fn metadata(world: &World) -> Value {
    let response = http().get(world.url("/.well-known/oauth-authorization-server")).send().await.unwrap();
    response.json().await.unwrap()
}

#[tokio::test]
async fn pinned_documents_are_used_without_a_fetch_and_other_clients_are_400_with_the_reason() {
    let (mut world, document_server) = World::start().await.with_document_server().await;
    let [id, other] = [HOST, "other.example.com"].map(|host| document_server.url(host, PATH));
    document_server.set_response(PATH, DocumentResponse::json(&document(&other)));
    world.compile_documents(Pinned, &[document(&id)]).await;
    assert_eq!(metadata(&world).await["client_id_metadata_document_supported"], true);
    let client = world.published_client(&id, SERVER).await;
    let tokens = sign_in(&client).await;
    client.refresh(tokens.refresh_token.as_deref().unwrap()).await.unwrap();
    let other_client = world.published_client(&other, SERVER).await;
    let (status, error) = authorize_error(&other_client).await;
    assert_eq!((status, error["error"].as_str()), (400, Some("invalid_client")));
    assert!(error["error_description"].as_str().unwrap().contains("its administrator has listed"), "{error}");
    let (status, page) = authorize(&other_client, "text/html").await;
    assert!(status == 400 && page.contains("Ask your administrator to add the app"), "{page}");
    assert!(page.contains(&other), "the page names the client: {page}");
    assert_eq!(token_error(&other_client).await, (401, "invalid_client".into()));
    assert_eq!(document_server.request_count(PATH), 0);
}

#[tokio::test]
async fn without_documents_no_client_is_told_to_use_one_and_every_client_registers() {
    let (mut world, document_server) = World::start().await.with_document_server().await;
    let id = document_server.url(HOST, PATH);
    document_server.set_response(PATH, DocumentResponse::json(&document(&id)));
    world.compile_documents(Off, &[]).await;
    let metadata = metadata(&world).await;
    assert!(metadata.get("client_id_metadata_document_supported").is_none(), "{metadata}");
    assert!(metadata["registration_endpoint"].is_string());
    let client = world.published_client(&id, SERVER).await;
    let (status, error) = authorize_error(&client).await;
    assert_eq!((status, error["error"].as_str()), (400, Some("invalid_client")));
    assert!(error["error_description"].as_str().unwrap().contains("register"), "{error}");
    let (status, page) = authorize(&client, "text/html").await;
    assert!(status == 400 && page.contains("This app has to connect again"), "{page}");
    assert!(page.contains("Clear authentication"), "{page}");
    assert_eq!(token_error(&client).await, (401, "invalid_client".into()), "clients register at this error");
    assert_eq!(document_server.request_count(PATH), 0);
    sign_in(&world.client(SERVER).await).await;
}

/// The documents of the default site.
fn shipped() -> Vec<Value> {
    let compiled = compile(workspace(), Path::new("config.yaml")).expect("the default site compiles");
    compiled.documents.iter().map(|document| serde_json::from_str(document.json).unwrap()).collect()
}

/// `client_id` and redirect URI as real clients send them.
const OBSERVED: [(&str, &str); 6] = [
    ("https://claude.ai/oauth/claude-code-client-metadata", "http://localhost:3118/callback"),
    ("https://claude.ai/oauth/mcp-oauth-client-metadata", "https://claude.ai/api/mcp/auth_callback"),
    ("https://chatgpt.com/oauth/codex/client.json", "http://127.0.0.1:43123/callback"),
    ("https://vscode.dev/oauth/client-metadata.json", "http://127.0.0.1:33418/"),
    ("https://vscode.dev/oauth/client-metadata.json", "https://vscode.dev/redirect"),
    ("https://goose-docs.ai/oauth/client-metadata.json", "http://127.0.0.1:50123/oauth_callback"),
];

#[tokio::test]
async fn the_documents_that_ship_sign_in_the_known_clients_without_the_internet() {
    for mode in [Fetch, Pinned] {
        // Every name resolves to the document server, which has none of these names in its certificate.
        let (mut world, _document_server) = World::start().await.with_document_server().await;
        world.compile_documents(mode, &shipped()).await;
        for (id, redirect_uri) in OBSERVED {
            let mut client = world.published_client(id, SERVER).await;
            redirect_uri.clone_into(&mut client.redirect_uri);
            assert_eq!(authorize(&client, "text/html").await.0, 200, "{id} at {redirect_uri}");
            client.redirect_uri.push_str("/else");
            assert_eq!(authorize(&client, "text/html").await.0, 400, "{id}");
        }
        let mut claude_code = world.published_client(OBSERVED[0].0, "/mcp/dice/mcp").await;
        claude_code.redirect_uri = crate::harness::CALLBACK.into();
        sign_in(&claude_code).await;
    }
}

#[test]
fn every_shipped_document_has_its_source_and_date() {
    let folder = workspace().join("clients");
    let readme = fs::read_to_string(folder.join("README.md")).unwrap();
    let mut files = 0;
    for file in fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()) {
        if file.extension().is_some_and(|extension| extension == "json") {
            let document: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
            let name = file.file_name().unwrap().to_str().unwrap();
            let row = readme.lines().find(|line| line.starts_with(&format!("| `{name}` |")));
            let row = row.unwrap_or_else(|| panic!("{name} has no row"));
            assert!(row.contains(document["client_id"].as_str().unwrap()) && row.contains("2026-"), "{row}");
            files += 1;
        }
    }
    assert_eq!(files, shipped().len());
}

/// Changes of a valid document, most of which make it invalid.
fn changes() -> Vec<Value> {
    let key = json!({ "kty": "EC", "crv": "P-256", "x": "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",
        "y": "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM" });
    let mut private = key.clone();
    private["d"] = json!("870MB6gfuTJ4HtUnUvYMyJpr5eUZNP4Bk43bVdj3eAE");
    let keys = |keys: Value| json!({ "token_endpoint_auth_method": "private_key_jwt", "jwks": keys });
    let mut changes = vec![
        json!({}),
        json!({ "client_name": null }),
        json!({ "client_name": "\u{7}" }),
        json!({ "client_name": 7 }),
        json!({ "grant_types": ["client_credentials"] }),
        json!({ "grant_types": [], "response_types": null }),
        json!({ "grant_types": "authorization_code" }),
        json!({ "response_types": ["token"] }),
        json!({ "client_secret": null }),
        json!({ "client_secret_expires_at": 0 }),
        json!({ "redirect_uris": null }),
        json!({ "redirect_uris": [7] }),
        json!({ "redirect_uris": vec!["http://localhost/a"; 13] }),
        keys(json!({ "keys": [key] })),
        keys(json!({ "keys": vec![key.clone(); 9] })),
        keys(json!({ "keys": [private] })),
        keys(json!({ "keys": [] })),
        keys(json!({ "keys": [{ "kty": "oct", "k": "c2VjcmV0" }] })),
        keys(json!({ "keys": [{ "kty": "OKP" }] })),
        keys(json!([])),
        json!({ "token_endpoint_auth_method": "private_key_jwt" }),
        json!({ "jwks_uri": "http://ignored.example.com" }),
    ];
    for (method, supported) in [
        (json!("none"), json!(["private_key_jwt"])),
        (json!(null), json!(["none", "private_key_jwt"])),
        (json!(null), json!(["client_secret_basic"])),
        (json!("tls_client_auth"), json!(["none"])),
        (json!("tls_client_auth"), json!(null)),
        (json!("client_secret_jwt"), json!(["none"])),
        (json!(7), json!(["none"])),
    ] {
        for uri in [json!(null), json!("https://client.example.com/jwks"), json!("https://10.0.0.1/jwks")] {
            changes.push(json!({ "token_endpoint_auth_method": method,
                "token_endpoint_auth_methods_supported": supported, "jwks_uri": uri }));
        }
    }
    for algorithm in ["RS256", "PS256", "HS256", "none"] {
        changes.push(json!({ "token_endpoint_auth_method": "private_key_jwt",
            "jwks_uri": "https://client.example.com/jwks", "token_endpoint_auth_signing_alg": algorithm }));
    }
    changes.extend(redirect_uri_changes());
    changes
}

fn redirect_uri_changes() -> Vec<Value> {
    let uris =
        ["https://a.example/cb", "https:a.example", "https:///a", "http://127.0.0.2/cb", "http://[::1]/cb"];
    let more =
        ["http://a.example/", "https://*.a.example/", "https://u@a.example/", "https://a.example/%2e/b"];
    let schemes =
        ["cursor://x/cb", "com.example.app:/cb", "acme:/cb", "data:text/html,x", "https://a.example/#f"];
    uris.iter().chain(&more).chain(&schemes).map(|uri| json!({ "redirect_uris": [uri] })).collect()
}

#[test]
fn the_build_and_the_running_gateway_accept_the_same_documents() {
    let folder = tempfile::tempdir().unwrap();
    let config = "client_metadata: { documents: \"clients/*.json\" }\nproxies:\n  - pattern: /mcp/dice/\n    \
                  target_url: http://localhost:3000\n";
    fs::write(folder.path().join("config.yaml"), config).unwrap();
    fs::create_dir(folder.path().join("clients")).unwrap();
    let good = document("https://client.example.com/client.json");
    let mut accepted = 0;
    let documents: Vec<Value> = changes().into_iter().map(|change| merged(&good, &change)).collect();
    for document in &documents {
        fs::write(folder.path().join("clients/client.json"), document.to_string()).unwrap();
        let build = compile(folder.path(), Path::new("config.yaml"));
        let url = DocumentUrl::parse(document["client_id"].as_str().unwrap()).unwrap();
        let text = document.to_string();
        let run = metadata_document::parse(text.as_bytes(), &url, &[], Timestamp::from_seconds(1));
        assert_eq!(build.is_ok(), run.is_ok(), "{document}\nbuild: {:?}\nrun: {run:?}", build.err());
        accepted += usize::from(run.is_ok());
    }
    assert!((10..documents.len() - 20).contains(&accepted), "{accepted} of {}", documents.len());
}

fn merged(document: &Value, change: &Value) -> Value {
    let mut merged = document.clone();
    for (member, value) in change.as_object().unwrap() {
        merged[member] = value.clone();
    }
    merged
}
