//! `POST /auth/token`: the token endpoint (RFC 6749 §3.2). The client is authenticated before the grant is validated,
//! because clients drop their registration at `invalid_client` and only their tokens at `invalid_grant`.

mod revalidation;

use crate::app::audit::Audit;
use crate::app::audit_subject::AuditSubject;
use crate::app::clients;
use crate::app::failure::{Failure, InternalError};
use crate::app::rate_limit::Kind;
use crate::app::reply;
use crate::app::request::{Request, RequestHead};
use crate::app::state::Gateway;
use crate::base::secret::Secret;
use crate::credential::{self, AccessToken, RefreshToken};
use crate::grants::{Code as AuthorizationCode, Grant, PresentedGrant, Refreshed};
use crate::oauth::error::{ErrorCode, OAuthError};
use crate::oauth::parameters::Parameters;
use crate::oauth::resource::{self, RequestedResource};
use crate::oauth::scope;
use crate::oauth::token::TokenRequest;
use crate::proxy;
use crate::store::{CodeUse, GrantId, Reuse};
use bytes::Bytes;
use gateway_routes::{RefreshReuse, Route};
use http::{Response, StatusCode};
use serde_json::json;
use std::sync::Arc;

/// Maximum length of the form.
pub const MAX_FORM_BYTES: usize = 32 * 1024;

/// Issues tokens.
pub async fn post(gateway: Arc<Gateway>, head: Arc<RequestHead>, body: Bytes) -> Response<Bytes> {
    let request = Request { gateway: &gateway, head: &head };
    let mut subject = AuditSubject::default();
    match issue(request, &body, &mut subject).await {
        Ok(response) => response,
        Err(failure) => failure.report(request, Kind::Token, &subject).json(),
    }
}

async fn issue(
    request: Request<'_>,
    body: &Bytes,
    subject: &mut AuditSubject,
) -> Result<Response<Bytes>, Failure> {
    let gateway = request.gateway;
    let (client, form) = clients::authenticate(request, Kind::Token, body, subject).await?;
    let tokens = match TokenRequest::parse(&form)? {
        TokenRequest::AuthorizationCode { code, verifier, redirect_uri } => {
            let redemption = Redemption {
                client_id: &client.id,
                code: &code,
                verifier: &verifier,
                redirect_uri: redirect_uri.as_deref(),
            };
            redeem_code(request, redemption, &form, subject).await?
        }
        TokenRequest::RefreshToken { token } => {
            let presented = open_grant(gateway, &client.id, &token, subject).await?;
            refresh(request, presented, &form, subject).await?
        }
    };
    clients::mark_trusted(gateway, &client);
    let Tokens { grant, access_token, scopes, refresh_token } = tokens;
    subject.set_grant(&grant);
    subject.record(request.allowed("token"));
    let mut response = json!({
        "access_token": access_token,
        "token_type": "Bearer",
        "expires_in": gateway.credentials.access_ttl().as_secs(),
        "scope": scopes.join(" "),
    });
    if let Some(refresh_token) = refresh_token {
        response["refresh_token"] = json!(refresh_token.expose());
    }
    Ok(reply::json(StatusCode::OK, &response))
}

/// The tokens of a successful token request.
struct Tokens {
    grant: Arc<Grant>,
    access_token: String,
    scopes: Vec<String>,
    refresh_token: Option<Secret>,
}

/// A request to redeem an authorization code, by an authenticated client.
#[derive(Clone, Copy)]
struct Redemption<'a> {
    client_id: &'a str,
    code: &'a Secret,
    verifier: &'a Secret,
    redirect_uri: Option<&'a str>,
}

