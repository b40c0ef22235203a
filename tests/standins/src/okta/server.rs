//! Authorization servers of the org and their metadata.

use serde_json::{Value, json};

use super::options::{OktaOptions, RefreshTokens};

/// Authorization server of the org.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum AuthServer {
    /// Org authorization server; its issuer is the org's URL.
    Org,
    /// Custom one (API Access Management) with its id, such as `default`.
    Custom(String),
}

const OIDC_SCOPES: [&str; 6] = ["openid", "profile", "email", "address", "phone", "offline_access"];

impl AuthServer {
    pub(super) fn issuer(&self, origin: &str) -> String {
        match self {
            Self::Org => origin.to_owned(),
            Self::Custom(id) => format!("{origin}/oauth2/{id}"),
        }
    }

    /// Base URL of `/v1/…`.
    fn base(&self, origin: &str) -> String {
        match self {
            Self::Org => format!("{origin}/oauth2"),
            Self::Custom(_) => self.issuer(origin),
        }
    }

    pub(super) fn token_endpoint(&self, origin: &str) -> String {
        format!("{}/v1/token", self.base(origin))
    }

    /// Scopes of this server; only the org server has `groups`.
    pub(super) fn scopes(&self, options: &OktaOptions) -> Vec<String> {
        let oidc = OIDC_SCOPES.iter().map(|&scope| scope.to_owned());
        match self {
            Self::Org => oidc.chain(["groups".to_owned()]).collect(),
            Self::Custom(_) => oidc.chain(options.custom_scopes.iter().cloned()).collect(),
        }
    }

    /// OIDC discovery, and RFC 8414 metadata, which has the same members.
    pub(super) fn metadata(&self, origin: &str, options: &OktaOptions) -> Value {
        let base = self.base(origin);
        let auth_methods =
            ["client_secret_basic", "client_secret_post", "client_secret_jwt", "private_key_jwt", "none"];
        let mut grants = vec!["authorization_code", "implicit"];
        if options.refresh_tokens != RefreshTokens::Refused {
            grants.push("refresh_token");
        }
        json!({
            "issuer": self.issuer(origin),
            "authorization_endpoint": format!("{base}/v1/authorize"),
            "token_endpoint": self.token_endpoint(origin),
            "userinfo_endpoint": format!("{base}/v1/userinfo"),
            "registration_endpoint": format!("{origin}/oauth2/v1/clients"),
            "jwks_uri": format!("{base}/v1/keys"),
            "revocation_endpoint": format!("{base}/v1/revoke"),
            "introspection_endpoint": format!("{base}/v1/introspect"),
            "end_session_endpoint": format!("{base}/v1/logout"),
            "response_types_supported": ["code", "id_token", "code id_token", "code token", "id_token token"],
            "response_modes_supported": ["query", "fragment", "form_post", "okta_post_message"],
            "grant_types_supported": grants,
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "scopes_supported": self.scopes(options),
            "token_endpoint_auth_methods_supported": auth_methods,
            "revocation_endpoint_auth_methods_supported": auth_methods,
            "introspection_endpoint_auth_methods_supported": auth_methods,
            "claims_supported": ["iss", "ver", "sub", "aud", "iat", "exp", "jti", "auth_time", "amr", "idp", "nonce",
                "name", "preferred_username", "email", "email_verified", "at_hash"],
            "code_challenge_methods_supported": ["S256"],
            "request_parameter_supported": true,
        })
    }
}
