//! Configuration of an org.

use serde_json::Value;

use super::users::{User, default_users};
use crate::Time;

/// Configuration of an org and its app; `OktaOptions::default()` suits most tests.
#[derive(Debug, Clone)]
pub struct OktaOptions {
    /// Client id of the gateway's app.
    pub client_id: String,
    /// Client secret, accepted as `client_secret_basic` and `client_secret_post`.
    pub client_secret: String,
    /// Public keys of the app as JWKs; if there are any, it must use `private_key_jwt` (RS256 or ES256).
    pub client_jwks: Vec<Value>,
    /// Sign-in redirect URIs, matched exactly.
    pub redirect_uris: Vec<String>,
    /// Port on 127.0.0.1; 0 selects a free one.
    pub port: u16,
    /// Origin of its URLs behind a server that terminates TLS; `None` for its own.
    pub origin: Option<String>,
    /// User directory.
    pub users: Vec<User>,
    /// Usernames that are assigned to the app; `None` for all.
    pub assigned: Option<Vec<String>>,
    /// Response to the scope `offline_access`.
    pub refresh_tokens: RefreshTokens,
    /// Location of the profile and group claims.
    pub claims_in: ClaimsIn,
    /// `email_verified` in ID tokens that contain the profile.
    pub id_token_email_verified: EmailVerified,
    /// `email_verified` in userinfo.
    pub userinfo_email_verified: EmailVerified,
    /// Ids of the custom authorization servers.
    pub custom_servers: Vec<String>,
    /// Scopes of the custom authorization servers in addition to those of OIDC.
    pub custom_scopes: Vec<String>,
    /// Name of the groups claim that the custom authorization servers always include; `None` for no claim.
    pub custom_groups_claim: Option<String>,
    /// `true` if the org authorization server has a groups claim for this app (by the scope `groups`).
    pub org_groups_claim: bool,
    /// Groups above which the token endpoint fails, as Okta's does above 100; `None` for no limit.
    pub max_groups: Option<usize>,
    /// `true` if the app requires PKCE.
    pub require_pkce: bool,
    /// Time source.
    pub time: Time,
}

/// Refresh token setting of an Okta app.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefreshTokens {
    /// One token that stays the same: the default of a web app.
    Persistent,
    /// A new token at each use; the previous one works for `grace` more seconds, later reuse revokes the family.
    Rotating {
        /// Okta's grace period, in seconds (0 to 60).
        grace: u64,
    },
    /// `offline_access` is accepted, but no refresh token is issued.
    Withheld,
    /// `offline_access` is rejected with `invalid_scope`.
    Refused,
}

/// Size of ID tokens: Okta calls them "fat" with all claims, and "thin" when the rest is in userinfo.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClaimsIn {
    /// Fat ID token (and userinfo).
    IdToken,
    /// Thin ID token: base claims only, the rest in userinfo.
    UserInfo,
}

/// Value of `email_verified` in a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EmailVerified {
    /// Value of the directory, a boolean.
    Directory,
    /// Absent.
    Absent,
    /// This value.
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
            origin: None,
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
            max_groups: None,
            require_pkce: true,
            time: Time::default(),
        }
    }
}
