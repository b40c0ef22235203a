//! The token request (RFC 6749 §3.2): who asks, and for what.

use super::client::AuthMethod;
use super::error::{Code, Refused};
use super::parameters::Parameters;
use crate::secret::Secret;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::percent_decode_str;

/// How a client names itself at the token endpoint, not yet believed.
#[derive(Debug)]
pub struct ClaimedClient {
    /// The id it gives.
    pub client_id: String,
    /// The secret it gives, and how.
    pub proof: Option<(AuthMethod, Secret)>,
}

/// What a client asks for.
#[derive(Debug)]
pub enum TokenRequest {
    /// RFC 6749 §4.1.3.
    AuthorizationCode {
        /// The code.
        code: Secret,
        /// The PKCE verifier (RFC 7636 §4.5).
        verifier: Secret,
        /// Must be the one of the authorization, when it is sent (OAuth 2.1 §10.2 lets it go).
        redirect_uri: Option<String>,
    },
    /// RFC 6749 §6.
    RefreshToken {
        /// The refresh token.
        token: Secret,
        /// Fewer scopes than were granted.
        scope: Option<String>,
    },
}

impl ClaimedClient {
    /// From the `Authorization` header and the body. Basic is taken raw or form-encoded (RFC 6749 §2.3.1), also
    /// with the same `client_id` in the body, as clients send it.
    ///
    /// # Errors
    /// `invalid_client` when no client is named, the header cannot be read, or two ids or secrets are given.
    pub fn parse(authorization: Option<&str>, body: &Parameters) -> Result<Self, Refused> {
        let in_body = body.get("client_id");
        let secret_in_body = body.get("client_secret");
        let Some(header) = authorization else {
            let client_id =
                in_body.ok_or_else(|| Refused::invalid_client("client_id is missing"))?.to_owned();
            let proof = secret_in_body.map(|secret| (AuthMethod::SecretPost, Secret::new(secret)));
            return Ok(Self { client_id, proof });
        };
        let (client_id, secret) = basic(header)
            .ok_or_else(|| Refused::invalid_client("the Authorization header is not HTTP Basic"))?;
        if in_body.is_some_and(|other| other != client_id) {
            return Err(Refused::invalid_client("the Authorization header and the body name two clients"));
        }
        if secret_in_body.is_some_and(|other| !secret.matches(other)) {
            return Err(Refused::invalid_client("the secret stands in the header and in the body"));
        }
        let proof = (!secret.expose().is_empty()).then_some((AuthMethod::SecretBasic, secret));
        Ok(Self { client_id, proof })
    }
}

fn basic(header: &str) -> Option<(String, Secret)> {
    let (scheme, encoded) = header.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
    let (id, secret) = decoded.split_once(':')?;
    // Our ids and secrets have no character that form-encoding changes, so that both spellings are the same.
    let plain = |text: &str| percent_decode_str(text).decode_utf8().map(std::borrow::Cow::into_owned).ok();
    Some((plain(id)?, Secret::new(plain(secret)?)))
}

impl TokenRequest {
    /// From the body.
    ///
    /// # Errors
    /// `invalid_request` or `unsupported_grant_type`.
    pub fn parse(body: &Parameters) -> Result<Self, Refused> {
        match body.require("grant_type")? {
            "authorization_code" => Ok(Self::AuthorizationCode {
                code: Secret::new(body.require("code")?),
                verifier: Secret::new(body.require("code_verifier")?),
                redirect_uri: body.get("redirect_uri").map(str::to_owned),
            }),
            "refresh_token" => Ok(Self::RefreshToken {
                token: Secret::new(body.require("refresh_token")?),
                scope: body.get("scope").map(str::to_owned),
            }),
            _ => Err(Refused::new(
                Code::UnsupportedGrantType,
                "grant_type must be authorization_code or refresh_token",
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claimed(header: Option<&str>, body: &str) -> Result<(String, Option<AuthMethod>), Refused> {
        let header = header.map(|pair| format!("Basic {}", STANDARD.encode(pair)));
        let claimed = ClaimedClient::parse(header.as_deref(), &Parameters::parse(body))?;
        Ok((claimed.client_id, claimed.proof.map(|(method, _)| method)))
    }

    #[test]
    fn a_client_names_itself_in_every_way_that_clients_do() {
        let none = ("id".to_owned(), None);
        let post = ("id".to_owned(), Some(AuthMethod::SecretPost));
        let basic = ("id".to_owned(), Some(AuthMethod::SecretBasic));
        assert_eq!(claimed(None, "client_id=id"), Ok(none));
        assert_eq!(claimed(None, "client_id=id&client_secret=s"), Ok(post));
        assert_eq!(claimed(Some("id:s"), ""), Ok(basic.clone()));
        assert_eq!(claimed(Some("i%64:%73"), "client_id=id"), Ok(basic));
    }

    #[test]
    fn a_client_that_contradicts_itself_is_refused() {
        assert!(claimed(Some("id:s"), "client_id=other").is_err());
        assert!(claimed(Some("id:s"), "client_secret=other").is_err());
        assert!(claimed(Some("no colon"), "").is_err());
        assert!(claimed(None, "").is_err());
        assert!(ClaimedClient::parse(Some("Bearer x"), &Parameters::parse("client_id=id")).is_err());
    }
}
