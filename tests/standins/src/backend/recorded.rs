//! Recorded requests.

use axum::http::HeaderMap;

/// Request as it arrived.
#[derive(Debug, Clone)]
pub struct Recorded {
    /// Method.
    pub method: String,
    /// Path and query, as received.
    pub target: String,
    /// Headers, including repeated ones.
    pub headers: HeaderMap,
    /// Body (at most 1 MiB); empty for streamed bodies, which are recorded before they arrive.
    pub body: Vec<u8>,
}

impl Recorded {
    /// Returns the value of a header that is not repeated.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.get_all(name).iter();
        let value = values.next()?.to_str().ok()?;
        values.next().is_none().then_some(value)
    }

    /// Body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}
