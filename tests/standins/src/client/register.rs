//! Step 2: dynamic client registration (RFC 7591).

use std::fmt;
use std::sync::Arc;

use reqwest::StatusCode;
use serde_json::{Value, json};

use super::discover::Discovered;
use super::exchange::{check, send, text, texts};
use super::key::Key;
use crate::ClientError;

/// Registered client.
#[derive(Clone)]
pub struct Client {
    /// Client id.
    pub id: String,
    /// Client secret; `None` for a public client.
    pub secret: Option<String>,
    /// `none`, `client_secret_basic`, `client_secret_post` or `private_key_jwt`.
    pub auth_method: String,
    /// Key for `private_key_jwt`.
    pub key: Option<Arc<Key>>,
    /// Redirect URI.
    pub redirect_uri: String,
    /// Its MCP server and authorization server.
    pub discovered: Discovered,
}

impl Discovered {
    /// Registers a client. Fails if the response is not the 201 of RFC 7591 §3.2.1, or does not repeat the metadata.
    pub async fn register(
        &self,
        name: &str,
        auth_method: &str,
        redirect_uri: &str,
    ) -> Result<Client, ClientError> {
        let endpoint = text(&self.server_metadata, "registration_endpoint")?;
        let request = json!({
            "client_name": name,
            "redirect_uris": [redirect_uri],
            "token_endpoint_auth_method": auth_method,
            "grant_types": ["authorization_code", "refresh_token"],
            "response_types": ["code"],
            "application_type": "native",
        });
        let response = send(self.http.post(endpoint).json(&request)).await?;
        let response = response.json(StatusCode::CREATED, "registration")?;
        self.registered(&response, auth_method, redirect_uri)
    }

    /// Client with an existing registration.
    pub fn known_client(&self, id: &str, redirect_uri: &str) -> Client {
        Client {
            id: id.to_owned(),
            secret: None,
            auth_method: "none".to_owned(),
            key: None,
            redirect_uri: redirect_uri.to_owned(),
            discovered: self.clone(),
        }
    }

    /// Client with an existing registration that authenticates with this key.
    pub fn client_with_key(&self, id: &str, redirect_uri: &str, key: Key) -> Client {
        let auth_method = "private_key_jwt".to_owned();
        Client { auth_method, key: Some(Arc::new(key)), ..self.known_client(id, redirect_uri) }
    }

    fn registered(
        &self,
        response: &Value,
        auth_method: &str,
        redirect_uri: &str,
    ) -> Result<Client, ClientError> {
        let echoed = text(response, "token_endpoint_auth_method")?;
        check(echoed == auth_method, || format!("requested {auth_method}, but got {echoed}"))?;
        let redirects = texts(response, "redirect_uris");
        check(redirects == [redirect_uri], || format!("redirect_uris became {redirects:?}"))?;
        let secret = response["client_secret"].as_str().map(str::to_owned);
        check(secret.is_some() == (auth_method != "none"), || {
            format!("{auth_method} does not match the presence of a secret")
        })?;
        let expiry = secret.is_none() || response["client_secret_expires_at"].is_u64();
        check(expiry, || "a client_secret without client_secret_expires_at".to_owned())?;
        let id = text(response, "client_id")?;
        Ok(Client { id, secret, auth_method: echoed, ..self.known_client("", redirect_uri) })
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Client")
    }
}
