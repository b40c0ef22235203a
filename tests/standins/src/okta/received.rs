//! What the org was sent, for tests that assert what the gateway sends.

/// One request as it arrived.
#[derive(Debug, Clone)]
pub struct Received {
    /// The method, such as `GET`.
    pub method: String,
    /// The path, as sent.
    pub path: String,
    /// The query's pairs, decoded, in order.
    pub query: Vec<(String, String)>,
    /// The form's pairs, decoded, in order.
    pub form: Vec<(String, String)>,
    /// The scheme of the `Authorization` header, such as `Basic`.
    pub authorization: Option<String>,
}

impl Received {
    /// The first value of `name` in the query or the form.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.query.iter().chain(&self.form).find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}