/// Redeems a code. It is used up last, so that neither a wrong request nor an outage costs the user a new login: without
/// the verifier, nobody can use up the code or revoke its grant, and until then creating the grant again changes nothing. A
/// second redemption that passes the same checks revokes the grant (RFC 6749 §4.1.2).
async fn redeem_code(
    request: Request<'_>,
    redemption: Redemption<'_>,
    form: &Parameters,
    subject: &mut AuditSubject,
) -> Result<Tokens, Failure> {
    let grants = &request.gateway.grants;
    let key = credential::digest(redemption.code.expose());
    let code = grants.code(key).await?;
    let code = code.ok_or_else(|| OAuthError::invalid_grant("the code is unknown or has expired"))?;
    subject.set_code(&code);
    redemption.check(&code)?;
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

/// A refresh token of the client, and its grant.
struct PresentedToken {
    token: RefreshToken,
    grant: Arc<Grant>,
    is_refreshable: bool,
}

/// Opens a refresh token and reads its grant, which must be of this client.
async fn open_grant(
    gateway: &Gateway,
    client_id: &str,
    token: &Secret,
    subject: &mut AuditSubject,
) -> Result<PresentedToken, Failure> {
    let token = gateway.credentials.open_refresh_token(token).ok_or_else(unknown_refresh_token)?;
    let presented = gateway.grants.presented(token.grant, token.generation).await?;
    let PresentedGrant { grant, is_refreshable } = presented.ok_or_else(unknown_refresh_token)?;
    subject.set_grant(&grant);
    if grant.client_id != client_id {
        return Err(OAuthError::invalid_grant("the refresh token was issued to another client").into());
    }
    Ok(PresentedToken { token, grant, is_refreshable })
}

fn unknown_refresh_token() -> OAuthError {
    OAuthError::invalid_grant("the refresh token is unknown, expired or revoked: sign in again")
}

/// Refreshes an access token and rotates the refresh token (RFC 6749 §6, OAuth 2.1 §4.3.1).
async fn refresh(
    request: Request<'_>,
    presented: PresentedToken,
    form: &Parameters,
    subject: &AuditSubject,
) -> Result<Tokens, Failure> {
    let gateway = request.gateway;
    let PresentedToken { token, grant, is_refreshable } = presented;
    let route = route_of(gateway, Some(&grant.route))?;
    let requested = requested_path(gateway, form, route)?;
    let scopes = token_scopes(&grant.scopes, route)?;
    // A reused token is refused without a revalidation.
    if is_refreshable {
        revalidation::before_refresh(request, token.grant, grant).await?;
    }
    let (ttl, on_reuse) = (gateway.site.tokens.refresh_ttl, on_reuse(gateway));
    match gateway.grants.refresh(token.grant, token.generation, ttl, on_reuse).await? {
        Refreshed::Rotated { grant, generation } => {
            let access_token = access_token(gateway, &grant, token.grant, &scopes, requested.as_deref())?;
            let next = RefreshToken { grant: token.grant, generation };
            let refresh_token = Some(gateway.credentials.refresh_token(next));
            Ok(Tokens { grant, access_token, scopes, refresh_token })
        }
        Refreshed::Invalid => Err(unknown_refresh_token().into()),
        Refreshed::Reused => Err(OAuthError::invalid_grant(match on_reuse {
            Reuse::Revoke => {
                let reason = "reuse of a refresh token";
                subject.record(Audit { reason, ..request.allowed("revocation") });
                "the refresh token was used before: the grant is revoked"
            }
            Reuse::Refuse => "the refresh token was used before",
        })
        .into()),
    }
}

const fn on_reuse(gateway: &Gateway) -> Reuse {
    match gateway.site.refresh_reuse {
        RefreshReuse::Revoke => Reuse::Revoke,
        RefreshReuse::Refuse => Reuse::Refuse,
    }
}

fn route_of(gateway: &Gateway, pattern: Option<&str>) -> Result<&'static Route, OAuthError> {
    let mut routes = gateway.site.table.routes().iter();
    routes
        .find(|route| Some(route.pattern) == pattern)
        .ok_or_else(|| OAuthError::invalid_grant("this gateway does not have that MCP server any more"))
}

/// Selects the scopes of a token. A token that opens nothing would loop: clients refresh at 403 and get another such token.
fn token_scopes(granted: &[String], route: &Route) -> Result<Vec<String>, OAuthError> {
    scope::of_token(granted, route).ok_or_else(|| {
        OAuthError::invalid_grant("the MCP server needs scopes that were not granted: sign in again")
    })
}

/// Returns the path of `resource`, which is optional and must otherwise be below the grant's route (RFC 8707 §2.2).
fn requested_path(gateway: &Gateway, form: &Parameters, route: &Route) -> Result<Option<String>, OAuthError> {
    match resource::requested(form.resources(), gateway.base_url.as_str(), &gateway.site.table)? {
        RequestedResource::Route(requested) if requested.pattern != route.pattern => {
            Err(OAuthError::new(ErrorCode::InvalidTarget, "the grant is for another resource"))
        }
        _ => Ok(resource::requested_path(form.resources())),
    }
}

/// Signs an access token for the requested resource, else the grant's.
fn access_token(
    gateway: &Gateway,
    grant: &Grant,
    id: GrantId,
    scopes: &[String],
    requested: Option<&str>,
) -> Result<String, Failure> {
    let route = route_of(gateway, Some(&grant.route))?;
    let token = AccessToken {
        subject: grant.subject.user().sub.clone(),
        audience: audience(gateway, route, requested.or(grant.resource.as_deref())).into(),
        client_id: grant.client_id.clone(),
        scopes: scopes.into(),
        grant: id,
        expires_at: gateway.credentials.now().after(gateway.credentials.access_ttl()),
    };
    Ok(gateway.credentials.sign_access_token(&token).map_err(InternalError::AccessToken)?)
}

/// Resource at this path as its metadata names it (RFC 9068 §3), or that of the route, when the path has no metadata or
/// another route by now.
fn audience(gateway: &Gateway, route: &Route, path: Option<&str>) -> String {
    let base_url = gateway.base_url.as_str();
    let named = path.filter(|path| proxy::is_normal(path)).map(|path| format!("{base_url}{path}"));
    named
        .filter(|resource| resource::is_below(resource, base_url, route, &gateway.site.table))
        .unwrap_or_else(|| resource::identifier(base_url, route))
}
