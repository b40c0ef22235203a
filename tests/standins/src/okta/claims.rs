//! Claims about a user, in ID tokens and userinfo.

use serde_json::{Value, json};

use super::options::{EmailVerified, OktaOptions};
use super::server::AuthServer;
use super::users::User;

/// Claims that even a minimal ID token contains.
pub(super) fn base(claims: &mut Value, user: &User, scopes: &[String]) {
    if has(scopes, "profile") {
        claims["name"] = json!(user.name);
        claims["preferred_username"] = json!(user.email);
    }
    if has(scopes, "email") {
        claims["email"] = json!(user.email);
    }
}

/// The rest of the profile.
pub(super) fn profile(claims: &mut Value, user: &User, scopes: &[String], verified: &EmailVerified) {
    if has(scopes, "profile") {
        let (given, family) = user.name.split_once(' ').unwrap_or((&user.name, ""));
        claims["given_name"] = json!(given);
        claims["family_name"] = json!(family);
        claims["locale"] = json!("en-US");
        claims["zoneinfo"] = json!("America/Los_Angeles");
    }
    if has(scopes, "email") {
        match verified {
            EmailVerified::Directory => claims["email_verified"] = json!(user.email_verified),
            EmailVerified::Claim(value) => claims["email_verified"] = value.clone(),
            EmailVerified::Absent => {}
        }
    }
}

/// Groups: by the scope `groups` at the org server, by a claim that is always included at a custom one.
pub(super) fn groups(
    claims: &mut Value,
    user: &User,
    options: &OktaOptions,
    server: &AuthServer,
    scopes: &[String],
) {
    let name = match server {
        AuthServer::Org if options.org_groups_claim && has(scopes, "groups") => Some("groups"),
        AuthServer::Org => None,
        AuthServer::Custom(_) => options.custom_groups_claim.as_deref(),
    };
    if let Some(name) = name {
        claims[name] = json!(user.groups);
    }
}

/// Returns `true` if `scope` was granted.
pub(super) fn has(scopes: &[String], scope: &str) -> bool {
    scopes.iter().any(|granted| granted == scope)
}
