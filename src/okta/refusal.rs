//! Error responses of Okta, in both shapes: that of OAuth (RFC 6749 §5.2) and that of Okta's own API.

use super::OktaError;
use http::StatusCode;
use serde_json::Value;

/// Longest code or description that is kept of an error response.
const MAX_TEXT_CHARS: usize = 300;
/// Codes by which Okta refuses the user. Okta does not document all codes of its token endpoint: those of RFC 6749 and
/// OIDC Core §3.1.2.6 that are about the user are included.
const USER_REFUSED: &[&str] = &[
    "invalid_grant",
    "access_denied",
    "no_matching_policy",
    "login_required",
    "interaction_required",
    "consent_required",
    "account_selection_required",
    "mfa_required",
    "unmet_authentication_requirements",
];
/// Description of an access policy that refuses the user, under several codes.
const POLICY_REFUSED: &str = "policy evaluation failed";
/// Descriptions of a groups claim that matches more groups than Okta puts into a token.
const TOO_MANY_GROUPS: &[&str] = &["matched too many groups", "user claim could not be evaluated"];
/// Setting to change when Okta refuses the groups claim.
pub(super) const TOO_MANY_GROUPS_REMEDY: &str =
    "give the groups claim a filter that matches at most 100 groups of each user";
/// Remedy for a code that names no setting.
const GENERAL_REMEDY: &str = "check the app and its authorization server in the Okta admin console";
/// Codes of outages, and of responses that say nothing about the user, the app or its settings.
const OUTAGE: &[&str] =
    &["server_error", "temporarily_unavailable", "slow_down", "E0000047", "E0000009", "E0000007"];

/// Code and description of an error response.
struct ErrorText {
    code: String,
    description: String,
}

impl ErrorText {
    /// Parses the body of an error response: `error` and `error_description`, else `errorCode` and `errorSummary`.
    fn parse(body: &[u8]) -> Option<Self> {
        let body: Value = serde_json::from_slice(body).ok()?;
        let text = |name: &str| body.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
        let (code, description) = match text("error") {
            Some(code) => (code, text("error_description")),
            None => (text("errorCode")?, text("errorSummary")),
        };
        Some(Self { code: printable(code), description: printable(description.unwrap_or_default()) })
    }
}

/// Describes the status of a response, with Okta's code and description if its body has them.
pub(super) fn describe(status: StatusCode, body: &[u8]) -> String {
    match ErrorText::parse(body) {
        Some(ErrorText { code, description }) => format!("HTTP status {status}: {code}: {description}"),
        None => format!("HTTP status {status}"),
    }
}

/// Converts an error response to a request for a document.
pub(super) fn of_document(path: &str, status: StatusCode, body: &[u8]) -> OktaError {
    match ErrorText::parse(body) {
        Some(ErrorText { code, description }) if code == "invalid_client" => {
            OktaError::Credentials { description }
        }
        _ => OktaError::Unavailable(format!("{path}: {}", describe(status, body))),
    }
}

/// Converts an error response of the token endpoint. The code decides, and the status where the code says nothing or is
/// missing: 401 is about the client's authentication (RFC 6749 §5.2).
pub(super) fn of_response(status: StatusCode, body: &[u8]) -> OktaError {
    let is_unauthorized = status == StatusCode::UNAUTHORIZED;
    match ErrorText::parse(body) {
        Some(ErrorText { code, description }) => match classify(&code, &description) {
            OktaError::AppSettings { remedy: GENERAL_REMEDY, error, description } if is_unauthorized => {
                OktaError::Credentials { description: format!("{error}: {description}") }
            }
            error => error,
        },
        None if is_unauthorized => OktaError::Credentials { description: describe(status, body) },
        None => OktaError::Unavailable(describe(status, body)),
    }
}

/// Classifies an error code: about the user, about the app's settings, or an outage.
pub(super) fn classify(error: &str, description: &str) -> OktaError {
    let (error, description) = (printable(error), printable(description));
    if error == "invalid_client" {
        return OktaError::Credentials { description };
    }
    let lower = description.to_ascii_lowercase();
    if TOO_MANY_GROUPS.iter().any(|text| lower.contains(text)) {
        return OktaError::AppSettings { error, description, remedy: TOO_MANY_GROUPS_REMEDY };
    }
    if USER_REFUSED.contains(&&*error) || names_policy(&description) {
        return OktaError::Refused { error, description };
    }
    if OUTAGE.contains(&&*error) {
        return OktaError::Unavailable(format!("{error}: {description}"));
    }
    let remedy = remedy(&error);
    OktaError::AppSettings { error, description, remedy }
}

/// Returns `true` if an access policy refused the user.
pub(super) fn names_policy(description: &str) -> bool {
    description.to_ascii_lowercase().contains(POLICY_REFUSED)
}

