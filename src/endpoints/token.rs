//! `POST /auth/token`: the token endpoint (RFC 6749 §3.2). The client is authenticated before the grant is validated,
//! because clients drop their registration at `invalid_client` and only their tokens at `invalid_grant`.

mod redemption;
mod revalidation;

use crate::app::audit::Audit;
use crate::app::audit_subject::AuditSubject;
use crate::app::clients::{self, Admission, AuthenticatedForm, KnownClient};
use crate::app::failure::{Failure, InternalError};
use crate::app::rate_limit::Kind;
use crate::app::reply;
use crate::app::request::{Request, RequestHead};
use crate::app::state::Gateway;
use crate::base::secret::Secret;
use crate::credential::{AccessToken, RefreshToken};
use crate::grants::{Grant, PresentedGrant, Refreshed};
use crate::oauth::error::{ErrorCode, OAuthError};
use crate::oauth::parameters::Parameters;
use crate::oauth::resource::{self, RequestedResource};
use crate::oauth::scope;
use crate::oauth::token::TokenRequest;
use crate::proxy;
use crate::store::{GrantId, Reuse};
use bytes::Bytes;
use gateway_routes::{RefreshReuse, Route};
use http::{Response, StatusCode};
use redemption::Redemption;
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
    let AuthenticatedForm { client, form, parsed, mut admission } =
        clients::authenticate(request, Kind::Token, body, subject, TokenRequest::parse).await?;
    let tokens = match tokens(request, &client, parsed, &form, &mut admission, subject).await {
        Ok(tokens) => tokens,
        Err(failure) => return Err(admission.after_failure(request, Kind::Token, &client.id, failure).await),
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

/// Obtains the tokens for the code or the refresh token of an authenticated client.
async fn tokens(
    request: Request<'_>,
    client: &KnownClient,
    parsed: TokenRequest,
    form: &Parameters,
    admission: &mut Admission,
    subject: &mut AuditSubject,
) -> Result<Tokens, Failure> {
    match parsed {
        TokenRequest::AuthorizationCode { code, verifier, redirect_uri } => {
            let redemption = Redemption {
                client_id: &client.id,
                code: &code,
                verifier: &verifier,
                redirect_uri: redirect_uri.as_deref(),
            };
            redemption::redeem_code(request, redemption, form, admission, subject).await
        }
        TokenRequest::RefreshToken { token } => {
            let presented = open_grant(request.gateway, &client.id, &token, subject).await?;
            refresh(request, presented, form, admission, subject).await
        }
    }
}

/// The tokens of a successful token request.
struct Tokens {
    grant: Arc<Grant>,
    access_token: String,
    scopes: Vec<String>,
    refresh_token: Option<Secret>,
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
    admission: &mut Admission,
    subject: &AuditSubject,
) -> Result<Tokens, Failure> {
    let gateway = request.gateway;
    let PresentedToken { token, grant, is_refreshable } = presented;
    let route = route_of(gateway, Some(&grant.route))?;
    let requested = requested_path(gateway, form, route)?;
    let scopes = token_scopes(&grant.scopes, route)?;
    // A reused token is refused without a revalidation.
    if is_refreshable {
        admission.count_by_grant(request, Kind::Token, token.grant).await?;
        revalidation::before_refresh(request, token.grant, grant).await?;
    } else {
        admission.count_by_address(request, Kind::Token, &grant.client_id).await?;
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
