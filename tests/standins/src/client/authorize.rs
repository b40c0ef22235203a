//! Step 3: an authorization code, with a scripted browser.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};
use url::Url;

use super::exchange::{check, text};
use super::register::Client;
use crate::browser::{Browser, Form, Landing, Page};
use crate::{ClientError, random};

/// Maximum number of pages: consent, login, confirmations.
const MAX_PAGES: usize = 6;
const YES: [&str; 6] = ["approve", "allow", "continue", "authorize", "accept", "yes"];
const NO: [&str; 5] = ["deny", "cancel", "decline", "refuse", "no"];

/// Decision on the consent page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Clicks the button that approves.
    Approve,
    /// Clicks the button that denies.
    Deny,
}

/// Parameters of a login.
#[derive(Debug, Clone)]
pub struct Login<'a> {
    /// Username in the stand-in Okta.
    pub username: &'a str,
    /// Decision on the consent page.
    pub decision: Decision,
    /// Further or repeated parameters of the authorization request.
    pub extra: &'a [(&'a str, &'a str)],
    /// Form fields of the consent page, such as the selected route.
    pub form_values: &'a [(&'a str, &'a str)],
}

impl<'a> Login<'a> {
    /// Login of `username`, who approves.
    pub fn of(username: &'a str) -> Self {
        Self { username, decision: Decision::Approve, extra: &[], form_values: &[] }
    }
}

/// Authorization code with its PKCE verifier.
#[derive(Clone)]
pub struct Code {
    /// Code.
    pub code: String,
    /// PKCE verifier.
    pub verifier: String,
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Code")
    }
}

impl Client {
    /// Runs the authorization flow of `login` in the browser. Fails if the response is an error (the message starts
    /// with its code), if `state` differs, or if `iss` is missing or wrong (RFC 9207).
    pub async fn authorize(&self, browser: &mut Browser, login: &Login<'_>) -> Result<Code, ClientError> {
        let (state, verifier) = (random::token(), random::token() + &random::token());
        let url = self.authorize_url(&state, &verifier, login.extra)?;
        browser.stop_at(&self.redirect_uri);
        let mut landing = browser.open(url.as_str()).await?;
        for _ in 0..MAX_PAGES {
            let page = match landing {
                Landing::Stopped { url, .. } => return self.read_response(&url, &state, verifier),
                Landing::Page(page) => page,
            };
            landing = step(browser, &page, login).await?;
        }
        Err(ClientError::new(format!("still no code after {MAX_PAGES} pages")))
    }

    /// URL of the authorization request with this state and verifier; `extra` is appended.
    pub fn authorize_url(
        &self,
        state: &str,
        verifier: &str,
        extra: &[(&str, &str)],
    ) -> Result<Url, ClientError> {
        let mut url = Url::parse(&text(&self.discovered.server_metadata, "authorization_endpoint")?)?;
        let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.as_bytes()));
        let scope = self.discovered.scopes.join(" ");
        let mut query = url.query_pairs_mut();
        query.extend_pairs([
            ("response_type", "code"),
            ("client_id", &self.id),
            ("redirect_uri", &self.redirect_uri),
            ("state", state),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
            ("resource", &self.discovered.resource),
        ]);
        if !scope.is_empty() {
            query.append_pair("scope", &scope);
        }
        query.extend_pairs(extra);
        drop(query);
        Ok(url)
    }

    fn read_response(&self, url: &Url, state: &str, verifier: String) -> Result<Code, ClientError> {
        let get =
            |name: &str| url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned());
        check(get("state").as_deref() == Some(state), || format!("unexpected state in {url}"))?;
        let metadata = &self.discovered.server_metadata;
        let is_supported = metadata["authorization_response_iss_parameter_supported"] == true;
        let issuer = get("iss");
        let is_valid = issuer.as_ref().map_or(!is_supported, |issuer| *issuer == self.discovered.issuer);
        check(is_valid, || format!("iss is {issuer:?}, expected {}", self.discovered.issuer))?;
        if let Some(error) = get("error") {
            let words = get("error_description").unwrap_or_default();
            return Err(ClientError::new(format!("{error}: {words}")));
        }
        let code = get("code").ok_or_else(|| ClientError::new(format!("neither code nor error in {url}")))?;
        Ok(Code { code, verifier })
    }
}

/// Signs in on a login page; submits the decision on any other page.
async fn step(browser: &mut Browser, page: &Page, login: &Login<'_>) -> Result<Landing, ClientError> {
    let is_success = page.status.is_success();
    check(is_success, || format!("{} shows {}: {}", page.url, page.status, page.body))?;
    if page.form_with("password").is_some() {
        return browser.sign_in(page, login.username).await;
    }
    let (form, button) = decide(&page.forms, login.decision)
        .ok_or_else(|| ClientError::new(format!("nothing to press at {}: {}", page.url, page.body)))?;
    browser.submit(form, login.form_values, Some(button)).await
}

/// Form and button of this decision, by the button's value or text.
fn decide(forms: &[Form], decision: Decision) -> Option<(&Form, &str)> {
    let words: &[&str] = if decision == Decision::Approve { &YES } else { &NO };
    let has_text = |text: &str| {
        text.split_whitespace().next().is_some_and(|word| words.contains(&&*word.to_lowercase()))
    };
    let buttons = forms.iter().flat_map(|form| form.buttons.iter().map(move |button| (form, button)));
    buttons
        .flat_map(|(form, button)| [(form, button.value.as_str()), (form, button.text.as_str())])
        .find(|(_, text)| has_text(text))
}

#[cfg(test)]
mod tests {
    use super::{Decision, decide};
    use crate::browser::{Button, Form};

    #[test]
    fn a_decision_selects_its_button() {
        let button = |value: &str, text: &str| Button {
            name: "decision".to_owned(),
            value: value.to_owned(),
            text: text.to_owned(),
            action: None,
        };
        let buttons = vec![button("", "Cancel"), button("1", "Continue to Dice")];
        let mut forms = [Form::default(), Form::default()];
        forms[1].buttons = buttons;
        assert_eq!(decide(&forms, Decision::Approve).unwrap().1, "Continue to Dice");
        assert_eq!(decide(&forms, Decision::Deny).unwrap().1, "Cancel");
        assert!(decide(&forms[..1], Decision::Deny).is_none());
    }
}
