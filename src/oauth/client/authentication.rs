//! Client authentication at the token endpoint (RFC 6749 §2.3, RFC 7523 §2.2).

use super::assertion;
use super::auth_method::AuthMethod;
use crate::base::secret::Secret;
use crate::crypto::jose::UnverifiedJwt;
use crate::oauth::error::OAuthError;
use crate::oauth::parameters::{FORM_TYPE, Parameters};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::percent_decode_str;

/// Client identity and credential of a token request, not yet verified.
#[derive(Debug)]
pub struct ClaimedClient {
    /// Claimed `client_id`.
    pub client_id: String,
    /// Credential; `None` for a public client.
    pub proof: Option<Proof>,
}

/// Client credential.
#[derive(Debug)]
pub enum Proof {
    /// A client secret, with the method by which it was sent (header or body).
    Secret(AuthMethod, Secret),
    /// A client assertion (JWT).
    Assertion(Secret),
}

impl ClaimedClient {
    /// Parses the `Authorization` header and the form body. Basic credentials may be raw or form-encoded (RFC 6749
    /// §2.3.1), and the body may repeat the `client_id`, because clients send both.
    ///
    /// # Errors
    /// `invalid_request` when no client is named, a header or parameter is malformed, or there are two ids, credentials or
    /// methods (RFC 6749 §5.2): clients drop their registration at `invalid_client`, and this is no statement about one.
    pub fn parse(authorization: Option<&str>, body: &Parameters) -> Result<Self, OAuthError> {
        let in_body = body.get("client_id");
        let secret_in_body = body.get("client_secret");
        if let Some(jwt) = body.get("client_assertion") {
            return by_assertion(jwt, authorization.is_some() || secret_in_body.is_some(), body);
        }
        let Some(header) = authorization else {
            let missing = || {
                OAuthError::invalid_request(format!(
                    "client_id is missing: send it in the body, as {FORM_TYPE}"
                ))
            };
            let client_id = in_body.ok_or_else(missing)?.to_owned();
            let proof =
                secret_in_body.map(|secret| Proof::Secret(AuthMethod::SecretPost, Secret::new(secret)));
            return Ok(Self { client_id, proof });
        };
        let (client_id, secret) = parse_basic(header).ok_or_else(|| {
            OAuthError::invalid_request(
                "the Authorization header is not HTTP Basic with a client_id and a client_secret",
            )
        })?;
        if in_body.is_some_and(|other| other != client_id) {
            return Err(OAuthError::invalid_request(
                "the Authorization header and the body name two clients",
            ));
        }
        if secret_in_body.is_some_and(|other| !secret.matches(other)) {
            return Err(OAuthError::invalid_request(
                "there are two secrets, in the header and in the body: send one of them",
            ));
        }
        let proof = (!secret.expose().is_empty()).then_some(Proof::Secret(AuthMethod::SecretBasic, secret));
        Ok(Self { client_id, proof })
    }
}

/// Reads a client assertion. `client_id` may be omitted, because the assertion names the client (RFC 7521 §4.2);
/// verifying the assertion checks that both name the same client.
fn by_assertion(jwt: &str, has_secret: bool, body: &Parameters) -> Result<ClaimedClient, OAuthError> {
    let claimed = || UnverifiedJwt::parse(jwt).ok()?.claimed_subject();
    let client_id = body.get("client_id").map(str::to_owned).or_else(claimed);
    let client_id =
        client_id.ok_or_else(|| OAuthError::invalid_request("the client_assertion names no client"))?;
    if body.get("client_assertion_type") != Some(assertion::TYPE) {
        return Err(OAuthError::invalid_request(format!(
            "client_assertion_type must be {}",
            assertion::TYPE
        )));
    }
    if has_secret {
        return Err(OAuthError::invalid_request(
            "there is a secret beside the client_assertion: send one of them",
        ));
    }
    Ok(ClaimedClient { client_id, proof: Some(Proof::Assertion(Secret::new(jwt))) })
}

