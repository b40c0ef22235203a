//! Client metadata documents (draft-ietf-oauth-client-id-metadata-document), checked by the rules that the gateway
//! applies to a fetched one. A test of the gateway compares the two.

mod uri;

use super::problem::{LineError, ValueError, quoted};
use serde_json::{Map, Value};

/// Longest document, in bytes (draft §8.7).
const MAX_DOCUMENT_BYTES: usize = 5 * 1024;
/// Most redirect URIs of a client; loopback URIs that differ in port alone are one.
const MAX_REDIRECT_URIS: usize = 12;
/// Most keys in a document.
const MAX_INLINE_KEYS: usize = 8;
/// Members of a key that must not be published (RFC 7518 §6).
const PRIVATE_KEY_MEMBERS: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];
/// Algorithms of client assertions.
const ALGORITHMS: [&str; 4] = ["ES256", "ES384", "RS256", "PS256"];

/// Checks a document and returns its `client_id`, with the line of it. `hosts` are those that documents and keys may be
/// fetched from; empty allows all.
pub(super) fn check(text: &str, schemes: &[&str], hosts: &[&str]) -> Result<(usize, String), Vec<LineError>> {
    if text.len() > MAX_DOCUMENT_BYTES {
        let message = format!("the document has {} bytes", text.len());
        let remedy =
            format!("publish at most {MAX_DOCUMENT_BYTES}: the gateway fetches no longer one either");
        return Err(vec![ValueError::new(message, remedy).at(1)]);
    }
    let metadata = match serde_json::from_str(text) {
        Ok(Value::Object(metadata)) => metadata,
        Ok(_) => return Err(vec![ValueError::new("this is not a JSON object", SAVE_AS_PUBLISHED).at(1)]),
        Err(error) => {
            let message = format!("this is not JSON ({error})");
            return Err(vec![ValueError::new(message, SAVE_AS_PUBLISHED).at(error.line().max(1))]);
        }
    };
    let mut document = Document { text, metadata, errors: Vec::new() };
    document.check_client_id();
    document.check_name();
    document.check_redirect_uris(schemes);
    document.check_list("grant_types", "authorization_code");
    document.check_list("response_types", "code");
    document.check_authentication(hosts);
    let client_id = document.text_of("client_id").unwrap_or_default().to_owned();
    let line = document.line("client_id");
    if document.errors.is_empty() { Ok((line, client_id)) } else { Err(document.errors) }
}

const SAVE_AS_PUBLISHED: &str = "save the document as its site publishes it";

/// Document with the errors found in it.
struct Document<'a> {
    text: &'a str,
    metadata: Map<String, Value>,
    errors: Vec<LineError>,
}

