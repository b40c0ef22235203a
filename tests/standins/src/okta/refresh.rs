//! Refresh grant with Okta's two kinds of refresh token.

use serde_json::{Value, json};

use super::claims::has;
use super::options::RefreshTokens;
use super::org::{Family, Memory, Org};
use super::responses::{INVALID_REFRESH_TOKEN, OAuthError, TOO_MANY_GROUPS};
use super::server::AuthServer;
use super::token::{Issued, tokens};
use crate::params::Params;
use crate::random;

pub(super) fn by_refresh_token(
    org: &Org,
    memory: &mut Memory,
    server: &AuthServer,
    form: &Params,
) -> Result<Value, OAuthError> {
    let token = form.get("refresh_token").unwrap_or_default();
    let id = memory.refresh_tokens.get(token).cloned().ok_or(INVALID_REFRESH_TOKEN)?;
    let family = memory.families.get(&id).cloned().ok_or(INVALID_REFRESH_TOKEN)?;
    let user = memory.active(&family.session.username).filter(|_| family.server == *server);
    let groups = user.ok_or(INVALID_REFRESH_TOKEN)?.groups.len();
    if org.options.max_groups.is_some_and(|max| groups > max) {
        return Err(TOO_MANY_GROUPS);
    }
    let scopes = narrowed(&family, form.get("scope"))?;
    let next = next_token(org, memory, &id, token)?;
    let issued = Issued { server, session: &family.session, scopes: &scopes, nonce: None };
    let mut response = tokens(org, memory, &issued);
    response["refresh_token"] = json!(next);
    Ok(response)
}

fn narrowed(family: &Family, requested: Option<&str>) -> Result<Vec<String>, OAuthError> {
    let Some(requested) = requested else { return Ok(family.scopes.clone()) };
    let scopes: Vec<String> = requested.split_whitespace().map(str::to_owned).collect();
    if scopes.iter().all(|scope| has(&family.scopes, scope)) {
        return Ok(scopes);
    }
    let words = "Some of the scopes requested for the refresh request were not granted in the original authorize request.";
    Err(OAuthError::bad_request("access_denied", words))
}

/// Returns the next token; reuse after the grace period revokes the family.
fn next_token(org: &Org, memory: &mut Memory, id: &str, token: &str) -> Result<String, OAuthError> {
    let RefreshTokens::Rotating { grace } = org.options.refresh_tokens else {
        return Ok(token.to_owned());
    };
    let now = org.now();
    let family = memory.families.get_mut(id).ok_or(INVALID_REFRESH_TOKEN)?;
    if family.current != token {
        let in_grace = |(last, since): &(String, u64)| last == token && now <= since + grace;
        if family.previous.as_ref().is_some_and(in_grace) {
            return Ok(family.current.clone());
        }
        memory.families.take(id);
        return Err(INVALID_REFRESH_TOKEN);
    }
    let next = random::token();
    family.previous = Some((std::mem::replace(&mut family.current, next.clone()), now));
    memory.refresh_tokens.insert(next.clone(), id.to_owned());
    Ok(next)
}
