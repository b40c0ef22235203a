//! Requests to Okta's token endpoint, with the `oauth2` crate.

use super::discovery::Metadata;
use super::http::Http;
use super::refusal;
use super::{OktaConfig, OktaError};
use crate::base::secret::Secret;
use oauth2::basic::{
    BasicErrorResponse, BasicRevocationErrorResponse, BasicTokenIntrospectionResponse, BasicTokenType,
};
use oauth2::{
    AccessToken, AsyncHttpClient, AuthType, AuthorizationCode, Client, ClientId, ClientSecret,
    EndpointNotSet, EndpointSet, ExtraTokenFields, HttpRequest, HttpResponse, IntrospectionUrl,
    PkceCodeVerifier, RedirectUrl, RefreshToken, RequestTokenError, StandardRevocableToken,
    StandardTokenResponse, TokenResponse as _, TokenUrl,
};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::pin::Pin;

/// OIDC members of a token response. `Debug` does not print them.
#[derive(Clone, Deserialize, Serialize)]
pub(super) struct WithIdToken {
    id_token: Option<String>,
}

impl fmt::Debug for WithIdToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WithIdToken")
    }
}

impl ExtraTokenFields for WithIdToken {}

type Response = StandardTokenResponse<WithIdToken, BasicTokenType>;
type TokenClient = Client<
    BasicErrorResponse,
    Response,
    BasicTokenIntrospectionResponse,
    StandardRevocableToken,
    BasicRevocationErrorResponse,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointSet,
>;

/// HTTP client for the token endpoint: an error response, in either shape, is an error of the request.
struct TokenHttp<'a>(&'a Http);

impl<'c> AsyncHttpClient<'c> for TokenHttp<'_> {
    type Error = OktaError;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, OktaError>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(async move {
            let response = self.0.send(request).await?;
            if response.status() == http::StatusCode::OK {
                return Ok(response);
            }
            Err(refusal::of_response(response.status(), response.body()))
        })
    }
}

/// Tokens of a response.
#[expect(clippy::struct_field_names, reason = "RFC 6749 §5.1 and OIDC Core name them so")]
pub(super) struct Tokens {
    pub(super) access_token: Secret,
    pub(super) refresh_token: Option<Secret>,
    pub(super) id_token: Option<String>,
}

/// Redeems an authorization code.
pub(super) async fn redeem(
    config: &OktaConfig,
    metadata: &Metadata,
    http: &Http,
    code: &str,
    verifier: &str,
) -> Result<Tokens, OktaError> {
    let client = client(config, metadata);
    let request = client
        .exchange_code(AuthorizationCode::new(code.to_owned()))
        .set_pkce_verifier(PkceCodeVerifier::new(verifier.to_owned()));
    parse(request.request_async(&TokenHttp(http)).await)
}

/// Redeems a refresh token.
pub(super) async fn refresh(
    config: &OktaConfig,
    metadata: &Metadata,
    http: &Http,
    token: &Secret,
) -> Result<Tokens, OktaError> {
    let client = client(config, metadata);
    let token = RefreshToken::new(token.expose().to_owned());
    parse(client.exchange_refresh_token(&token).request_async(&TokenHttp(http)).await)
}

/// Checks the gateway's credentials with an introspection (RFC 7662) of a token that does not exist.
///
/// # Errors
/// [`OktaError::Credentials`], and [`OktaError::Unavailable`] without a response. Any other error says nothing about them.
pub(super) async fn check_credentials(
    config: &OktaConfig,
    metadata: &Metadata,
    http: &Http,
) -> Result<(), OktaError> {
    let Some(endpoint) = metadata.introspection_endpoint.clone() else { return Ok(()) };
    let client = client(config, metadata).set_introspection_url(IntrospectionUrl::from_url(endpoint));
    let token = AccessToken::new("none".to_owned());
    match client.introspect(&token).request_async(&TokenHttp(http)).await {
        Err(RequestTokenError::Request(
            error @ (OktaError::Credentials { .. } | OktaError::Unavailable(_)),
        )) => Err(error),
        _ => Ok(()),
    }
}

fn client(config: &OktaConfig, metadata: &Metadata) -> TokenClient {
    let methods = &metadata.token_endpoint_auth_methods_supported;
    let supports = |method: &str| methods.iter().any(|supported| supported == method);
    // `client_secret_basic` is the default (OIDC Discovery §3).
    let in_body = !supports("client_secret_basic") && supports("client_secret_post");
    Client::new(ClientId::new(config.client_id.clone()))
        .set_client_secret(ClientSecret::new(config.client_secret.expose().to_owned()))
        .set_auth_type(if in_body { AuthType::RequestBody } else { AuthType::BasicAuth })
        .set_redirect_uri(RedirectUrl::from_url(config.redirect_uri.clone()))
        .set_token_uri(TokenUrl::from_url(metadata.token_endpoint.clone()))
}

fn parse(
    result: Result<Response, RequestTokenError<OktaError, BasicErrorResponse>>,
) -> Result<Tokens, OktaError> {
    let response = result.map_err(|error| match error {
        RequestTokenError::Request(error) => error,
        RequestTokenError::ServerResponse(_) => {
            OktaError::Unavailable("an error with HTTP status 200".into())
        }
        RequestTokenError::Parse(..) => {
            OktaError::Unavailable("the response of the token endpoint is not JSON".into())
        }
        RequestTokenError::Other(why) => OktaError::Unavailable(why),
    })?;
    Ok(Tokens {
        access_token: Secret::new(response.access_token().secret().as_str()),
        refresh_token: response.refresh_token().map(|token| Secret::new(token.secret().as_str())),
        id_token: response.extra_fields().id_token.clone(),
    })
}
