//! What the backend was sent.

use axum::http::HeaderMap;

/// One request as it arrived.
#[derive(Debug, Clone)]
pub struct Recorded {
    /// The method.
    pub method: String,
    /// Path and query, byte for byte as received.
    pub target: String,
    /// The headers, repeated ones too.
    pub headers: HeaderMap,
    /// The body (at most 1 MiB); empty for what streams, which is recorded before its body came.
    pub body: Vec<u8>,
}

impl Recorded {
    /// The value of a header that came exactly once.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.get_all(name).iter();
        let value = values.next()?.to_str().ok()?;
        values.next().is_none().then_some(value)
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}
