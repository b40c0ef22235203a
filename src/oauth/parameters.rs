//! Form and query parameters: a repeated one is an error, an empty one counts as absent (RFC 6749 §3.1, §3.2).

use super::error::OAuthError;

/// The parameters of one request. A repeated one reads as absent, and [`Parameters::check`] names it.
#[derive(Clone)]
pub struct Parameters(Vec<(String, String)>);

const MAX_PARAMETERS: usize = 64;

impl Parameters {
    /// From `application/x-www-form-urlencoded` text; what is behind the 64th parameter is not read.
    pub fn parse(encoded: &str) -> Self {
        Self(url::form_urlencoded::parse(encoded.as_bytes()).take(MAX_PARAMETERS).map(own).collect())
    }

    /// Whether each parameter stands once (`resource` may repeat, RFC 8707 §2).
    ///
    /// # Errors
    /// `invalid_request` naming the repeated one.
    pub fn check(&self) -> Result<(), OAuthError> {
        for (place, (name, _)) in self.0.iter().enumerate() {
            if name != "resource" && self.0[..place].iter().any(|(other, _)| other == name) {
                let name: String = name.chars().take(40).collect();
                return Err(OAuthError::invalid_request(format!("the parameter {name} is repeated")));
            }
        }
        Ok(())
    }

    /// The parameter's value; `None` when it is absent, empty or repeated.
    pub fn get(&self, name: &str) -> Option<&str> {
        let mut values = self.0.iter().filter(|(other, _)| other == name).map(|(_, value)| value.as_str());
        values.next().filter(|value| values.next().is_none() && !value.is_empty())
    }

    /// The values of `resource`.
    pub fn resources(&self) -> impl Iterator<Item = &str> {
        let resources = self.0.iter().filter(|(name, value)| name == "resource" && !value.is_empty());
        resources.map(|(_, value)| value.as_str())
    }

    /// The parameter's value, or `invalid_request` naming it.
    pub fn require(&self, name: &'static str) -> Result<&str, OAuthError> {
        self.get(name).ok_or_else(|| OAuthError::invalid_request(format!("the parameter {name} is missing")))
    }
}

fn own((name, value): (std::borrow::Cow<'_, str>, std::borrow::Cow<'_, str>)) -> (String, String) {
    (name.into_owned(), value.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repeated_parameter_is_refused_and_never_read() {
        let twice = Parameters::parse("state=1&state=2&scope=a");
        assert!(twice.check().is_err());
        assert_eq!((twice.get("state"), twice.get("scope")), (None, Some("a")));
    }

    #[test]
    fn resource_may_repeat() {
        let two = Parameters::parse("resource=a&resource=b");
        assert!(two.check().is_ok());
        assert_eq!(two.resources().collect::<Vec<_>>(), ["a", "b"]);
    }

    #[test]
    fn an_empty_parameter_counts_as_absent() {
        assert_eq!(Parameters::parse("scope=").get("scope"), None);
    }
}