fn remedy(error: &str) -> &'static str {
    match error {
        "unauthorized_client" | "unsupported_grant_type" | "unsupported_response_type" => {
            "enable the grant types Authorization Code and Refresh Token in the app"
        }
        "invalid_scope" => {
            "allow the scopes openid, profile, email and offline_access at the authorization server and in its access \
             policy, and the grant type Refresh Token in the app"
        }
        "invalid_dpop_proof" | "use_dpop_nonce" => {
            "turn off 'Require Demonstrating Proof of Possession (DPoP) header in token requests' in the app"
        }
        _ => GENERAL_REMEDY,
    }
}

/// Text without control characters, cut to the maximum length.
fn printable(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(MAX_TEXT_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn of(status: u16, body: &Value) -> OktaError {
        of_response(StatusCode::from_u16(status).unwrap(), body.to_string().as_bytes())
    }

    fn both_shapes(code: &str, description: &str) -> [Value; 2] {
        [
            json!({ "error": code, "error_description": description }),
            json!({ "errorCode": code, "errorSummary": description, "errorLink": code, "errorId": "oae1",
                "errorCauses": [] }),
        ]
    }

    #[test]
    fn an_error_is_about_the_user_the_app_or_an_outage_in_both_shapes() {
        const POLICY: &str =
            "Policy evaluation failed for this request, please check the policy configurations.";
        for (code, description, expected) in [
            ("invalid_grant", "The refresh token is invalid or expired.", "refused"),
            ("access_denied", POLICY, "refused"),
            ("access_denied", "User is not assigned to the client application.", "refused"),
            ("no_matching_policy", "", "refused"),
            ("invalid_request", POLICY, "refused"),
            ("unauthorized_client", "", "settings"),
            ("invalid_scope", "", "settings"),
            ("invalid_dpop_proof", "The DPoP proof JWT header is missing.", "settings"),
            ("use_dpop_nonce", "", "settings"),
            ("unsupported_grant_type", "", "settings"),
            ("invalid_request", "", "settings"),
            ("invalid_request", "The 'groups' user claim could not be evaluated.", "settings"),
            ("access_denied", "The groups claim matched too many groups.", "settings"),
            ("E0000007", "Not found: Resource not found", "outage"),
            ("invalid_client", "Invalid value for 'client_id' parameter.", "credentials"),
            ("E0000047", "API call exceeded rate limit due to too many requests.", "outage"),
            ("server_error", "", "outage"),
            ("temporarily_unavailable", "", "outage"),
        ] {
            for body in both_shapes(code, description) {
                let error = of(400, &body);
                let found = match &error {
                    OktaError::Refused { .. } => "refused",
                    OktaError::AppSettings { .. } => "settings",
                    OktaError::Credentials { .. } => "credentials",
                    OktaError::Unavailable(_) => "outage",
                    _ => "other",
                };
                assert_eq!(found, expected, "{body}");
                assert!(error.to_string().contains(description), "{error}");
            }
        }
    }

    #[test]
    fn the_code_decides_and_a_401_only_where_the_code_names_nothing() {
        let refused = [
            ("access_denied", ""),
            ("invalid_grant", ""),
            ("invalid_request", "Policy evaluation failed for this request."),
        ];
        for (code, description) in refused {
            for body in both_shapes(code, description) {
                assert!(matches!(of(401, &body), OktaError::Refused { .. }), "{body}");
            }
        }
        let settings = ["invalid_dpop_proof", "use_dpop_nonce", "unauthorized_client", "invalid_scope"];
        for code in settings {
            for body in both_shapes(code, "") {
                let (given, expected) = (of(401, &body), of(400, &body));
                assert!(matches!(given, OktaError::AppSettings { .. }) && given == expected, "{given}");
                assert!(given.new_login_may_work(), "{body}");
            }
        }
        for body in both_shapes("temporarily_unavailable", "") {
            assert!(matches!(of(401, &body), OktaError::Unavailable(_)), "{body}");
        }
        for (code, description) in [
            ("invalid_client", "The client secret supplied for a confidential client is invalid."),
            ("invalid_request", "Cannot supply multiple client credentials."),
            ("E0000011", "Invalid token provided"),
        ] {
            for body in both_shapes(code, description) {
                let error = of(401, &body);
                let is_right = matches!(&error, OktaError::Credentials { description: told }
                    if told.contains(description));
                assert!(is_right, "{body}: {error}");
            }
        }
        assert!(matches!(of(401, &json!("no")), OktaError::Credentials { .. }));
    }

    #[test]
    fn an_error_of_neither_shape_is_an_outage() {
        for body in [json!({}), json!([]), json!({ "error": 7 }), json!({ "error": "" }), json!("no")] {
            let error = of(400, &body);
            assert_eq!(error, OktaError::Unavailable("HTTP status 400 Bad Request".into()), "{body}");
        }
    }

    #[test]
    fn the_text_of_an_error_is_bounded_and_has_no_control_characters() {
        let body =
            json!({ "error": "invalid_grant", "error_description": format!("a\n{}", "b".repeat(999)) });
        let OktaError::Refused { description, .. } = of(400, &body) else { panic!("{body}") };
        assert_eq!((description.len(), description.contains('\n')), (MAX_TEXT_CHARS, false));
    }
}
