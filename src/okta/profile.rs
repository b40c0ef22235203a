//! Who signed in: from the ID token, and from userinfo what that does not say (OIDC Core §5.3).

use super::discovery::Metadata;
use super::http::Http;
use super::{OktaConfig, OktaError};
use crate::base::secret::Secret;
use crate::crypto::jose::Claims;
use serde_json::{Map, Value};

const MAX_GROUPS: usize = 500;
const MAX_GROUP_CHARS: usize = 256;
const MAX_EMAIL_BYTES: usize = 320;

/// What Okta tells of a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    /// The e-mail address, when Okta tells one that is known to be the user's.
    pub email: Option<String>,
    /// The groups; none when Okta tells none.
    pub groups: Vec<String>,
}

/// Whose profile is read, and by what.
pub(super) struct Subject<'a> {
    /// Of the ID token, when one came.
    pub(super) claims: Option<&'a Claims>,
    pub(super) sub: &'a str,
    /// Opens userinfo.
    pub(super) access_token: &'a Secret,
}

/// Reads the profile. Userinfo is asked when the ID token lacks groups or a verified address: Okta's ID tokens of the
/// code flow have no `email_verified`.
pub(super) async fn read(
    config: &OktaConfig,
    metadata: &Metadata,
    http: &Http,
    subject: Subject<'_>,
) -> Result<Profile, OktaError> {
    let claim = |name: &str| subject.claims.and_then(|claims| claims.get(name));
    let mut groups = claim(&config.groups_claim).and_then(listed);
    let mut email = email(claim, config.trust_email);
    if (groups.is_none() || email.is_none())
        && let Some(userinfo) = userinfo(metadata, http, &subject).await?
    {
        groups = groups.or_else(|| userinfo.get(&config.groups_claim).and_then(listed));
        email = email.or_else(|| self::email(|name| userinfo.get(name), config.trust_email));
    }
    Ok(Profile { email, groups: groups.unwrap_or_default() })
}

/// What userinfo says of this user; `None` when Okta has no such endpoint.
async fn userinfo(
    metadata: &Metadata,
    http: &Http,
    subject: &Subject<'_>,
) -> Result<Option<Map<String, Value>>, OktaError> {
    let Some(endpoint) = &metadata.userinfo_endpoint else { return Ok(None) };
    let document = http.get(endpoint, Some(subject.access_token.expose())).await?;
    let userinfo: Map<String, Value> = serde_json::from_slice(&document)
        .map_err(|_| OktaError::Untrustworthy("userinfo is no JSON object".into()))?;
    // OIDC Core §5.3.2: else it may be anyone's.
    if userinfo.get("sub").and_then(Value::as_str) != Some(subject.sub) {
        return Err(OktaError::Untrustworthy("userinfo is about another user".into()));
    }
    Ok(Some(userinfo))
}

/// A claim that lists groups; `None` when it is anything else.
fn listed(claim: &Value) -> Option<Vec<String>> {
    let fits = |group: &&str| !group.is_empty() && group.len() <= MAX_GROUP_CHARS;
    match claim {
        Value::String(group) => {
            Some(Some(group.as_str()).filter(fits).map(str::to_owned).into_iter().collect())
        }
        Value::Array(groups) => {
            let groups = groups.iter().filter_map(Value::as_str).filter(fits).take(MAX_GROUPS);
            Some(groups.map(str::to_owned).collect())
        }
        _ => None,
    }
}

/// The e-mail address of one document, when that calls it verified (OIDC Core §5.1) or the site trusts all addresses.
/// Absent is not verified: an address that somebody chose may be another person's, and servers behind us know people
/// by it. Some providers write booleans as text.
fn email<'a>(claim: impl Fn(&str) -> Option<&'a Value>, trusted: bool) -> Option<String> {
    let is_verified = || match claim("email_verified") {
        Some(Value::Bool(verified)) => *verified,
        Some(Value::String(verified)) => verified == "true",
        _ => false,
    };
    let counts = |text: &&str| (1..=MAX_EMAIL_BYTES).contains(&text.len()) && (trusted || is_verified());
    claim("email").and_then(Value::as_str).filter(counts).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_address_counts_only_beside_a_yes() {
        for (verified, counts) in [
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
            let told = |trusted| email(|name| document.get(name), trusted).is_some();
            assert_eq!((told(false), told(true)), (counts, true), "{verified}");
        }
        let absent = json!({ "email": "a@example.com" });
        assert_eq!(email(|name| absent.get(name), false), None);
        assert_eq!(email(|name| absent.get(name), true).as_deref(), Some("a@example.com"));
    }

    #[test]
    fn what_is_no_address_never_counts() {
        for address in [json!(""), json!(null), json!(["a@example.com"]), json!("a".repeat(321))] {
            let document = json!({ "email": address, "email_verified": true });
            assert_eq!(email(|name| document.get(name), true), None, "{address}");
        }
    }
}
