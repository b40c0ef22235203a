//! Mistakes in the URL of an Okta org or of a custom authorization server.

/// Host and path that were written instead of those of an org or of an authorization server.
#[derive(Debug, PartialEq, Eq)]
pub struct OktaUrlMistake {
    /// Predicate that follows the name of the setting.
    pub problem: &'static str,
    /// Authority and path to use instead.
    pub correction: String,
}

/// Returns the mistake in the authority and path of a URL of Okta, if there is one. Right are an org without a path, and
/// the issuer of a custom authorization server, `/oauth2/` and its id.
pub fn okta_url_mistake(authority: &str, path: &str) -> Option<OktaUrlMistake> {
    let lower = authority.to_ascii_lowercase();
    let named = lower.trim_end_matches('.');
    let org = match named.split_once("-admin.okta") {
        Some((org, domain)) => format!("{org}.okta{domain}"),
        None => named.to_owned(),
    };
    let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
    // `/oauth2/v1/…` are the endpoints of the org authorization server.
    let server = match segments[..] {
        [oauth2, id, ..] if oauth2.eq_ignore_ascii_case("oauth2") && id != "v1" && !id.starts_with('.') => {
            Some(id)
        }
        _ => None,
    };
    let right_path = server.map(|id| format!("/oauth2/{id}")).unwrap_or_default();
    let problem = if org != named {
        "is the address of the admin console"
    } else if named != lower {
        "has a dot at the end of its host"
    } else if path.strip_suffix('/').unwrap_or(path) == right_path {
        return None;
    } else if path.contains("/.well-known/") {
        "is the address of the metadata"
    } else {
        "has a path that is not the issuer of an authorization server"
    };
    Some(OktaUrlMistake { problem, correction: format!("{org}{right_path}") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_org_and_an_issuer_have_no_mistake() {
        for (authority, path) in [
            ("acme.okta.com", ""),
            ("acme.okta.com", "/"),
            ("acme.okta.com", "/oauth2/default"),
            ("acme.okta.com", "/oauth2/default/"),
            ("acme.okta.com", "/oauth2/aus1B2c3"),
            ("login.acme-admin.com", ""),
            ("127.0.0.1:7000", "/oauth2/default"),
        ] {
            assert_eq!(okta_url_mistake(authority, path), None, "{authority}{path}");
        }
    }

    #[test]
    fn an_admin_url_a_metadata_url_and_an_endpoint_are_corrected() {
        for (authority, path, correction) in [
            ("acme-admin.okta.com", "", "acme.okta.com"),
            ("ACME-admin.oktapreview.com", "/admin/dashboard", "acme.oktapreview.com"),
            ("acme-admin.okta-emea.com", "/oauth2/default", "acme.okta-emea.com/oauth2/default"),
            ("acme.okta.com", "/.well-known/openid-configuration", "acme.okta.com"),
            ("acme.okta.com", "/.well-known/oauth-authorization-server", "acme.okta.com"),
            (
                "acme.okta.com",
                "/oauth2/default/.well-known/openid-configuration",
                "acme.okta.com/oauth2/default",
            ),
            ("acme.okta.com", "/oauth2/default/v1/authorize", "acme.okta.com/oauth2/default"),
            ("acme.okta.com", "/oauth2/aus1/v1/token/", "acme.okta.com/oauth2/aus1"),
            ("acme.okta.com", "/oauth2/v1/token", "acme.okta.com"),
            ("acme.okta.com", "/oauth2/v1", "acme.okta.com"),
            ("acme.okta.com", "/oauth2", "acme.okta.com"),
            ("acme.okta.com", "/oauth2/.well-known/openid-configuration", "acme.okta.com"),
            ("acme.okta.com", "/app/UserHome", "acme.okta.com"),
            ("acme.okta.com:8443", "/login/login.htm", "acme.okta.com:8443"),
            ("acme.okta.com", "//", "acme.okta.com"),
            ("acme.okta.com", "///", "acme.okta.com"),
            ("acme.okta.com", "//x", "acme.okta.com"),
            ("acme.okta.com", "/%20", "acme.okta.com"),
            ("acme.okta.com", "/oauth2/default//", "acme.okta.com/oauth2/default"),
            ("acme.okta.com", "//oauth2//default", "acme.okta.com/oauth2/default"),
            ("acme.okta.com", "/OAuth2/default", "acme.okta.com/oauth2/default"),
            ("acme.okta.com.", "", "acme.okta.com"),
        ] {
            let mistake = okta_url_mistake(authority, path).map(|mistake| mistake.correction);
            assert_eq!(mistake.as_deref(), Some(correction), "{authority}{path}");
        }
    }
}