impl Document<'_> {
    fn check_client_id(&mut self) {
        let error = match self.member("client_id") {
            Some(Value::String(id)) => match uri::check_document_url(id) {
                Ok(()) => return,
                Err(why) => format!("{} {why}", quoted(id)),
            },
            Some(_) => "it is not a string".to_owned(),
            None => "it is missing".to_owned(),
        };
        self.reject("client_id", error, "write the URL that the document is published at, exactly");
    }

    fn check_name(&mut self) {
        let is_visible = |name: &str| name.chars().any(|c| !c.is_control() && !c.is_whitespace());
        let error = match self.member("client_name") {
            Some(Value::String(name)) if is_visible(name) => return,
            Some(Value::String(_)) => "it is empty",
            Some(_) => "it is not a string",
            None => "it is missing",
        };
        self.reject("client_name", error, "write the name that the consent page shows");
    }

    fn check_redirect_uris(&mut self, schemes: &[&str]) {
        const REMEDY: &str = "write https, http on loopback, or a scheme of the app; list one of your own in \
                              `redirect_schemes`";
        let uris = match self.member("redirect_uris") {
            Some(Value::Array(uris)) if (1..=MAX_REDIRECT_URIS).contains(&uri::distinct(uris)) => {
                uris.clone()
            }
            _ => {
                let remedy = format!("write 1 to {MAX_REDIRECT_URIS} URIs");
                self.reject("redirect_uris", "it is not a list of URIs, or too long", &remedy);
                return;
            }
        };
        for uri in uris {
            match uri.as_str().map(|uri| (uri, uri::check_redirect_uri(uri, schemes))) {
                Some((_, Ok(()))) => {}
                Some((uri, Err(why))) => {
                    self.reject("redirect_uris", format!("{} {why}", quoted(uri)), REMEDY);
                }
                None => self.reject("redirect_uris", "an entry is not a string", REMEDY),
            }
        }
    }

    /// Checks that a list, if it exists and is not empty, includes a value.
    fn check_list(&mut self, name: &'static str, required: &str) {
        let is_right = match self.member(name) {
            None => true,
            Some(Value::Array(values)) => values.is_empty() || values.iter().any(|value| value == required),
            Some(_) => false,
        };
        if !is_right {
            self.reject(name, format!("it is not a list with {required}"), "the gateway has no other flow");
        }
    }

    fn check_authentication(&mut self, hosts: &[&str]) {
        const NAME: &str = "token_endpoint_auth_method";
        const REMEDY: &str = "only none and private_key_jwt work without a secret";
        for secret in ["client_secret", "client_secret_expires_at"] {
            if self.metadata.contains_key(secret) {
                self.reject(secret, "a secret that everybody can read is none", "remove it");
            }
        }
        let supported: Vec<&str> = match self.metadata.get("token_endpoint_auth_methods_supported") {
            Some(Value::Array(methods)) => methods.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        };
        let offers_keys = supported.contains(&"private_key_jwt");
        let offers_none = supported.contains(&"none");
        let needs_keys = match self.member(NAME) {
            Some(Value::String(method)) if method.starts_with("client_secret") => {
                let error = format!("{method} needs a secret, and there can be none");
                self.reject(NAME, error, REMEDY);
                return;
            }
            Some(Value::String(method)) if method == "none" => false,
            Some(Value::String(method)) if method == "private_key_jwt" => true,
            Some(Value::String(_)) if !offers_keys && !offers_none => {
                self.reject(NAME, "it is not known", REMEDY);
                return;
            }
            Some(Value::String(_)) | None => offers_keys,
            Some(_) => {
                self.reject(NAME, "it is not a string", REMEDY);
                return;
            }
        };
        if needs_keys {
            self.check_keys(hosts);
        }
    }

    fn check_keys(&mut self, hosts: &[&str]) {
        match (self.member("jwks").cloned(), self.member("jwks_uri").cloned()) {
            (Some(_), Some(_)) => {
                self.reject("jwks", "jwks and jwks_uri exclude each other", "leave one out");
            }
            (Some(keys), None) => self.check_inline_keys(&keys),
            (None, Some(Value::String(url))) => {
                if let Err(why) = uri::check_document_url(&url) {
                    self.reject("jwks_uri", format!("{} {why}", quoted(&url)), "write an https URL");
                } else if let Some(host) = uri::unlisted_host(&url, hosts) {
                    let error = format!("{} is not in `client_metadata.hosts`", quoted(&host));
                    let remedy = "add the host there: the gateway fetches the client's keys from it";
                    self.reject("jwks_uri", error, remedy);
                }
            }
            (None, _) => {
                self.reject(
                    "jwks_uri",
                    "private_key_jwt needs keys, and there are none",
                    "add jwks_uri or jwks",
                );
            }
        }
        let algorithm = self.member("token_endpoint_auth_signing_alg");
        let is_known = |name: &Value| name.as_str().is_some_and(|name| ALGORITHMS.contains(&name));
        if algorithm.is_some_and(|name| !is_known(name)) {
            let remedy = format!("write one of {}", ALGORITHMS.join(", "));
            self.reject("token_endpoint_auth_signing_alg", "it is not supported", &remedy);
        }
    }

    fn check_inline_keys(&mut self, keys: &Value) {
        let Some(keys) = keys.get("keys").and_then(Value::as_array) else {
            self.reject("jwks", "it is not an object with keys", "write a JWK Set (RFC 7517 §5)");
            return;
        };
        let is_signing_key = |key: &Value| matches!(key["kty"].as_str(), Some("EC" | "RSA"));
        if keys.len() > MAX_INLINE_KEYS || !keys.iter().any(is_signing_key) {
            let remedy =
                format!("write 1 to {MAX_INLINE_KEYS} public keys of P-256, P-384 or RSA, or jwks_uri");
            self.reject("jwks", "it has no key for signatures, or too many", &remedy);
        }
        if keys.iter().any(|key| PRIVATE_KEY_MEMBERS.iter().any(|member| key.get(member).is_some())) {
            self.reject("jwks", "a private key that everybody can read is none", "make another key");
        }
    }

    /// Member that is not null.
    fn member(&self, name: &str) -> Option<&Value> {
        self.metadata.get(name).filter(|value| !value.is_null())
    }

    fn text_of(&self, name: &str) -> Option<&str> {
        self.member(name)?.as_str()
    }

    fn reject(&mut self, member: &str, error: impl Into<String>, remedy: &str) {
        self.errors.push(ValueError::new(error, remedy).at(self.line(member)).under(member));
    }

    /// Line of a member, or the first line.
    fn line(&self, member: &str) -> usize {
        let name = format!("\"{member}\"");
        1 + self.text.lines().position(|line| line.contains(&name)).unwrap_or(0)
    }
}