/// Parses Basic credentials; `None` when they are malformed or name no client.
fn parse_basic(header: &str) -> Option<(String, Secret)> {
    let (scheme, encoded) = header.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
    let (id, secret) = decoded.split_once(':')?;
    // The gateway's ids and secrets contain no character that form-encoding changes: both forms decode alike.
    let decode = |text: &str| percent_decode_str(text).decode_utf8().map(std::borrow::Cow::into_owned).ok();
    let id = decode(id).filter(|id| !id.is_empty())?;
    Some((id, Secret::new(decode(secret)?)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::jose::SigningKey;
    use crate::oauth::error::ErrorCode;
    use serde_json::json;

    fn claimed(header: Option<&str>, body: &str) -> Result<(String, Option<AuthMethod>), OAuthError> {
        let header = header.map(basic);
        let claimed = ClaimedClient::parse(header.as_deref(), &Parameters::parse(body))?;
        let method = claimed.proof.map(|proof| match proof {
            Proof::Secret(method, _) => method,
            Proof::Assertion(_) => AuthMethod::PrivateKeyJwt,
        });
        Ok((claimed.client_id, method))
    }

    fn basic(pair: &str) -> String {
        format!("Basic {}", STANDARD.encode(pair))
    }

    fn assertion(more: &str) -> String {
        let jwt = SigningKey::from_seed(&[1; 32]).sign("JWT", &json!({ "sub": "id" })).unwrap();
        let kind = assertion::TYPE.replace(':', "%3A");
        format!("client_assertion_type={kind}&client_assertion={jwt}{more}")
    }

    #[test]
    fn all_client_authentication_methods_are_parsed() {
        let none = ("id".to_owned(), None);
        let post = ("id".to_owned(), Some(AuthMethod::SecretPost));
        let basic = ("id".to_owned(), Some(AuthMethod::SecretBasic));
        let jwt = ("id".to_owned(), Some(AuthMethod::PrivateKeyJwt));
        assert_eq!(claimed(None, "client_id=id"), Ok(none));
        assert_eq!(claimed(None, "client_id=id&client_secret=s"), Ok(post));
        assert_eq!(claimed(Some("id:s"), ""), Ok(basic.clone()));
        assert_eq!(claimed(Some("i%64:%73"), "client_id=id"), Ok(basic));
        assert_eq!(claimed(None, &assertion("")), Ok(jwt.clone()));
        assert_eq!(claimed(None, &assertion("&client_id=id")), Ok(jwt));
    }

    #[test]
    fn malformed_or_contradictory_authentication_is_invalid_request_whatever_client_it_names() {
        let named = assertion("&client_id=id");
        let untyped = assertion("").replace("client_assertion_type", "other");
        let unnamed = assertion("").replace("client_assertion=", "client_assertion=x");
        for (header, body) in [
            (None, ""),
            (None, "{\"client_id\":\"id\"}"),
            (None, "client_secret=s"),
            (None, &*unnamed),
            (None, &*untyped),
            (None, &named.replace("jwt-bearer", "saml2-bearer")),
            (None, &assertion("&client_secret=s")),
            (None, "client_id=id&client_assertion=a.b.c"),
            (Some("Bearer x"), ""),
            (Some("Bearer x"), "client_id=id"),
            (Some("Basic"), "client_id=id"),
            (Some("Basic !!!"), "client_id=id"),
            (Some("Basic x"), "grant_type=refresh_token"),
            (Some(""), "client_id=id"),
            (Some(&*basic("no colon")), "client_id=id"),
            (Some(&*basic(":s")), "client_id=id"),
            (Some(&*basic("id:%ff")), "client_id=id"),
            (Some(&*basic("id:s")), "client_id=other"),
            (Some(&*basic("id:s")), "client_secret=other"),
            (Some(&*basic("id:")), "client_secret=s"),
            (Some(&*basic("id:s")), &named),
            (Some("Bearer x"), &named),
        ] {
            let refused = ClaimedClient::parse(header, &Parameters::parse(body)).unwrap_err();
            assert_eq!(refused.code, ErrorCode::InvalidRequest, "{header:?} {body}");
        }
    }
}
