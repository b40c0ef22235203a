//! Step 1: discovery of the authorization server of an MCP URL (RFC 9728, RFC 8414).

use reqwest::StatusCode;
use reqwest::header::WWW_AUTHENTICATE;
use serde_json::Value;
use url::Url;

use super::challenge::bearer;
use super::exchange::{check, send, text, texts};
use super::session::{PROTOCOL, initialize_message};
use crate::ClientError;
use crate::net::http_client;

/// Result of the discovery.
#[derive(Debug, Clone)]
pub struct Discovered {
    /// MCP URL, which is the resource.
    pub resource: String,
    /// Issuer of its authorization server.
    pub issuer: String,
    /// Scopes of the challenge, else all scopes of the resource metadata.
    pub scopes: Vec<String>,
    /// Protected resource metadata.
    pub resource_metadata: Value,
    /// Authorization server metadata.
    pub server_metadata: Value,
    pub(super) http: reqwest::Client,
}

/// Requests `mcp_url` without a token and follows the 401. Fails if a document violates a rule that strict clients
/// check: the resource is the URL, the issuer is consistent, and PKCE S256 is supported.
pub async fn discover(mcp_url: &str) -> Result<Discovered, ClientError> {
    let http = http_client();
    let challenge = challenge(&http, mcp_url).await?;
    let find = |name: &str| challenge.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone());
    let location =
        find("resource_metadata").ok_or_else(|| ClientError::new("a challenge without resource_metadata"))?;
    let resource_metadata = document(&http, &location).await?;
    let resource = text(&resource_metadata, "resource")?;
    check(resource == mcp_url, || format!("the metadata is of {resource}, not {mcp_url} (RFC 9728 §3.3)"))?;
    let issuers = texts(&resource_metadata, "authorization_servers");
    let issuer = issuers.first().ok_or_else(|| ClientError::new("no authorization_servers"))?.clone();
    let server_metadata = server_metadata(&http, &issuer).await?;
    let scopes = match find("scope") {
        Some(scope) => scope.split_whitespace().map(str::to_owned).collect(),
        None => texts(&resource_metadata, "scopes_supported"),
    };
    Ok(Discovered { resource, issuer, scopes, resource_metadata, server_metadata, http })
}

async fn challenge(http: &reqwest::Client, mcp_url: &str) -> Result<Vec<(String, String)>, ClientError> {
    let request = http.post(mcp_url).header("accept", "application/json, text/event-stream");
    let response = send(request.json(&initialize_message())).await?;
    check(response.status == StatusCode::UNAUTHORIZED, || format!("expected 401, got {}", response.status))?;
    let mut headers =
        response.headers.get_all(WWW_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok());
    let parameters =
        headers.find_map(bearer).ok_or_else(|| ClientError::new("401 without a Bearer challenge"))?;
    // RFC 6750 §3.1: without a token in the request, the challenge has no error.
    let has_error = parameters.iter().any(|(name, _)| name == "error");
    check(!has_error, || "error in a challenge although no token was sent".to_owned())?;
    Ok(parameters)
}

async fn server_metadata(http: &reqwest::Client, issuer: &str) -> Result<Value, ClientError> {
    let mut location = Url::parse(issuer)?;
    let path = location.path().trim_end_matches('/').to_owned();
    location.set_path(&format!("/.well-known/oauth-authorization-server{path}"));
    let metadata = document(http, location.as_str()).await?;
    let named = text(&metadata, "issuer")?;
    check(named == issuer, || format!("the metadata of {issuer} names {named} (RFC 8414 §3.3)"))?;
    let s256 = texts(&metadata, "code_challenge_methods_supported").iter().any(|method| method == "S256");
    check(s256, || "code_challenge_methods_supported lacks S256".to_owned())?;
    let code = texts(&metadata, "response_types_supported").iter().any(|kind| kind == "code");
    check(code, || "response_types_supported lacks code".to_owned())?;
    for endpoint in ["authorization_endpoint", "token_endpoint"] {
        Url::parse(&text(&metadata, endpoint)?)?;
    }
    Ok(metadata)
}

async fn document(http: &reqwest::Client, location: &str) -> Result<Value, ClientError> {
    let request = http.get(location).header("mcp-protocol-version", PROTOCOL);
    send(request.header("accept", "application/json")).await?.json(StatusCode::OK, location)
}
