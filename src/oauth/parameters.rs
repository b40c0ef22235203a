//! Form and query parameters (RFC 6749 §3.1, §3.2): repeated parameters are an error, empty ones are treated as
//! omitted.

use super::error::OAuthError;

/// Media type of forms.
pub const FORM_TYPE: &str = "application/x-www-form-urlencoded";

/// Parameters of one request. [`Parameters::get`] ignores repeated ones; [`Parameters::check`] reports them.
#[derive(Clone)]
pub struct Parameters(Vec<(String, String)>);

const MAX_PARAMETERS: usize = 64;

impl Parameters {
    /// Parses `application/x-www-form-urlencoded` text; parameters after the 64th are ignored.
    pub fn parse(encoded: &str) -> Self {
        Self(url::form_urlencoded::parse(encoded.as_bytes()).into_owned().take(MAX_PARAMETERS).collect())
    }

    /// Parses the form body of a request with this `Content-Type`, if it has one.
    ///
    /// # Errors
    /// `invalid_request`, for another type, a body that is not UTF-8, or a repeated parameter.
    pub fn parse_form(content_type: Option<&str>, body: &[u8]) -> Result<Self, OAuthError> {
        let essence = |value: &str| value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        if content_type.is_some_and(|value| essence(value) != FORM_TYPE) {
            return Err(OAuthError::invalid_request(format!(
                "Content-Type must be {FORM_TYPE}: send the parameters as a form"
            )));
        }
        let text = std::str::from_utf8(body).map_err(|_| {
            OAuthError::invalid_request(format!("the body is not UTF-8: it must be {FORM_TYPE}"))
        })?;
        let form = Self::parse(text);
        form.check()?;
        Ok(form)
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
    fn a_body_of_another_type_is_rejected_and_the_form_type_named() {
        let form = Parameters::parse_form(Some("Application/X-WWW-Form-Urlencoded; charset=UTF-8"), b"a=b");
        assert_eq!(form.unwrap().get("a"), Some("b"));
        assert_eq!(Parameters::parse_form(None, b"a=b").unwrap().get("a"), Some("b"));
        for (content_type, body) in [
            (Some("application/json"), &b"{\"grant_type\":\"refresh_token\"}"[..]),
            (Some("multipart/form-data; boundary=x"), b"--x"),
            (Some("text/plain;charset=UTF-8"), b"a=b"),
            (Some(""), b"a=b"),
            (None, b"\xff"),
        ] {
            let refused = Parameters::parse_form(content_type, body).err().unwrap();
            assert_eq!(refused.code, crate::oauth::error::ErrorCode::InvalidRequest);
            assert!(refused.description.contains(FORM_TYPE), "{refused}");
        }
        assert!(Parameters::parse_form(None, b"a=b&a=b").is_err());
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
