//! Step 4: tokens (RFC 6749 §4.1.3, §5, §6; RFC 8707).

use std::fmt;

use reqwest::StatusCode;
use reqwest::header::CACHE_CONTROL;
use serde_json::Value;

use super::authorize::Code;
use super::exchange::{HttpResponse, check, send, text};
use super::register::Client;
use crate::ClientError;

/// `client_assertion_type` (RFC 7523 §2.2).
const ASSERTION: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// Response of the token endpoint.
#[derive(Clone)]
pub struct Tokens {
    /// Access token.
    pub access_token: String,
    /// Refresh token, if any.
    pub refresh_token: Option<String>,
    /// Lifetime of the access token, in seconds.
    pub expires_in: u64,
    /// Scopes, if the response contains them.
    pub scope: Option<String>,
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tokens")
    }
}

impl Client {
    /// Exchanges a code for tokens. The message of an OAuth error starts with its code.
    pub async fn redeem(&self, code: &Code) -> Result<Tokens, ClientError> {
        let form = [
            ("grant_type", "authorization_code"),
            ("code", &code.code),
            ("code_verifier", &code.verifier),
            ("redirect_uri", &self.redirect_uri),
            ("resource", &self.discovered.resource),
        ];
        self.tokens(&form).await
    }

    /// Exchanges a refresh token for tokens. The message of an OAuth error starts with its code.
    pub async fn refresh(&self, refresh_token: &str) -> Result<Tokens, ClientError> {
        let form = [
            ("grant_type", "refresh_token"),
            ("refresh_token", refresh_token),
            ("resource", &self.discovered.resource),
        ];
        self.tokens(&form).await
    }

    /// Posts any form to the token endpoint with this client's authentication; returns status and body.
    pub async fn token(&self, form: &[(&str, &str)]) -> Result<(u16, Value), ClientError> {
        let response = self.post(form).await?;
        Ok((response.status.as_u16(), serde_json::from_slice(&response.body).unwrap_or_default()))
    }

    async fn tokens(&self, form: &[(&str, &str)]) -> Result<Tokens, ClientError> {
        let response = self.post(form).await?;
        if let Ok(body) = serde_json::from_slice::<Value>(&response.body)
            && let Some(error) = body["error"].as_str()
        {
            let words = body["error_description"].as_str().unwrap_or_default();
            return Err(ClientError::new(format!("{error} ({}): {words}", response.status)));
        }
        read(&response)
    }

    async fn post(&self, form: &[(&str, &str)]) -> Result<HttpResponse, ClientError> {
        let endpoint = text(&self.discovered.server_metadata, "token_endpoint")?;
        let mut form = form.to_vec();
        let request = self.discovered.http.post(endpoint).header("accept", "application/json");
        let secret = self.secret.as_deref();
        let assertion = self.key.as_ref().map(|key| key.assertion(&self.id, &self.discovered.issuer));
        let request = if self.auth_method == "client_secret_basic" {
            request.basic_auth(&self.id, secret)
        } else {
            form.push(("client_id", &self.id));
            form.extend(secret.map(|secret| ("client_secret", secret)));
            if let Some(assertion) = &assertion {
                form.extend([("client_assertion_type", ASSERTION), ("client_assertion", assertion)]);
            }
            request
        };
        send(request.form(&form)).await
    }
}

fn read(response: &HttpResponse) -> Result<Tokens, ClientError> {
    let body = response.json(StatusCode::OK, "token endpoint")?;
    let kind = text(&body, "token_type")?;
    check(kind.eq_ignore_ascii_case("bearer"), || format!("token_type is {kind}"))?;
    let cache = response.headers.get(CACHE_CONTROL).and_then(|value| value.to_str().ok()).unwrap_or_default();
    check(cache.contains("no-store"), || {
        "tokens without Cache-Control: no-store (RFC 6749 §5.1)".to_owned()
    })?;
    let expires_in = body["expires_in"].as_u64().ok_or_else(|| ClientError::new("no expires_in"))?;
    Ok(Tokens {
        access_token: text(&body, "access_token")?,
        refresh_token: body["refresh_token"].as_str().map(str::to_owned),
        expires_in,
        scope: body["scope"].as_str().map(str::to_owned),
    })
}
