//! The authorization request (RFC 6749 §4.1.1, OAuth 2.1 §4.1.1), parsed once into a type.

use super::error::{ErrorCode, OAuthError};
use super::parameters::Parameters;
use super::pkce::Challenge;
use super::redirect::RedirectUri;
use super::resource::{self, Picked};
use super::scope;
use gateway_routes::{Route, Table};
use serde::{Deserialize, Serialize};

/// A request that passed every check that needs no person.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AuthorizationRequest {
    /// Who asks.
    pub client_id: String,
    /// The client's name, as it gave it.
    pub client_name: String,
    /// Where the answer goes.
    pub redirect_uri: RedirectUri,
    /// Goes back to the client untouched.
    pub state: Option<String>,
    /// What the code can be redeemed with.
    pub challenge: Challenge,
    /// The pattern of the route that was asked for; `None` lets the person pick.
    pub route: Option<String>,
    /// The scopes that were asked for and are known: by the route, or by any route while none is picked.
    pub scope: Option<String>,
    /// Whom the person is expected to be; only Okta's form is filled with it.
    pub login_hint: Option<String>,
}

/// Where an answer may go even when the request is wrong: client and redirect URI are known good.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ReturnAddress {
    /// The client's callback.
    pub redirect_uri: RedirectUri,
    /// The client's state.
    pub state: Option<String>,
}

impl ReturnAddress {
    /// The URL that carries a refusal to the client (RFC 6749 §4.1.2.1, RFC 9207 §2).
    pub fn refusal(&self, refused: &OAuthError, iss: Option<&str>) -> String {
        self.redirect_uri.with(&[
            ("error", Some(refused.code.as_str())),
            ("error_description", Some(&refused.description)),
            ("state", self.state.as_deref()),
            ("iss", iss),
        ])
    }

    /// The URL that carries a code to the client.
    pub fn approval(&self, code: &str, iss: Option<&str>) -> String {
        self.redirect_uri.with(&[("code", Some(code)), ("state", self.state.as_deref()), ("iss", iss)])
    }
}

/// Clients put a UUID into `state`, or a small signed document.
const MAX_STATE_BYTES: usize = 2048;
const MAX_HINT_BYTES: usize = 320;
/// The longest request, as JSON: it is stored during the login, before anybody has signed in.
const MAX_REQUEST_BYTES: usize = 6 * 1024;

impl AuthorizationRequest {
    /// Checks everything behind client and redirect URI, which the caller has already found to be good.
    ///
    /// # Errors
    /// What goes back to the client's redirect URI.
    pub fn parse(
        parameters: &Parameters,
        client: (&str, &str),
        redirect_uri: RedirectUri,
        site: (&str, &Table),
    ) -> Result<Self, OAuthError> {
        let (base_url, table) = site;
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
        let scope = parameters.get("scope");
        let route = match resource::pick(parameters.resources(), base_url, table)? {
            Picked::Route(route) => Some(route),
            Picked::Any => resource::guess(scope, table),
        };
        let request = Self {
            client_id: client.0.to_owned(),
            client_name: client.1.to_owned(),
            redirect_uri,
            state: state.map(str::to_owned),
            challenge,
            route: route.map(|route| route.pattern.to_owned()),
            scope: scope::known(scope, route, table),
            login_hint: parameters.get("login_hint").filter(|h| h.len() <= MAX_HINT_BYTES).map(str::to_owned),
        };
        if serde_json::to_vec(&request).is_ok_and(|json| json.len() <= MAX_REQUEST_BYTES) {
            return Ok(request);
        }
        Err(OAuthError::invalid_request(
            "the request is too long: send a shorter state, or register fewer redirect URIs and keys",
        ))
    }

    /// The route that was asked for; `None` while the person has not picked, or when it is gone.
    pub fn route(&self, table: &Table) -> Option<&'static Route> {
        let pattern = self.route.as_deref()?;
        table.routes().iter().find(|route| route.pattern == pattern)
    }

    /// Where its answer goes.
    pub fn return_address(&self) -> ReturnAddress {
        ReturnAddress { redirect_uri: self.redirect_uri.clone(), state: self.state.clone() }
    }
}
