//! Discovery documents: RFC 8414, OIDC discovery and RFC 9728.

use super::client::{AuthMethod, assertion};
use gateway_routes::{ClientMetadataMode, Route, Site, Table};
use serde_json::{Value, json};

/// Authorization server metadata (RFC 8414 §2), with the members that OIDC discovery requires: the same document serves
/// both well-known URLs.
pub fn authorization_server(base_url: &str, site: &Site) -> Value {
    let mut document = json!({
        "issuer": base_url,
        "authorization_endpoint": format!("{base_url}/auth/authorize"),
        "token_endpoint": format!("{base_url}/auth/token"),
        "revocation_endpoint": format!("{base_url}/auth/revoke"),
        "jwks_uri": format!("{base_url}/.well-known/jwks.json"),
        "scopes_supported": all_scopes(&site.table),
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": ["authorization_code", "refresh_token"],
        "token_endpoint_auth_methods_supported": AuthMethod::ALL,
        "token_endpoint_auth_signing_alg_values_supported": assertion::ALGORITHMS,
        "revocation_endpoint_auth_methods_supported": AuthMethod::ALL,
        "revocation_endpoint_auth_signing_alg_values_supported": assertion::ALGORITHMS,
        "code_challenge_methods_supported": ["S256"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["ES256"],
    });
    if site.client_metadata.mode != ClientMetadataMode::Off {
        document["client_id_metadata_document_supported"] = json!(true);
    }
    if site.registration.enabled {
        document["registration_endpoint"] = json!(format!("{base_url}/auth/register"));
    }
    if site.advertise_iss {
        document["authorization_response_iss_parameter_supported"] = json!(true);
    }
    document
}

/// Protected resource metadata (RFC 9728 §2) of `path`, a path below the route.
pub fn protected_resource(base_url: &str, route: &Route, path: &str) -> Value {
    json!({
        "resource": format!("{base_url}{path}"),
        "authorization_servers": [base_url],
        "scopes_supported": route.scopes,
        "bearer_methods_supported": ["header"],
        "resource_name": route.name,
    })
}

/// URL of the metadata of a resource path (RFC 9728 §3.1).
pub fn protected_resource_url(base_url: &str, path: &str) -> String {
    format!("{base_url}/.well-known/oauth-protected-resource{path}")
}

fn all_scopes(table: &Table) -> Vec<&'static str> {
    let mut scopes: Vec<&str> = table.routes().iter().flat_map(|route| route.scopes).copied().collect();
    scopes.sort_unstable();
    scopes.dedup();
    scopes
}
