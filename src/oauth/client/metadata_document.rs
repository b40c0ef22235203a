//! Client ID Metadata Documents (draft-ietf-oauth-client-id-metadata-document): the `client_id` is the URL of a
//! document with the client's metadata.

use super::auth_method::AuthMethod;
use super::document_url::{DocumentUrl, DocumentUrlError};
use super::keys::ClientKeys;
use super::record::Client;
use super::registration::{client_name, redirect_uris, require_member};
use crate::base::clock::Timestamp;
use crate::oauth::error::{ErrorCode, OAuthError};
use gateway_routes::ClientDocument;
use serde_json::{Map, Value};
use std::collections::HashMap;
use thiserror::Error;

/// Longest accepted document, in bytes (draft §8.7).
pub const MAX_DOCUMENT_BYTES: usize = 5 * 1024;

/// Reason why a document is not valid client metadata.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DocumentError {
    /// The document does not contain its own URL as `client_id`, so it is no metadata document. The reason is for the
    /// log only.
    #[error("{0}")]
    NotMetadata(&'static str),
    /// A member is invalid. The text names the member and the reason.
    #[error("{0}")]
    Invalid(String),
}

/// A compiled document that is not valid client metadata.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the compiled client metadata document {client_id} is invalid")]
pub struct InvalidCompiledDocument {
    client_id: &'static str,
    #[source]
    error: CompiledDocumentError,
}

#[derive(Debug, Clone, PartialEq, Eq, Error)]
enum CompiledDocumentError {
    #[error(transparent)]
    Url(#[from] DocumentUrlError),
    #[error("it is longer than {MAX_DOCUMENT_BYTES} bytes")]
    TooLong,
    #[error(transparent)]
    Document(#[from] DocumentError),
}

/// Parses compiled documents at `now`; returns the clients by their `client_id`.
///
/// # Errors
/// A document is not valid client metadata. The build has checked it by the same rules.
pub fn parse_compiled(
    documents: &[ClientDocument],
    schemes: &[&str],
    now: Timestamp,
) -> Result<HashMap<String, Client>, InvalidCompiledDocument> {
    let parse_one = |document: &ClientDocument| {
        let ClientDocument { client_id, json } = *document;
        let parsed = parse_compiled_one(client_id, json, schemes, now);
        let client = parsed.map_err(|error| InvalidCompiledDocument { client_id, error })?;
        Ok((client_id.to_owned(), client))
    };
    documents.iter().map(parse_one).collect()
}

fn parse_compiled_one(
    client_id: &str,
    json: &str,
    schemes: &[&str],
    now: Timestamp,
) -> Result<Client, CompiledDocumentError> {
    let url = DocumentUrl::parse(client_id)?;
    if json.len() > MAX_DOCUMENT_BYTES {
        return Err(CompiledDocumentError::TooLong);
    }
    Ok(parse(json.as_bytes(), &url, schemes, now)?)
}

/// Parses a metadata document that was fetched from `url` at `now`.
///
/// # Errors
/// The document is not valid client metadata.
pub fn parse(
    document: &[u8],
    url: &DocumentUrl,
    schemes: &[&str],
    now: Timestamp,
) -> Result<Client, DocumentError> {
    let Ok(Value::Object(metadata)) = serde_json::from_slice(document) else {
        return Err(DocumentError::NotMetadata("it is not a JSON object"));
    };
    if metadata.get("client_id").and_then(Value::as_str) != Some(url.as_str()) {
        return Err(DocumentError::NotMetadata("client_id is not the URL that the document is at"));
    }
    parse_client(&metadata, schemes, now)
        .map_err(|error| DocumentError::Invalid(error.description.into_owned()))
}

fn parse_client(
    metadata: &Map<String, Value>,
    schemes: &[&str],
    registered_at: Timestamp,
) -> Result<Client, OAuthError> {
    if metadata.contains_key("client_secret") || metadata.contains_key("client_secret_expires_at") {
        return Err(refuse("client_secret has no place in what everybody can read"));
    }
    require_member(metadata, "grant_types", "authorization_code")?;
    require_member(metadata, "response_types", "code")?;
    let name = client_name(metadata)?;
    if name.trim().is_empty() {
        return Err(refuse("client_name is missing"));
    }
    let auth_method = auth_method(metadata)?;
    Ok(Client {
        name,
        redirect_uris: redirect_uris(metadata, schemes)?,
        auth_method,
        keys: (auth_method == AuthMethod::PrivateKeyJwt).then(|| ClientKeys::parse(metadata)).transpose()?,
        registered_at,
        nonce: String::new(),
    })
}

/// Authentication method of the client: `token_endpoint_auth_method` if supported, else the strongest method of
/// `token_endpoint_auth_methods_supported` (`OpenID` Connect RP Metadata Choices; `ChatGPT` lists two). The default is
/// `none`, not `client_secret_basic`, because such a client has no secret.
fn auth_method(metadata: &Map<String, Value>) -> Result<AuthMethod, OAuthError> {
    let named = match metadata.get("token_endpoint_auth_method") {
        None | Some(Value::Null) => None,
        Some(Value::String(name)) if name.starts_with("client_secret") => {
            return Err(refuse("token_endpoint_auth_method needs a secret, and there can be none"));
        }
        Some(Value::String(name)) => Some(name.as_str()),
        Some(_) => return Err(refuse("token_endpoint_auth_method is not a string")),
    };
    let supported = match metadata.get("token_endpoint_auth_methods_supported") {
        Some(Value::Array(methods)) => methods.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    let offers = |method: AuthMethod| supported.contains(&method.as_str());
    match named.and_then(AuthMethod::parse) {
        Some(method) => Ok(method),
        None if offers(AuthMethod::PrivateKeyJwt) => Ok(AuthMethod::PrivateKeyJwt),
        None if offers(AuthMethod::None) || named.is_none() => Ok(AuthMethod::None),
        None => Err(refuse("token_endpoint_auth_method must be none or private_key_jwt")),
    }
}

fn refuse(description: &'static str) -> OAuthError {
    OAuthError::new(ErrorCode::InvalidClientMetadata, description)
}

#[cfg(test)]
mod tests;
