//! How an org is set up before it starts.

use serde_json::Value;

use super::users::{User, default_users};
use crate::Time;

/// The org and the one app in it; `OktaOptions::default()` suits most tests.
#[derive(Debug, Clone)]
pub struct OktaOptions {
    /// The client id of the gateway's app.
    pub client_id: String,
    /// Its secret, accepted as `client_secret_basic` and `client_secret_post`.
    pub client_secret: String,
    /// The app's public keys as JWKs; if there are any, it must use `private_key_jwt` (RS256 or ES256).
    pub client_jwks: Vec<Value>,
    /// The sign-in redirect URIs, matched exactly.
    pub redirect_uris: Vec<String>,
    /// The port on 127.0.0.1; 0 picks a free one.
    pub port: u16,
    /// The directory.
    pub users: Vec<User>,
    /// The usernames that are assigned to the app; `None` is everyone.
    pub assigned: Option<Vec<String>>,
    /// What the app gets when it asks for `offline_access`.
    pub refresh_tokens: RefreshTokens,
    /// Where claims about the profile and the groups are found.
    pub claims_in: ClaimsIn,
    /// How ID tokens that have the profile tell `email_verified`.
    pub id_token_email_verified: EmailVerified,
    /// How userinfo tells it.
    pub userinfo_email_verified: EmailVerified,
    /// The ids of the custom authorization servers.
    pub custom_servers: Vec<String>,
    /// Scopes that the custom authorization servers define beside the OIDC ones.
    pub custom_scopes: Vec<String>,
    /// The name of the claim that the custom authorization servers always put the groups in; `None`: no claim.
    pub custom_groups_claim: Option<String>,
    /// Whether the org authorization server has a groups claim for this app (it answers the `groups` scope).
    pub org_groups_claim: bool,
    /// Whether the app insists on PKCE.
    pub require_pkce: bool,
    /// What time the org thinks it is.
    pub time: Time,
}

/// The refresh token setting of an Okta app.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefreshTokens {
    /// One token that stays the same: what a web app has by default.
    Persistent,
    /// A new token at each use; the last one works for `grace` more seconds, reuse after that ends the family.
    Rotating {
        /// Okta's grace period, in seconds (0 to 60).
        grace: u64,
    },
    /// `offline_access` is accepted and answered without a refresh token.
    Withheld,
    /// `offline_access` is refused with `invalid_scope`.
    Refused,
}

/// Okta calls an ID token with everything in it fat, and thin one that sends its reader to userinfo.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClaimsIn {
    /// A fat ID token (and userinfo).
    IdToken,
    /// A thin ID token: base claims only, the rest at userinfo.
    UserInfo,
}

/// How a document tells `email_verified`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EmailVerified {
    /// As the directory has it, a boolean.
    Directory,
    /// Not at all.
    Absent,
    /// By this value.
    Claim(Value),
}

impl Default for OktaOptions {
    fn default() -> Self {
        Self {
            client_id: "0oastandinclient0h7".to_owned(),
            client_secret: "stand-in-okta-client-secret".to_owned(),
            client_jwks: Vec::new(),
            redirect_uris: vec!["http://localhost:8080/auth/callback".to_owned()],
            port: 0,
            users: default_users(),
            assigned: None,
            refresh_tokens: RefreshTokens::Persistent,
            claims_in: ClaimsIn::IdToken,
            id_token_email_verified: EmailVerified::Directory,
            userinfo_email_verified: EmailVerified::Directory,
            custom_servers: vec!["default".to_owned()],
            custom_scopes: Vec::new(),
            custom_groups_claim: Some("groups".to_owned()),
            org_groups_claim: true,
            require_pkce: true,
            time: Time::default(),
        }
    }
}
