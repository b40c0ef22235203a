//! CORS (Fetch standard §3.2). Two rules: responses of public endpoints may be read by scripts of any origin; those of
//! MCP servers by scripts of the origins that may call them.

use crate::app::request_error::RequestError;
use crate::app::state::Gateway;
use bytes::Bytes;
use gateway_routes::is_loopback_authority;
use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS,
    ACCESS_CONTROL_REQUEST_METHOD, ORIGIN, VARY,
};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};

/// Time for which browsers cache a preflight, in seconds.
const MAX_AGE_SECONDS: HeaderValue = HeaderValue::from_static("600");

/// Origin of a request to an MCP server.
#[derive(Debug, Clone, Default)]
pub enum Origin {
    /// Not checked yet: the response gets no CORS headers.
    #[default]
    Unchecked,
    /// The request has none: it is not from a script.
    Absent,
    /// Origin whose scripts may call MCP servers.
    Allowed(HeaderValue),
}

impl Origin {
    /// Checks the `Origin` header (DNS rebinding: MCP transports, "Security Warning").
    ///
    /// # Errors
    /// Scripts of this origin may not call MCP servers.
    pub fn check(gateway: &Gateway, headers: &HeaderMap) -> Result<Self, RequestError> {
        match headers.get(ORIGIN) {
            None => Ok(Self::Absent),
            Some(origin) if is_allowed(gateway, origin) => Ok(Self::Allowed(origin.clone())),
            Some(_) => Err(RequestError::ForeignOrigin),
        }
    }

    /// Adds the CORS headers of a response of an MCP server.
    pub fn add_headers<B>(self, response: &mut Response<B>) {
        let headers = response.headers_mut();
        if let Self::Absent | Self::Allowed(_) = self {
            headers.append(VARY, HeaderValue::from_static("Origin"));
        }
        if let Self::Allowed(origin) = self {
            headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
            let exposed = HeaderValue::from_static("WWW-Authenticate, Mcp-Session-Id, MCP-Protocol-Version");
            headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, exposed);
        }
    }
}

/// Returns `true` if scripts of this origin may call MCP servers: the gateway's own origin, loopback, and those that
/// the site allows.
fn is_allowed(gateway: &Gateway, origin: &HeaderValue) -> bool {
    let Ok(origin) = origin.to_str() else { return false };
    origin == gateway.base_url.as_str()
        || gateway.site.allowed_origins.contains(&origin)
        || is_loopback_origin(origin)
}

fn is_loopback_origin(origin: &str) -> bool {
    let authority = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
    authority.is_some_and(is_loopback_authority)
}

/// Returns `true` for a CORS preflight: a question of the browser and not a request of its script.
pub fn is_preflight(head: &Parts) -> bool {
    head.method == Method::OPTIONS && head.headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD)
}

/// Responds to the preflight of an MCP request. All request headers are allowed: only the MCP server knows which
/// `Mcp-Param-…` headers its tools use.
pub fn mcp_preflight(head: &Parts, origin: Origin) -> Response<Bytes> {
    let mut response = preflight("GET, POST, DELETE, OPTIONS");
    let headers = response.headers_mut();
    headers.insert(VARY, HeaderValue::from_static("Access-Control-Request-Headers"));
    if let Some(requested) = head.headers.get(ACCESS_CONTROL_REQUEST_HEADERS) {
        headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, requested.clone());
    }
    origin.add_headers(&mut response);
    response
}

/// Responds to the preflight of a public endpoint.
pub fn public_preflight() -> Response<Bytes> {
    let mut response = preflight("GET, POST, OPTIONS");
    let allowed = HeaderValue::from_static("Authorization, Content-Type, Accept, MCP-Protocol-Version");
    response.headers_mut().insert(ACCESS_CONTROL_ALLOW_HEADERS, allowed);
    any_origin(response)
}

fn preflight(methods: &'static str) -> Response<Bytes> {
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = StatusCode::NO_CONTENT;
    let headers = response.headers_mut();
    headers.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static(methods));
    headers.insert(ACCESS_CONTROL_MAX_AGE, MAX_AGE_SECONDS);
    response
}

/// Adds CORS headers for any origin: the response is public, or the request carried its own credentials.
pub fn any_origin(mut response: Response<Bytes>) -> Response<Bytes> {
    let headers = response.headers_mut();
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static("WWW-Authenticate"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_http_origins_of_this_machine_are_loopback() {
        for origin in [
            "http://localhost",
            "http://localhost:6274",
            "https://localhost:1",
            "http://127.0.0.1:6276",
            "http://[::1]",
            "http://[::1]:80",
        ] {
            assert!(is_loopback_origin(origin), "{origin}");
        }
        for origin in [
            "null",
            "localhost",
            "file://localhost",
            "http://localhost.example.com",
            "http://127.0.0.1.nip.io",
        ] {
            assert!(!is_loopback_origin(origin), "{origin}");
        }
    }
}
