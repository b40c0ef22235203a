//! Redemption of an authorization code (RFC 6749 §4.1.3).

use super::{Tokens, access_token, requested_path, route_of, token_scopes};
use crate::app::audit::Audit;
use crate::app::audit_subject::AuditSubject;
use crate::app::clients::Admission;
use crate::app::failure::Failure;
use crate::app::rate_limit::Kind;
use crate::app::request::Request;
use crate::app::state::Gateway;
use crate::base::secret::Secret;
use crate::credential::{self, RefreshToken};
use crate::grants::{Code as AuthorizationCode, Grant};
use crate::oauth::error::OAuthError;
use crate::oauth::parameters::Parameters;
use crate::store::CodeUse;
use std::sync::Arc;

/// A request to redeem an authorization code, by an authenticated client.
#[derive(Clone, Copy)]
pub(super) struct Redemption<'a> {
    pub(super) client_id: &'a str,
    pub(super) code: &'a Secret,
    pub(super) verifier: &'a Secret,
    pub(super) redirect_uri: Option<&'a str>,
}

/// Redeems a code. It is used up last, so that neither a wrong request nor an outage costs the user a new login: without
/// the verifier, nobody can use up the code or revoke its grant, and until then creating the grant again changes nothing. A
/// use that fails does not count, although it may take effect. A second redemption that passes the same checks revokes the
/// grant (RFC 6749 §4.1.2).
pub(super) async fn redeem_code(
    request: Request<'_>,
    redemption: Redemption<'_>,
    form: &Parameters,
    admission: &mut Admission,
    subject: &mut AuditSubject,
) -> Result<Tokens, Failure> {
    let grants = &request.gateway.grants;
    let key = credential::digest(redemption.code.expose());
    let code = grants.code(key).await?;
    let code = code.ok_or_else(|| OAuthError::invalid_grant("the code is unknown or has expired"))?;
    subject.set_code(&code);
    redemption.check(&code)?;
    admission.count_by_grant(request, Kind::Token, code.grant).await?;
    let (id, tokens) = (code.grant, tokens_for_code(request.gateway, form, code)?);
    let lives = match tokens.refresh_token {
        Some(_) => request.gateway.site.tokens.refresh_ttl,
        None => request.gateway.credentials.access_ttl(),
    };
    let is_active = grants.create(id, &tokens.grant, lives).await?;
    if is_active && grants.use_code(key).await? == Some(CodeUse::First) {
        return Ok(tokens);
    }
    // Used before, or expired since it was read.
    admission.count_used_code(request, redemption.client_id).await;
    if grants.revoke(id).await? {
        let reason = "reuse of the authorization code";
        subject.record(Audit { reason, ..request.allowed("revocation") });
    }
    Err(OAuthError::invalid_grant("the code was used before: what it led to is revoked").into())
}

impl Redemption<'_> {
    /// Checks that the code was issued to this client, for this redirect URI and verifier.
    fn check(self, code: &AuthorizationCode) -> Result<(), OAuthError> {
        if code.request.client_id != self.client_id {
            return Err(OAuthError::invalid_grant("the code was issued to another client"));
        }
        if self.redirect_uri.is_some_and(|uri| uri != code.request.redirect_uri.as_str()) {
            return Err(OAuthError::invalid_grant("redirect_uri is not the one of the authorization"));
        }
        if !code.request.challenge.matches(self.verifier.expose()) {
            return Err(OAuthError::invalid_grant("code_verifier does not meet the code_challenge"));
        }
        Ok(())
    }
}

/// Makes the grant of a code and its tokens, without storing anything.
fn tokens_for_code(gateway: &Gateway, form: &Parameters, code: AuthorizationCode) -> Result<Tokens, Failure> {
    let route = route_of(gateway, code.request.route.as_deref())?;
    let requested = requested_path(gateway, form, route)?;
    let scopes = token_scopes(&code.scopes, route)?;
    let grant = Grant {
        subject: code.subject,
        client_id: code.request.client_id,
        client_name: code.request.client_name,
        route: route.pattern.to_owned(),
        resource: code.request.resource.or_else(|| requested.clone()),
        scopes: code.scopes,
        okta_refresh_token: code.okta_refresh_token,
        checked_at: code.signed_in_at,
        asked_at: code.signed_in_at,
    };
    let access_token = access_token(gateway, &grant, code.grant, &scopes, requested.as_deref())?;
    let first = RefreshToken { grant: code.grant, generation: 1 };
    let refresh_token = grant.okta_refresh_token.is_some().then(|| gateway.credentials.refresh_token(first));
    Ok(Tokens { grant: Arc::new(grant), access_token, scopes, refresh_token })
}
