//! Who signed in: from the ID token, and from userinfo what that does not say (OIDC Core §5.3).

use super::discovery::Metadata;
use super::http::Http;
use super::{OktaConfig, OktaError};
use crate::jose::Claims;
use crate::secret::Secret;
use serde_json::{Map, Value};

const MOST_GROUPS: usize = 500;
const LONGEST_GROUP: usize = 256;
const LONGEST_EMAIL: usize = 320;

/// A person.
pub(super) struct Profile {
    pub(super) sub: String,
    pub(super) email: Option<String>,
    pub(super) groups: Vec<String>,
}

/// Reads the profile.
pub(super) async fn read(
    config: &OktaConfig,
    metadata: &Metadata,
    http: &Http,
    (claims, access_token): (&Claims, &Secret),
) -> Result<Profile, OktaError> {
    let sub = claims.str("sub").unwrap_or_default().to_owned();
    let mut groups = groups(claims, &config.groups_claim);
    let mut email = email(|name| claims.get(name));
    if (groups.is_none() || email.is_none())
        && let Some(userinfo) = userinfo(metadata, http, (&sub, access_token)).await?
    {
        groups = groups.or_else(|| userinfo.get(&config.groups_claim).and_then(listed));
        email = email.or_else(|| self::email(|name| userinfo.get(name)));
    }
    Ok(Profile { sub, email, groups: groups.unwrap_or_default() })
}

/// The groups alone, of a user who is known already.
pub(super) async fn groups_of(
    config: &OktaConfig,
    metadata: &Metadata,
    http: &Http,
    (claims, sub, access_token): (Option<&Claims>, &str, &Secret),
) -> Result<Vec<String>, OktaError> {
    if let Some(groups) = claims.and_then(|claims| groups(claims, &config.groups_claim)) {
        return Ok(groups);
    }
    let userinfo = userinfo(metadata, http, (sub, access_token)).await?;
    let groups = userinfo.and_then(|userinfo| userinfo.get(&config.groups_claim).and_then(listed));
    Ok(groups.unwrap_or_default())
}

/// What userinfo says of this user; `None` when Okta has no such endpoint.
async fn userinfo(
    metadata: &Metadata,
    http: &Http,
    (sub, access_token): (&str, &Secret),
) -> Result<Option<Map<String, Value>>, OktaError> {
    let Some(endpoint) = &metadata.userinfo_endpoint else { return Ok(None) };
    let document = http.get(endpoint, Some(access_token.expose())).await?;
    let userinfo: Map<String, Value> = serde_json::from_slice(&document)
        .map_err(|_| OktaError::Untrustworthy("userinfo is no JSON object".into()))?;
    // OIDC Core §5.3.2: else it may be anyone's.
    if userinfo.get("sub").and_then(Value::as_str) != Some(sub) {
        return Err(OktaError::Untrustworthy("userinfo is about another user".into()));
    }
    Ok(Some(userinfo))
}

/// The groups claim; `None` when there is none.
fn groups(claims: &Claims, name: &str) -> Option<Vec<String>> {
    claims.get(name).and_then(listed)
}

fn listed(claim: &Value) -> Option<Vec<String>> {
    let fits = |group: &&str| !group.is_empty() && group.len() <= LONGEST_GROUP;
    match claim {
        Value::String(group) => {
            Some(Some(group.as_str()).filter(fits).map(str::to_owned).into_iter().collect())
        }
        Value::Array(groups) => {
            let groups = groups.iter().filter_map(Value::as_str).filter(fits).take(MOST_GROUPS);
            Some(groups.map(str::to_owned).collect())
        }
        _ => None,
    }
}

/// The e-mail address, unless Okta says that it may be somebody else's (OIDC Core §5.1, `email_verified`): servers
/// behind us know people by it.
fn email<'a>(claim: impl Fn(&str) -> Option<&'a Value>) -> Option<String> {
    let disputed = claim("email_verified").is_some_and(|verified| verified != &Value::Bool(true));
    let fits = |text: &&str| !disputed && !text.is_empty() && text.len() <= LONGEST_EMAIL;
    claim("email").and_then(Value::as_str).filter(fits).map(str::to_owned)
}
