//! Step 5: MCP over streamable HTTP, with a session.

mod messages;

use std::fmt;

use reqwest::header::{ACCEPT, CONTENT_TYPE};
use reqwest::{RequestBuilder, Response};
use serde_json::{Value, json};

use super::exchange::check;
use crate::ClientError;
use crate::net::{http_client, read_body};
use messages::Messages;

/// Protocol revision of this client.
pub(super) const PROTOCOL: &str = "2025-11-25";
const MAX_STREAM_BYTES: usize = 1024 * 1024;

/// Initialized MCP session.
pub struct Session {
    /// Result of `initialize`.
    pub server: Value,
    /// Session id, if the server uses sessions.
    pub id: Option<String>,
    http: reqwest::Client,
    endpoint: String,
    access_token: String,
    protocol: String,
    last_id: u64,
}

/// Message that opens a session.
pub(super) fn initialize_message() -> Value {
    let client = json!({"name": "gateway-demo", "version": env!("CARGO_PKG_VERSION")});
    let params = json!({"protocolVersion": PROTOCOL, "capabilities": {}, "clientInfo": client});
    json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params})
}

impl Session {
    /// Sends `initialize` and `notifications/initialized`.
    pub async fn open(endpoint: &str, access_token: &str) -> Result<Self, ClientError> {
        let mut session = Self {
            server: Value::Null,
            id: None,
            http: http_client(),
            endpoint: endpoint.to_owned(),
            access_token: access_token.to_owned(),
            protocol: PROTOCOL.to_owned(),
            last_id: 0,
        };
        let response = session.post(&initialize_message()).await?;
        let id = response.headers().get("mcp-session-id").and_then(|value| value.to_str().ok());
        session.id = id.map(str::to_owned);
        session.server = result(message(response, 0).await?)?;
        let protocol = session.server["protocolVersion"].as_str().map(str::to_owned);
        session.protocol = protocol.ok_or_else(|| ClientError::new("initialize without protocolVersion"))?;
        let acknowledged =
            session.post(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"})).await?;
        check(acknowledged.status() == 202, || {
            format!("the response to a notification is {}", acknowledged.status())
        })?;
        Ok(session)
    }

    /// `tools/list`: returns the tools of the first page.
    pub async fn tools(&mut self) -> Result<Vec<Value>, ClientError> {
        let mut listed = self.request("tools/list", json!({})).await?;
        match listed["tools"].take() {
            Value::Array(tools) => Ok(tools),
            _ => Err(ClientError::new("tools/list without tools")),
        }
    }

    /// `tools/call`: returns the text of the result; fails if the result is an error.
    pub async fn call(&mut self, tool: &str, arguments: Value) -> Result<String, ClientError> {
        let called = self.request("tools/call", json!({"name": tool, "arguments": arguments})).await?;
        let content = called["content"].as_array().map(Vec::as_slice).unwrap_or_default();
        let text: Vec<&str> = content.iter().filter_map(|part| part["text"].as_str()).collect();
        let text = text.join("\n");
        check(called["isError"] != true, || format!("{tool} failed: {text}"))?;
        Ok(text)
    }

    /// Sends a request; returns its result, and fails for a JSON-RPC error.
    pub async fn request(&mut self, method: &str, params: Value) -> Result<Value, ClientError> {
        self.last_id += 1;
        let request = json!({"jsonrpc": "2.0", "id": self.last_id, "method": method, "params": params});
        let response = self.post(&request).await?;
        result(message(response, self.last_id).await?)
    }

    /// Replaces the access token, as a client does after a refresh.
    pub fn use_token(&mut self, access_token: &str) {
        access_token.clone_into(&mut self.access_token);
    }

    /// Ends the session at the server.
    pub async fn close(self) -> Result<(), ClientError> {
        let response = self.with_session_headers(self.http.delete(&self.endpoint)).send().await?;
        check(response.status().is_success(), || format!("the response to DELETE is {}", response.status()))
    }

    async fn post(&self, message: &Value) -> Result<Response, ClientError> {
        let request = self.http.post(&self.endpoint).header(ACCEPT, "application/json, text/event-stream");
        let response = self.with_session_headers(request.json(message)).send().await?;
        if response.status().is_success() {
            return Ok(response);
        }
        let status = response.status();
        let body = read_body(response).await?;
        Err(ClientError::new(format!("{status}: {}", String::from_utf8_lossy(&body))))
    }

    fn with_session_headers(&self, request: RequestBuilder) -> RequestBuilder {
        let mut request = request.bearer_auth(&self.access_token);
        if let Some(id) = &self.id {
            request = request.header("mcp-session-id", id);
        }
        // Known after `initialize`.
        if self.server.is_null() { request } else { request.header("mcp-protocol-version", &self.protocol) }
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Session")
    }
}

/// Reads the response to request `id` from a JSON body or from an event stream, which may continue.
async fn message(mut response: Response, id: u64) -> Result<Value, ClientError> {
    let kind = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    if !kind.is_some_and(|kind| kind.starts_with("text/event-stream")) {
        let body = read_body(response).await?;
        return serde_json::from_slice(&body).map_err(|error| ClientError::new(format!("not JSON: {error}")));
    }
    let (mut messages, mut read) = (Messages::default(), 0);
    while let Some(chunk) = response.chunk().await? {
        read += chunk.len();
        check(read <= MAX_STREAM_BYTES, || "the stream is larger than 1 MiB".to_owned())?;
        if let Some(found) = messages.feed(&chunk).into_iter().find(|message| message["id"] == id) {
            return Ok(found);
        }
    }
    Err(ClientError::new(format!("the stream ended without the response to request {id}")))
}

fn result(mut message: Value) -> Result<Value, ClientError> {
    if message["error"].is_object() {
        return Err(ClientError::new(format!("JSON-RPC error {}", message["error"])));
    }
    Ok(message["result"].take())
}
