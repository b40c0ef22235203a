//! Recorded requests, for assertions about the gateway's requests.

/// Request as it arrived.
#[derive(Debug, Clone)]
pub struct Received {
    /// Method, such as `GET`.
    pub method: String,
    /// Path, as sent.
    pub path: String,
    /// Decoded query parameters, in order.
    pub query: Vec<(String, String)>,
    /// Decoded form parameters, in order.
    pub form: Vec<(String, String)>,
    /// Scheme of the `Authorization` header, such as `Basic`.
    pub authorization: Option<String>,
}

impl Received {
    /// First value of `name` in the query or the form.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.query.iter().chain(&self.form).find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}
