//! Form and query parameters (RFC 6749 §3.1, §3.2): repeated parameters are an error, empty ones are treated as
//! omitted.

use super::error::OAuthError;

/// Parameters of one request. [`Parameters::get`] ignores repeated ones; [`Parameters::check`] reports them.
#[derive(Clone)]
pub struct Parameters(Vec<(String, String)>);

const MAX_PARAMETERS: usize = 64;

impl Parameters {
    /// Parses `application/x-www-form-urlencoded` text; parameters after the 64th are ignored.
    pub fn parse(encoded: &str) -> Self {
        Self(url::form_urlencoded::parse(encoded.as_bytes()).into_owned().take(MAX_PARAMETERS).collect())
    }

    /// Checks that no parameter is repeated, except `resource` (RFC 8707 §2).
    ///
    /// # Errors
    /// `invalid_request`, naming the repeated parameter.
    pub fn check(&self) -> Result<(), OAuthError> {
        for (index, (name, _)) in self.0.iter().enumerate() {
            if name != "resource" && self.0[..index].iter().any(|(other, _)| other == name) {
                let name: String = name.chars().take(40).collect();
                return Err(OAuthError::invalid_request(format!("the parameter {name} is repeated")));
            }
        }
        Ok(())
    }

    /// Value of a parameter; `None` when it is missing, empty or repeated.
    pub fn get(&self, name: &str) -> Option<&str> {
        let mut values = self.0.iter().filter(|(other, _)| other == name).map(|(_, value)| value.as_str());
        values.next().filter(|value| values.next().is_none() && !value.is_empty())
    }

    /// All values of `resource`.
    pub fn resources(&self) -> impl Iterator<Item = &str> {
        let resources = self.0.iter().filter(|(name, value)| name == "resource" && !value.is_empty());
        resources.map(|(_, value)| value.as_str())
    }

    /// Value of a required parameter.
    ///
    /// # Errors
    /// `invalid_request`, naming the parameter.
    pub fn require(&self, name: &'static str) -> Result<&str, OAuthError> {
        self.get(name).ok_or_else(|| OAuthError::invalid_request(format!("the parameter {name} is missing")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repeated_parameter_is_rejected() {
        let twice = Parameters::parse("state=1&state=2&scope=a");
        assert!(twice.check().is_err());
        assert_eq!((twice.get("state"), twice.get("scope")), (None, Some("a")));
    }

    #[test]
    fn resource_may_be_repeated() {
        let two = Parameters::parse("resource=a&resource=b");
        assert!(two.check().is_ok());
        assert_eq!(two.resources().collect::<Vec<_>>(), ["a", "b"]);
    }

    #[test]
    fn an_empty_parameter_is_treated_as_omitted() {
        assert_eq!(Parameters::parse("scope=").get("scope"), None);
    }
}
