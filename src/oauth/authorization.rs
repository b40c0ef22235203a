//! Authorization request (RFC 6749 §4.1.1, OAuth 2.1 §4.1.1).

use super::error::{ErrorCode, OAuthError};
use super::parameters::Parameters;
use super::pkce::Challenge;
use super::redirect::RedirectUri;
use super::resource::{self, RequestedResource};
use gateway_routes::{Route, Table};
use serde::{Deserialize, Serialize};

/// Validated authorization request that awaits the user's consent.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AuthorizationRequest {
    /// Requesting client.
    pub client_id: String,
    /// `client_name` as the client sent it.
    pub client_name: String,
    /// Redirect URI of the response.
    pub redirect_uri: RedirectUri,
    /// `state`, returned to the client unchanged.
    pub state: Option<String>,
    /// PKCE challenge of the code.
    pub challenge: Challenge,
    /// Pattern of the requested route; `None` lets the user choose.
    pub route: Option<String>,
    /// Path of the requested resource, below the route; `None` for the route itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource: Option<String>,
    /// `login_hint` of the client, passed on to Okta's sign-in form only.
    pub login_hint: Option<String>,
}

/// Target of the authorization response. It is known before the rest of the request is validated, so that errors can be
/// sent to it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ReturnAddress {
    /// Validated redirect URI.
    pub redirect_uri: RedirectUri,
    /// `state` of the request.
    pub state: Option<String>,
}

impl ReturnAddress {
    /// URL of an error response (RFC 6749 §4.1.2.1, RFC 9207 §2).
    pub fn error_url(&self, error: &OAuthError, iss: Option<&str>) -> String {
        self.redirect_uri.with_query(&[
            ("error", Some(error.code.as_str())),
            ("error_description", Some(&error.description)),
            ("state", self.state.as_deref()),
            ("iss", iss),
        ])
    }

    /// URL of a successful response with an authorization code (RFC 6749 §4.1.2).
    pub fn code_url(&self, code: &str, iss: Option<&str>) -> String {
        self.redirect_uri.with_query(&[("code", Some(code)), ("state", self.state.as_deref()), ("iss", iss)])
    }
}

/// Clients send a UUID or a small signed document as `state`.
const MAX_STATE_BYTES: usize = 2048;
const MAX_HINT_BYTES: usize = 320;
/// Longest serialized request. It is stored during the login, before the user is authenticated.
const MAX_REQUEST_BYTES: usize = 6 * 1024;

impl AuthorizationRequest {
    /// Parses and validates all parameters except client and redirect URI, which the caller has validated.
    ///
    /// # Errors
    /// The error response for the client's redirect URI.
    pub fn parse(
        parameters: &Parameters,
        client_id: &str,
        client_name: &str,
        redirect_uri: RedirectUri,
        base_url: &str,
        table: &Table,
    ) -> Result<Self, OAuthError> {
        parameters.check()?;
        match parameters.require("response_type")? {
            "code" => {}
            _ => {
                return Err(OAuthError::new(
                    ErrorCode::UnsupportedResponseType,
                    "response_type must be code",
                ));
            }
        }
        if parameters.get("response_mode").is_some_and(|mode| mode != "query") {
            return Err(OAuthError::invalid_request("response_mode must be query"));
        }
        if parameters.get("request").is_some() || parameters.get("request_uri").is_some() {
            return Err(OAuthError::invalid_request(
                "request objects are not supported: send plain parameters",
            ));
        }
        let challenge =
            Challenge::parse(parameters.get("code_challenge"), parameters.get("code_challenge_method"))?;
        let state = parameters.get("state");
        if state.is_some_and(|state| state.len() > MAX_STATE_BYTES) {
            return Err(OAuthError::invalid_request("state is longer than 2048 bytes: send a shorter one"));
        }
        let route = match resource::requested(parameters.resources(), base_url, table)? {
            RequestedResource::Route(route) => Some(route),
            RequestedResource::Unspecified => resource::infer_route(parameters.get("scope"), table),
        };
        let request = Self {
            client_id: client_id.to_owned(),
            client_name: client_name.to_owned(),
            redirect_uri,
            state: state.map(str::to_owned),
            challenge,
            route: route.map(|route| route.pattern.to_owned()),
            resource: resource::requested_path(parameters.resources()),
            login_hint: parameters.get("login_hint").filter(|h| h.len() <= MAX_HINT_BYTES).map(str::to_owned),
        };
        if serde_json::to_vec(&request).is_ok_and(|json| json.len() <= MAX_REQUEST_BYTES) {
            return Ok(request);
        }
        Err(OAuthError::invalid_request(
            "the request is too long: send a shorter state, or register fewer redirect URIs and keys",
        ))
    }

    /// Requested route; `None` while the user has not chosen one, or when it was removed from the configuration.
    pub fn route(&self, table: &Table) -> Option<&'static Route> {
        let pattern = self.route.as_deref()?;
        table.routes().iter().find(|route| route.pattern == pattern)
    }

    /// Target of the response.
    pub fn return_address(&self) -> ReturnAddress {
        ReturnAddress { redirect_uri: self.redirect_uri.clone(), state: self.state.clone() }
    }
}
