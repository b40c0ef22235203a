//! Routes of the org.

use std::sync::Arc;

use axum::extract::{Path, Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use axum::routing::{get, post};
use axum::{RequestExt as _, Router};

use super::documents::{custom_metadata, keys, not_found, org_metadata, userinfo};
use super::org::Org;
use super::{authorize, outage, token};

/// Builds the org's router with the outage middleware.
pub(super) fn router(org: &Arc<Org>) -> Router {
    Router::new()
        .route("/.well-known/openid-configuration", get(org_metadata))
        .route("/.well-known/oauth-authorization-server", get(org_metadata))
        .route("/oauth2/v1/authorize", get(authorize::at_org))
        .route("/oauth2/v1/token", post(token::at_org))
        .route("/oauth2/v1/revoke", post(token::revoke))
        .route("/oauth2/v1/introspect", post(token::introspect))
        .route("/oauth2/v1/keys", get(keys))
        .route("/oauth2/v1/userinfo", get(userinfo).post(userinfo))
        .route("/login", post(authorize::login))
        .route("/login/signout", get(authorize::sign_out))
        .merge(custom(org))
        .fallback(not_found)
        .layer(from_fn_with_state(Arc::clone(org), outage::log_and_apply))
        .with_state(Arc::clone(org))
}

fn custom(org: &Arc<Org>) -> Router<Arc<Org>> {
    Router::new()
        .route("/oauth2/{id}/.well-known/openid-configuration", get(custom_metadata))
        .route("/oauth2/{id}/.well-known/oauth-authorization-server", get(custom_metadata))
        .route("/oauth2/{id}/v1/authorize", get(authorize::at_custom))
        .route("/oauth2/{id}/v1/token", post(token::at_custom))
        .route("/oauth2/{id}/v1/revoke", post(token::revoke))
        .route("/oauth2/{id}/v1/introspect", post(token::introspect))
        .route("/oauth2/{id}/v1/keys", get(keys))
        .route("/oauth2/{id}/v1/userinfo", get(userinfo).post(userinfo))
        .route_layer(from_fn_with_state(Arc::clone(org), existing))
}

/// Rejects unknown authorization servers.
async fn existing(State(org): State<Arc<Org>>, mut request: Request, next: Next) -> Response {
    let id = request.extract_parts::<Path<String>>().await;
    match id {
        Ok(Path(id)) if org.options.custom_servers.contains(&id) => next.run(request).await,
        _ => not_found().await,
    }
}
