//! OAuth clients: registration, metadata documents, keys and authentication.

pub mod assertion;
mod auth_method;
pub mod authentication;
mod document_url;
pub mod keys;
pub mod metadata_document;
mod record;
pub mod registration;
pub mod registration_policy;

pub use auth_method::AuthMethod;
pub use document_url::{DocumentUrl, DocumentUrlError, FetchNotAllowed, is_url};
pub use record::Client;
