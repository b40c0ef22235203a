//! User profile from the ID token, completed from the userinfo endpoint (OIDC Core §5.3).

use super::discovery::Metadata;
use super::http::Http;
use super::{OktaConfig, OktaError};
use crate::base::secret::Secret;
use crate::crypto::jose::Claims;
use serde_json::{Map, Value};

const MAX_GROUP_CHARS: usize = 256;
const MAX_EMAIL_BYTES: usize = 320;

/// Profile of a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    /// Verified e-mail address.
    pub email: Option<String>,
    /// Groups; empty when Okta sends none.
    pub groups: Vec<String>,
}

/// User whose profile is read.
pub(super) struct Subject<'a> {
    /// Claims of the ID token, if any.
    pub(super) claims: Option<&'a Claims>,
    pub(super) sub: &'a str,
    /// Access token for the userinfo endpoint.
    pub(super) access_token: &'a Secret,
}

/// Reads the profile. Userinfo is requested when the ID token lacks groups or a verified e-mail address, as Okta's ID
/// tokens of the code flow do not contain `email_verified`.
pub(super) async fn read(
    config: &OktaConfig,
    metadata: &Metadata,
    http: &Http,
    subject: Subject<'_>,
) -> Result<Profile, OktaError> {
    let claim = |name: &str| subject.claims.and_then(|claims| claims.get(name));
    let mut groups = claim(&config.groups_claim).and_then(parse_groups);
    let mut email = email(claim, config.trust_email);
    if (groups.is_none() || email.is_none())
        && let Some(userinfo) = userinfo(metadata, http, &subject).await?
    {
        groups = groups.or_else(|| userinfo.get(&config.groups_claim).and_then(parse_groups));
        email = email.or_else(|| self::email(|name| userinfo.get(name), config.trust_email));
    }
    Ok(Profile { email, groups: groups.unwrap_or_default() })
}

/// Requests the userinfo document; `None` when Okta has no such endpoint.
async fn userinfo(
    metadata: &Metadata,
    http: &Http,
    subject: &Subject<'_>,
) -> Result<Option<Map<String, Value>>, OktaError> {
    let Some(endpoint) = &metadata.userinfo_endpoint else { return Ok(None) };
    let document = http.get(endpoint, Some(subject.access_token.expose())).await?;
    let userinfo: Map<String, Value> = serde_json::from_slice(&document)
        .map_err(|_| OktaError::Invalid("userinfo is not a JSON object".into()))?;
    // OIDC Core §5.3.2: otherwise the document may belong to another user.
    if userinfo.get("sub").and_then(Value::as_str) != Some(subject.sub) {
        return Err(OktaError::Invalid("userinfo is for another user".into()));
    }
    Ok(Some(userinfo))
}

/// Parses a groups claim; `None` when it is neither a string nor an array.
fn parse_groups(claim: &Value) -> Option<Vec<String>> {
    let is_valid = |group: &&str| !group.is_empty() && group.chars().count() <= MAX_GROUP_CHARS;
    match claim {
        Value::String(group) => {
            Some(Some(group.as_str()).filter(is_valid).map(str::to_owned).into_iter().collect())
        }
        Value::Array(groups) => {
            let groups = groups.iter().filter_map(Value::as_str).filter(is_valid);
            Some(groups.map(str::to_owned).collect())
        }
        _ => None,
    }
}

/// E-mail address of one document, if the document marks it as verified (OIDC Core §5.1) or the site trusts all
/// addresses.
///
/// A missing `email_verified` means unverified: users could choose the address of another person, and upstream servers
/// identify users by it. Some providers send booleans as strings.
fn email<'a>(claim: impl Fn(&str) -> Option<&'a Value>, trusted: bool) -> Option<String> {
    let is_verified = || match claim("email_verified") {
        Some(Value::Bool(verified)) => *verified,
        Some(Value::String(verified)) => verified == "true",
        _ => false,
    };
    let is_accepted = |text: &&str| (1..=MAX_EMAIL_BYTES).contains(&text.len()) && (trusted || is_verified());
    claim("email").and_then(Value::as_str).filter(is_accepted).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_email_address_needs_email_verified() {
        for (verified, is_accepted) in [
            (json!(true), true),
            (json!("true"), true),
            (json!(false), false),
            (json!("false"), false),
            (json!("True"), false),
            (json!("yes"), false),
            (json!(1), false),
            (json!(null), false),
            (json!([true]), false),
        ] {
            let document = json!({ "email": "a@example.com", "email_verified": verified });
            let accepted = |trusted| email(|name| document.get(name), trusted).is_some();
            assert_eq!((accepted(false), accepted(true)), (is_accepted, true), "{verified}");
        }
        let absent = json!({ "email": "a@example.com" });
        assert_eq!(email(|name| absent.get(name), false), None);
        assert_eq!(email(|name| absent.get(name), true).as_deref(), Some("a@example.com"));
    }

    #[test]
    fn an_invalid_email_address_is_ignored() {
        for address in [json!(""), json!(null), json!(["a@example.com"]), json!("a".repeat(321))] {
            let document = json!({ "email": address, "email_verified": true });
            assert_eq!(email(|name| document.get(name), true), None, "{address}");
        }
    }
}
